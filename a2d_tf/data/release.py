"""Reader of an A2D release on disk: the list of videos, the frames, the annotations.

The layout is that of the published data set (Xu et al., CVPR 2015): `videoset.csv`,
`clips320H/<VID>.mp4`, `Annotations/mat/<VID>/<%05d>.mat`. Frames may also be images,
`pngs320H/<VID>/<%05d>.png`, and annotations those with instance numbers (Gavrilyuk et
al., CVPR 2018), `a2d_annotation_with_instances/<VID>/<%05d>.h5`, in the release, in its
`Annotations`, beside it, or in `text_annotations` beside it. Frame numbers are 1-based
everywhere: `00030.mat` belongs to the 30th decoded frame.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Collection
from typing import Any

from a2d_tf.core.errors import MAX_SIDE, InputError, quoted
from a2d_tf.core.files import is_file_name, read_text
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data import video_frames
from a2d_tf.data.a2d_annotations import Annotation, read_hdf5
from a2d_tf.data.manifest import SPLITS

_COLUMNS = (
    "vid",
    "label",
    "start",
    "end",
    "height",
    "width",
    "frames",
    "annotated",
    "usage",
)
_RANGES = {
    "label": (0, 10**9),
    "annotated": (0, 10**9),
    "height": (1, MAX_SIDE),
    "width": (1, MAX_SIDE),
    "frames": (1, 10**9),
    "usage": (0, 1),
}
_SUFFIXES = (".mat", ".h5")
_INSTANCES = "a2d_annotation_with_instances"


@dataclasses.dataclass(frozen=True)
class Video:
    """An annotated video, as a row of `videoset.csv` lists it.

    Attributes:
      frames, annotated: how many frames it has, and how many of them are annotated.
      split: "train" or "test".
      height, width: of its annotations in pixels; 0 where these tell their size.
    """

    vid: str
    frames: int
    annotated: int
    split: str
    height: int = 0
    width: int = 0


class Release:
    """A release; broken files raise an InputError that names file and field.

    Attributes, the others as of `sources.Source`:
      root: the folder of `videoset.csv`.
      videos: the `Video`s, in the order of `videoset.csv`.
      doubts: empty, since annotations are codes.
    """

    remedy = "restore it, or correct 'frames' in videoset.csv"
    doubts: tuple[str, ...] = ()

    def __init__(
        self,
        root: str | os.PathLike,
        label_space: LabelSpace = A2D,
        *,
        videos: str | os.PathLike | None = None,
        annotations: str | os.PathLike | None = None,
        test_videos: Collection[str] = (),
        on_error: str = "fail",
    ) -> None:
        """Read `videoset.csv`.

        Args:
          videos: text file of the VIDs to use, one a line; by default all.
          annotations: folder with a folder of annotations per video; by default one of
            those named above.
          test_videos: VIDs of the test split; by default as the list says.
          on_error: 'skip' leaves malformed rows out.

        Raises:
          InputError: a list is missing or malformed.
        """
        self.root = pathlib.Path(root)
        self.label_space = label_space
        videoset = self.root / "videoset.csv"
        self.videos, malformed = _read_videoset(videoset)
        self.listing = videoset.name
        if videos is not None:
            self.videos, malformed = _only(
                pathlib.Path(videos), self.videos, malformed, videoset
            )
        self.skipped = tuple(problem for _, problem in malformed)
        if self.skipped and on_error == "fail":
            raise InputError(self.skipped[0])
        self.videos = with_tests(
            self.videos, set(test_videos) - {vid for vid, _ in malformed}
        )
        self._videos = {video.vid: video for video in self.videos}
        own, beside = self.root / "Annotations", self.root.absolute().parent
        folders = self.root, own, beside, beside / "text_annotations"
        self._annotations = [own / "mat", *(folder / _INSTANCES for folder in folders)]
        if annotations is not None:
            self._annotations = [pathlib.Path(annotations)]

    def frames_path(self, vid: str) -> pathlib.Path:
        """Return the video file, or else the folder of its frames."""
        clips = self.root / "clips320H"
        path = video_frames.find(clips, vid) or video_frames.find(
            self.root / "pngs320H", vid
        )
        return path or clips / f"{vid}.mp4"

    def annotation_folder(self, vid: str) -> pathlib.Path:
        """Return the folder of a video's annotations."""
        folders = (
            folder / vid for folder in self._annotations if (folder / vid).is_dir()
        )
        return next(folders, self._annotations[0] / vid)

    def annotation_path(self, vid: str, frame: int) -> pathlib.Path:
        """Return the `.mat` of a frame, or its `.h5` if there is no `.mat`."""
        mat, h5 = (
            self.annotation_folder(vid) / f"{frame:05d}{suffix}" for suffix in _SUFFIXES
        )
        return h5 if h5.is_file() and not mat.is_file() else mat

    def files(self, vid: str) -> tuple[pathlib.Path, ...]:
        """Return all files that a video's records depend on."""
        return (
            *video_frames.files(self.frames_path(vid)),
            *self._annotation_files(vid),
        )

    def annotation_text(self, vid: str) -> str:
        """Return what else a video's records depend on, as text: nothing."""
        return ""

    def length(self, vid: str) -> int:
        """Return the number of frames of a video according to `videoset.csv`."""
        return self._videos[vid].frames

    def annotated_frames(self, vid: str) -> tuple[int, ...]:
        """Return the 1-based numbers of a video's annotations, ascending."""
        paths = self._annotation_files(vid)
        for path in paths:
            if not re.fullmatch(r"[0-9]{5}", path.stem) or path.stem == "00000":
                example = f"00001{path.suffix}"
                raise InputError(
                    f"{path}: rename it to its 1-based number, such as {example}"
                )
        return tuple(sorted({int(path.stem) for path in paths}))

    def read_annotation(
        self, vid: str, frame: int, size: tuple[int, int] | None = None
    ) -> Annotation:
        """Read the ground truth of a 1-based frame.

        `size` is the (height, width) of the decoded frames, by default that of
        `videoset.csv`.
        """
        video = self._videos[vid]
        path = self.annotation_path(vid, frame)
        return read_hdf5(path, size or (video.height, video.width), self.label_space)

    def _annotation_files(self, vid):
        # macOS leaves files with a leading dot beside copied ones.
        paths = sorted(self.annotation_folder(vid).glob("[!.]*"))
        return [path for path in paths if path.suffix in _SUFFIXES]


