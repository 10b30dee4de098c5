"""What a reader made of an export, in a form that tests compare."""

import json
import pathlib

from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import ReadOptions
from a2d_tf.data.segmentations import decode_parts


def read(reader, path, **options):
    """The documents of all files of an export that `reader` can read, XML or JSON."""
    container, documents = Container(pathlib.Path(path)), []
    for name in container.names:
        suffix = pathlib.PurePath(name).suffix
        if suffix in (".json", ".xml"):
            content = container.read(name) if suffix == ".xml" else json.loads(container.text(name))
            documents += reader.read(name, content, container, ReadOptions(**options))
    return documents


def mask(instance, size):
    """The mask of an instance, bool [height, width]."""
    return decode_parts(instance.parts, size, size)


def described(document):
    """{frame number: [(label, action, track), ...]} of a document."""
    return {
        frame.number: [(x.label, x.action, x.track) for x in frame.instances]
        for frame in document.frames
    }
