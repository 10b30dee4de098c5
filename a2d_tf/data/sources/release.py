"""Read an A2D release: its list of videos, their frames and their annotations.

The layout is that of the published data set (Xu et al., CVPR 2015): `videoset.csv`,
`clips320H/<VID>.mp4` and `Annotations/mat/<VID>/<%05d>.mat`. In place of a video file
there may be images, `pngs320H/<VID>/<%05d>.png`. In place of `Annotations/mat` there
may be annotations with instance numbers (Gavrilyuk et al., CVPR 2018),
`a2d_annotation_with_instances/<VID>/<%05d>.h5`. That folder lies in the release, in its
`Annotations`, beside the release, or in `text_annotations` beside the release. Frames
are numbered from 1: `00030.mat` belongs to the 30th decoded frame.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Collection, Mapping

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.decoding import video_paths
from a2d_tf.data.sources import video_list
from a2d_tf.data.sources.a2d_annotations import read_hdf5
from a2d_tf.data.sources.annotation import Annotation

_SUFFIXES = (".mat", ".h5")
_WITH_INSTANCES = "a2d_annotation_with_instances"


class Release:
    """A release of A2D on disk, one of the sources of annotated videos.

    It satisfies the protocol `source.Source`, which describes what the attributes and
    methods mean. A broken file raises an InputError that names file and field.

    Attributes:
      root: the folder that holds `videoset.csv`.
      label_space: label space of the annotations' codes.
      listing: 'videoset.csv', for messages.
      skipped: messages about malformed rows of `videoset.csv`, which are left out.
      videos: the videos, in the order of `videoset.csv`.
      doubts, lost_behaviours, bout_seconds: empty, because annotations have codes and
        no names or times.
    """

    remedy = "restore it, or correct 'frames' in videoset.csv"
    doubts: tuple[str, ...] = ()
    lost_behaviours: Mapping[str, str] = {}
    bout_seconds: Mapping[str, float] = {}

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
          root: the folder that holds `videoset.csv`.
          label_space: label space of the annotations' codes.
          videos: text file of the VIDs to use, one a line; by default all are used.
          annotations: folder that holds a folder of annotations for each video; by
            default one of the folders in which a release has them.
          test_videos: VIDs of the test split; by default those of `videoset.csv`.
          on_error: 'skip' leaves malformed rows out; 'fail' raises an InputError.

        Raises:
          InputError: a list is missing or malformed.
        """
        self.root = pathlib.Path(root)
        self.label_space = label_space
        videoset = self.root / "videoset.csv"
        self.listing = videoset.name
        rows = video_list.read_videoset(videoset)
        if videos is not None:
            rows = video_list.keep_only(rows, pathlib.Path(videos), str(videoset))
        self.skipped = tuple(row.problem for row in rows.malformed_rows)
        if self.skipped and on_error == "fail":
            raise InputError(self.skipped[0])
        self.videos = video_list.with_tests(
            rows.videos, test_videos, rows.malformed_rows
        )
        self._video_of = {video.vid: video for video in self.videos}
        self._annotation_folders = _annotation_folders(self.root)
        if annotations is not None:
            self._annotation_folders = [pathlib.Path(annotations)]

    def frames_path(self, vid: str) -> pathlib.Path:
        """Return the path of a video's file, or of the folder of its images.

        Args:
          vid: VID, the name of the video.

        Returns:
          a path in clips320H or pngs320H; that of a missing mp4 if neither has the
          video.
        """
        clips = self.root / "clips320H"
        for folder in (clips, self.root / "pngs320H"):
            path = video_paths.find(folder, vid)
            if path is not None:
                return path
        return clips / f"{vid}.mp4"

    def annotation_source(self, vid: str) -> pathlib.Path:
        """Return the folder of a video's annotations, which need not exist.

        Args:
          vid: VID, the name of the video.
        """
        for folder in self._annotation_folders:
            if (folder / vid).is_dir():
                return folder / vid
        return self._annotation_folders[0] / vid

    def annotation_path(self, vid: str, frame: int) -> pathlib.Path:
        """Return the path of a frame's `.mat`, or of its `.h5` if only that exists.

        Args:
          vid: VID, the name of the video.
          frame: number of the frame, from 1.
        """
        folder = self.annotation_source(vid)
        mat = folder / f"{frame:05d}.mat"
        h5 = folder / f"{frame:05d}.h5"
        if h5.is_file() and not mat.is_file():
            return h5
        return mat

    def files(self, vid: str) -> tuple[pathlib.Path, ...]:
        """Return the files of a video: those of its frames and its annotations."""
        frame_files = video_paths.files(self.frames_path(vid))
        return (*frame_files, *self._annotation_files(vid))

    def annotation_text(self, vid: str) -> str:
        """Return '', because a video's records depend on its files alone."""
        return ""

    def length(self, vid: str) -> int:
        """Return the number of frames that `videoset.csv` states for a video."""
        return self._video_of[vid].frames

    def annotated_frames(self, vid: str) -> tuple[int, ...]:
        """Return the numbers of a video's annotated frames, from 1, ascending.

        They are the names of its annotation files.

        Raises:
          InputError: the name of an annotation is not a frame's number.
        """
        paths = self._annotation_files(vid)
        for path in paths:
            if not re.fullmatch(r"[0-9]{5}", path.stem) or path.stem == "00000":
                example = f"00001{path.suffix}"
                raise InputError(
                    f"{path}: rename it to its 1-based number, such as {example}"
                )
        numbers = {int(path.stem) for path in paths}
        return tuple(sorted(numbers))

    def read_annotation(
        self, vid: str, frame: int, size: tuple[int, int] | None = None
    ) -> Annotation:
        """Read the ground truth of an annotated frame.

        Args:
          vid: VID, the name of the video.
          frame: number of the frame, from 1.
          size: (height, width) of the decoded frames in pixels; None for that of
            `videoset.csv`.

        Raises:
          InputError: the annotation is missing or broken.
        """
        video = self._video_of[vid]
        path = self.annotation_path(vid, frame)
        return read_hdf5(path, size or (video.height, video.width), self.label_space)

    def _annotation_files(self, vid: str) -> list[pathlib.Path]:
        # macOS leaves files with a leading dot beside copied ones.
        """Return the paths of a video's annotations, sorted by name."""
        paths = sorted(self.annotation_source(vid).glob("[!.]*"))
        return [path for path in paths if path.suffix in _SUFFIXES]


def _annotation_folders(root: pathlib.Path) -> list[pathlib.Path]:
    """Return the folders that may hold the annotations, a folder for each video."""
    parent = root.absolute().parent
    folders = [root / "Annotations" / "mat"]
    for folder in (root, root / "Annotations", parent, parent / "text_annotations"):
        folders.append(folder / _WITH_INSTANCES)
    return folders