def with_tests(videos: tuple[Video, ...], tests: Collection[str]) -> tuple[Video, ...]:
    """Return videos of which these are the test split; as they are where none is named.

    Raises:
      InputError: one of the tests is not among the videos.
    """
    if unknown := set(tests) - {video.vid for video in videos}:
        raise InputError(
            f"--test_videos: unknown video {quoted(min(unknown))}; correct the name"
        )
    if not tests:
        return videos
    return tuple(dataclasses.replace(v, split=SPLITS[v.vid in tests]) for v in videos)


def _only(path, videos, malformed, videoset):
    """Return the videos that a text file lists, in the order of `videos`; and
    malformed rows.
    """
    listed = set(map(str.strip, read_text(path).splitlines())) - {""}
    if not listed:
        raise InputError(
            f"{path}: lists no videos; add VIDs from {videoset}, one per line"
        )
    if (
        unknown := listed
        - {video.vid for video in videos}
        - {vid for vid, _ in malformed}
    ):
        raise InputError(
            f"{path}: {quoted(min(unknown))} is not in {videoset}; remove the line"
        )
    kept = [(vid, problem) for vid, problem in malformed if vid in listed]
    return tuple(video for video in videos if video.vid in listed), kept


def _read_videoset(path):
    """Read videoset.csv; return (the videos, [(VID, problem) of each other row])."""
    try:
        file = io.StringIO(read_text(path), newline="")
        rows = [
            (number, row) for number, row in enumerate(csv.reader(file), 1) if any(row)
        ]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path}: not a readable CSV file"
            f" ({getattr(error, 'strerror', None) or error}); --release must be the"
            " folder with videoset.csv, clips320H and Annotations"
        ) from error
    # The published list has no header line; some copies have one.
    numbers = rows[0][1][4:] if rows else []
    header = any(numbers) and not any(
        re.fullmatch(r"\s*-?\d+\s*", cell) for cell in numbers
    )
    videos: dict[str, Video] = {}
    malformed = []
    for number, row in rows[header:]:
        where = f"{path}, line {number}"
        try:
            video = _parse_row(where, row)
            if videos.setdefault(video.vid, video) is not video:
                raise InputError(
                    f"{where}: vid '{video.vid}' is listed twice; remove it"
                )
        except InputError as error:
            malformed.append((row[0].strip(), str(error)))
    if not videos:
        raise InputError(
            malformed[0][1] if malformed else f"{path}: lists no videos; restore it"
        )
    return tuple(videos.values()), malformed


def _parse_row(where, row):
    """Parse the cells of a row; messages begin with `where`."""
    fields: dict[str, Any] = dict(zip(_COLUMNS, map(str.strip, row)))
    for column, (least, most) in _RANGES.items():
        cell = fields.get(column, "")
        if not re.fullmatch(r"\d{1,10}", cell) or not least <= int(cell) <= most:
            raise InputError(
                f"{where}: {column} {quoted(cell)} is not an integer from {least} to"
                f" {most}; correct the row"
            )
        fields[column] = int(cell)
    if not is_file_name(fields["vid"]):
        vid = quoted(fields["vid"])
        raise InputError(
            f"{where}: vid {vid} is not a valid file name; rename the video"
        )
    names = ("vid", "frames", "annotated", "height", "width")
    return Video(
        **{name: fields[name] for name in names}, split=SPLITS[fields["usage"]]
    )
