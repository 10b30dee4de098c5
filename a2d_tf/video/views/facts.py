"""What the `video.json` of a prediction says of its video, for pages and plots."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterable

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import read_json
from a2d_tf.core.labels import LabelSpace

NAME = "video.json"


@dataclasses.dataclass(frozen=True)
class Facts:
    """A prediction's video; of predictions of earlier versions, all is None.

    Attributes:
      name: of its file.
      span: (start, end) of what was segmented, seconds in the video.
      step: seconds from one answered frame to the next, on average.
      labels: the label space.
    """

    name: str | None = None
    span: tuple[float, float] | None = None
    step: float | None = None
    labels: LabelSpace | None = None


def read(folder: str | os.PathLike) -> Facts:
    """Read the facts of a prediction.

    Raises:
      InputError: `video.json` is there, and damaged.
    """
    path = pathlib.Path(folder, NAME)
    try:
        fields = read_json(path)
        name, labels = fields.get("name"), LabelSpace.from_fields(fields["labels"])
        if name is not None and not isinstance(name, str):
            raise ValueError(f"name {shown(name)}")
        if "until" not in fields:  # of a version that did not write the times
            return Facts(name, labels=labels)
        begin, until, rate, every = (float(fields[f]) for f in ("begin", "until", "fps", "every"))
        if not (0 <= begin < 1e9 and 0 <= until < 1e9 and 0 < rate < 1e9 and every >= 1):
            raise ValueError(f"times {begin}, {until}, {rate}, {every}")
    except FileNotFoundError:
        return Facts()
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); predict the video again") from error
    return Facts(name, (begin, until), every / rate, labels)


def labels_of(folders: Iterable[str | os.PathLike]) -> LabelSpace | None:
    """Return the label space of the first prediction that knows its own."""
    return next((labels for folder in folders if (labels := read(folder).labels)), None)
