"""Reader of SLEAP's files of poses: labels (.slp) and analysis (.h5), by sleap-io.

Frames count from 0. Instances that a person drew or corrected replace the predictions
of the same track. Individuals have the names of their tracks.

Source: talmolab/sleap-io `io/slp.py`, `io/analysis_h5.py`.
"""

from __future__ import annotations

import contextlib
import io
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import h5py

from a2d_tf.annotations.documents.conventions import SLEAP
from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.numbering import Counted, FrameName, Numbering
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers import poses
from a2d_tf.annotations.readers.container import File
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE

_LABELS = {"metadata", "frames", "instances"}
_ANALYSIS = {"tracks", "track_names", "node_names"}
"""Names of datasets that tell the two kinds of HDF5 files, .slp and .h5, apart."""
_FROM_0 = Numbering(
    Counted.VIDEO_FRAMES, "SLEAP counts from 0: its frame 5 is frame 6 of the video"
)


def matches(content: Any) -> bool:
    """Return whether a file is SLEAP's, labels or analysis, even if it is cut off.

    Args:
      content: the bytes of the file.
    """
    try:
        names = _names(content)
    except UNREADABLE:  # the reader says what is wrong
        return True
    return _LABELS <= names or _ANALYSIS <= names


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read the poses of all videos in a file of SLEAP, by the package sleap-io.

    An individual becomes an instance with the box around its points. A track of SLEAP
    gives it its name.

    Args:
      file: the file, .slp or .h5.
      options: the actor of the individuals, and whether frames without poses count.

    Returns:
      a list of one document with the frames of all videos.

    Raises:
      InputError: sleap-io is missing, the file is damaged or has no poses, a frame has
        a track twice, or the user does not state the actor.
    """
    with _local_path(file) as path:
        labels = _load(file, path)
    document = Document(file.path, "sleap")
    for frame in labels.labeled_frames:
        number = SLEAP.frame(int(frame.frame_idx))
        where = f"frame {frame.frame_idx}"
        poses_of_frame = []
        for instance in [*frame.user_instances, *frame.unused_predictions]:
            name = None
            track = None
            if instance.track is not None:
                name = instance.track.name
                track = labels.tracks.index(instance.track)
            box = poses.boxes_around(instance.numpy())
            poses_of_frame.append(poses.Pose(file.place(where), name, track, box))
        frame_name = FrameName(_video_name(frame.video, path), number, _FROM_0)
        with file.at(where):
            poses.add_frame(document, where, frame_name, poses_of_frame, options)
    poses.check_any(file, document, options)
    return [document]


def _names(content: bytes) -> set[str]:
    """Return the names at the top of an HDF5 file."""
    with h5py.File(io.BytesIO(content)) as hdf5:
        return set(hdf5)


@contextlib.contextmanager
def _local_path(file: File) -> Iterator[str]:
    """Yield the path of a temporary copy of a file, which may be in a zip."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / pathlib.PurePosixPath(file.name).name
        path.write_bytes(file.content)
        yield str(path)


def _load(file: File, path: str) -> Any:
    """Return the `sleap_io.Labels` of a file, without opening its videos.

    Args:
      path: the path of the file's copy.

    Raises:
      InputError: sleap-io is missing, or cannot read the file.
    """
    try:
        import sleap_io
    except ImportError as error:
        raise InputError(
            f"{file.path}: SLEAP's files need sleap-io ({error}) and Python 3.10 or"
            " later; pip install 'a2d_tf[poses]', or in a clone"
            " pip install -e '.[poses]'"
        ) from error
    try:
        if not _ANALYSIS <= _names(file.content):
            return sleap_io.load_slp(path, open_videos=False)
        with h5py.File(path) as hdf5:
            video_path = hdf5["video_path"][()].decode() if "video_path" in hdf5 else ""
        video = sleap_io.Video(video_path, open_backend=False)
        return sleap_io.load_analysis_h5(path, video=video)
    except (*UNREADABLE, AttributeError) as error:
        problem = " ".join(str(error).split())
        raise InputError(
            f"{file.path}: cannot be read by sleap-io ({problem}); save it again"
        ) from error


def _video_name(video: Any, path: str) -> str | None:
    """Return the name of a video; None if the labels do not say.

    Args:
      video: a `sleap_io.Video`.
      path: the path of the labels' file, which may contain the images of the video.
    """
    while video.source_video is not None:
        video = video.source_video
    filename = video.filename
    if isinstance(filename, list):  # images, of which each is a frame
        filename = pathlib.PurePosixPath(filename[0].replace("\\", "/")).parent.name
    if not filename or filename == path:
        return None
    return pathlib.PurePosixPath(filename.replace("\\", "/")).stem
