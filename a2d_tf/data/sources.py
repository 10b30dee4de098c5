"""Sources of annotated videos: the check that one is complete, and the clips of its
videos.

A clip is an annotated frame with its neighbours, and the flow into each.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.progress import progress_bar
from a2d_tf.core.workers import imap
from a2d_tf.data import video_frames
from a2d_tf.data.a2d_annotations import Annotation
from a2d_tf.data.manifest import SPLITS
from a2d_tf.data.release import Video
from a2d_tf.data.stored_frames import FramePreparer, StoredFrame

_COUNTS = ("videos", "train", "test", "frames", "annotated frames", "instances")
_OF_PAIR = ("videos", "frames", "instances")
_RESTORE = "restore the missing files, or correct that number"


class Source(Protocol):
    """Annotated videos: a `release.Release`, or an
    `annotations.annotated_videos.AnnotatedVideos`.

    Broken files raise an InputError that names file and field. Frames are numbered from
    1.

    Attributes:
      root: folder that reports name; the manifest names items relative to it.
      label_space: label space of the annotations' codes.
      videos: the videos of both splits; their `frames` as annotated, or 0 where that is
        unknown.
      listing: what lists the videos, for reports.
      remedy: what to do about a broken video; ends messages.
      skipped: what is wrong with entries of the listing that are left out.
      doubts: notes of names that may be misspelled.
    """

    root: pathlib.Path
    label_space: LabelSpace
    videos: tuple[Video, ...]
    listing: str
    remedy: str
    skipped: tuple[str, ...]
    doubts: tuple[str, ...]

    def frames_path(self, vid: str) -> pathlib.Path:
        """Return the video file, or the folder of its frames; it need not exist."""

    def annotation_folder(self, vid: str) -> pathlib.Path:
        """Return what messages name as a video's annotations."""

    def annotation_path(self, vid: str, frame: int) -> pathlib.Path:
        """Return the file of a frame's annotation."""

    def files(self, vid: str) -> tuple[pathlib.Path, ...]:
        """Return the files that a video's records depend on."""

    def annotation_text(self, vid: str) -> str:
        """Return what else they depend on, as text."""

    def length(self, vid: str) -> int:
        """Return the number of frames of a video."""

    def annotated_frames(self, vid: str) -> tuple[int, ...]:
        """Return the numbers of a video's annotated frames, ascending."""

    def read_annotation(
        self, vid: str, frame: int, size: tuple[int, int] | None = None
    ) -> Annotation:
        """Read a frame's ground truth; `size` is the (height, width) of the decoded
        frames.
        """


Skip = Callable[[pathlib.Path, InputError], None]
"""Take the path of a missing or broken item, which is left out, and its error; or
raise that.
"""


def usable_frames(source: Source, video: Video, skip: Skip) -> tuple[int, ...]:
    """Return the numbers of a video's annotated frames that exist, ascending; skip
    the others.
    """
    try:
        item = source.annotation_folder(video.vid)
        numbers = source.annotated_frames(video.vid)
        item = source.frames_path(video.vid)
        length = source.length(video.vid)
    except InputError as error:
        skip(item, error)
        return ()
    for number in numbers:
        if number > length:
            path = source.annotation_path(video.vid, number)
            problem = (
                f"{path}: annotates frame {number}, but"
                f" {source.frames_path(video.vid)} has"
            )
            skip(
                path,
                InputError(
                    f"{problem} {length} according to {source.listing}; {_RESTORE}"
                ),
            )
    if len(numbers) < video.annotated:
        folder = source.annotation_folder(video.vid)
        problem = (
            f"{folder}: annotates {len(numbers)} frames, not {video.annotated} as"
            " listed in"
        )
        skip(folder, InputError(f"{problem} {source.listing}; {_RESTORE}"))
    return tuple(number for number in numbers if number <= length)


def check(source: Source, workers: int = 2) -> tuple[str, list[str]]:
    """Decode every frame to the last and parse every annotation, in several processes.

    Returns:
      (a report; the problems in it, a line for each missing or broken item, with its
      file, field and remedy). The report counts the videos that are whole, in all and
      of each split, and the frames, annotated frames and instances that can be read,
      also by pair and split. It notes what pairs lack, names that may be misspelled,
      and items that were repaired, or that differ without harm.
    """
    examine = functools.partial(_examine, source)
    examined = imap(examine, source.videos, min(workers, len(source.videos)))
    counts, problems, notes = (
        collections.Counter[Hashable](),
        [*source.skipped],
        [*source.doubts],
    )
    for numbers, broken, harmless in progress_bar(
        examined, "Checking", total=len(source.videos), unit="video"
    ):
        counts.update(numbers)
        problems += broken
        notes += harmless
    lines = [f"{source.root}: {source.listing}", ""]
    lines += [*(f"{name:20}{counts[name]:>11}" for name in _COUNTS), ""]
    table, lacking = _by_pair(counts, source.label_space)
    lines, notes = [*lines, *table, ""], [*lacking, *notes]
    lines += [f"problem: {line}" for line in problems] + [
        f"note: {line}" for line in notes
    ]
    lines.append(f"problems: {len(problems)}, notes: {len(notes)}")
    return "\n".join(lines), problems


def _by_pair(counts, labels):
    """Return a table of the pairs, and notes of what they lack; of the counts of
    `_examine`.
    """
    codes = sorted({key[0] for key in counts if isinstance(key, tuple)})
    width = max(len(labels.name(code)) for code in [0, *codes])
    table = [
        f"{'':{width}}  {'train':25}  test",
        "  ".join([f"{'pair':{width}}", *_OF_PAIR * 2]),
    ]
    for code in codes:
        cells = [
            f"{counts[code, split, x]:>{len(x)}}" for split in SPLITS for x in _OF_PAIR
        ]
        table.append("  ".join([f"{labels.name(code):{width}}", *cells]))
    least = {
        "without a test video": ("test", 1),
        "with one training video or none": ("train", 2),
    }
    few = {
        lack: [
            labels.name(code)
            for code in codes
            if counts[code, split, "videos"] < number
        ]
        for lack, (split, number) in least.items()
    }
    return table, [
        f"pairs {lack}: {', '.join(names)}" for lack, names in few.items() if names
    ]


def _examine(
    source: Source, video: Video
) -> tuple[dict[Hashable, int], list[str], list[str]]:
    """Return the counts, also by (code, split, `_OF_PAIR`), problems and notes of a
    video.
    """
    problems, notes = [], []
    counts = collections.Counter[Hashable]()
    path, decoded = source.frames_path(video.vid), 0
    size: tuple[int, int] | None = None

    def problem(path: pathlib.Path, error: InputError | str) -> None:
        problems.append(" ".join(str(error).split()))

    try:
        for decoded, frame in video_frames.read(path, None, source.remedy):  # noqa: B007
            size = frame.shape[0], frame.shape[1]
    except InputError as error:
        problem(path, error)
    else:
        differs = f"{path}: {decoded} frames decode, not {video.frames} as listed in"
        if decoded < video.frames:
            problem(path, f"{differs} {source.listing}; {_RESTORE}")
        elif decoded > video.frames > 0:
            notes.append(f"{differs} {source.listing}; the extra frames are ignored")
    for key in usable_frames(source, video, problem):
        file = source.annotation_path(video.vid, key)
        try:
            annotation = source.read_annotation(video.vid, key, size)
        except InputError as error:
            problem(file, error)
            continue
        codes = annotation.codes.tolist()
        counts.update({"annotated frames": 1, "instances": len(codes)})
        for code in {*codes}:
            counts[code, video.split, "videos"] = 1
            counts[code, video.split, "frames"] += 1
            counts[code, video.split, "instances"] += codes.count(code)
        if annotation.note:
            notes.append(f"{file}: {annotation.note}")
    whole = int(not problems)
    counts.update({"videos": whole, video.split: whole, "frames": decoded})
    # A broken video can be reported twice.
    return counts, list(dict.fromkeys(problems)), notes


@dataclasses.dataclass(frozen=True)
class ClipRecord:
    """The contents of a record.

    Attributes:
      video, frame, split, clip_frames: as of `clip_records.ClipTruth`.
      rgb: T times uint8 [h, w, 3], at the stored size.
      flow: T times float32 [h, w, 2], (u, v), pixels of the stored frames, how far each
        pixel has moved since the previous source frame.
      annotation: the key frame's ground truth, at the native size.
    """

    video: str
    frame: int
    split: str
    clip_frames: tuple[int, ...]
    rgb: Sequence[np.ndarray]
    flow: Sequence[np.ndarray]
    annotation: Annotation


@dataclasses.dataclass(frozen=True)
class ConversionSettings:
    """Settings that determine the contents of the records.

    Attributes:
      flow_method: one of `flow.METHODS`.
      image_height, image_width: size that frames are resized to fit into, keeping their
        aspect.
      clip_frames: T, odd.
      clip_stride: source frames from one clip frame to the next; flow always spans one.
      shard_videos: videos per shard.
    """

    flow_method: str = "dis"
    image_height: int = 256
    image_width: int = 256
    clip_frames: int = 5
    clip_stride: int = 1
    shard_videos: int = 32

    def __post_init__(self) -> None:
        if self.clip_frames % 2 == 0:
            raise InputError(f"--clip_frames must be odd; got {self.clip_frames}")


def clip_sources(
    key: int, count: int, stride: int, length: int
) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return the `count` source frames of a clip around a key frame, and which are
    clamped.

    Numbers are 1-based. Beyond an end of the video the nearest frame is taken, with
    zero flow.
    """
    unclamped = [key + (i - count // 2) * stride for i in range(count)]
    sources = tuple(min(max(frame, 1), length) for frame in unclamped)
    return sources, tuple(frame != source for frame, source in zip(unclamped, sources))


class _ClipPlan(NamedTuple):
    """The source frames of a clip, not yet decoded; as of `clip_sources`."""

    key: int
    numbers: tuple[int, ...]
    is_clamped: tuple[bool, ...]


def clips_of(
    source: Source, settings: ConversionSettings, video: Video, skip: Skip
) -> Iterator[ClipRecord]:
    """Yield the clips of a video, which is decoded once, in the order of their key
    frames.

    A clip comes as soon as its last frame is decoded, and only frames that a later clip
    needs are kept, so that memory does not grow with the video. Clips that need a
    skipped item are left out.
    """
    keys = usable_frames(source, video, skip)
    if not keys:
        return
    plans = collections.deque[_ClipPlan]()
    needed: set[int] = set()
    with_flow: set[int] = set()
    for key in keys:
        numbers, is_clamped = clip_sources(
            key,
            settings.clip_frames,
            settings.clip_stride,
            source.length(video.vid),
        )
        plans.append(_ClipPlan(key, numbers, is_clamped))
        needed.update(numbers)
        for number, clamped in zip(numbers, is_clamped):
            if number > 1 and not clamped:
                with_flow.add(number)
                needed.add(number - 1)
    if video.frames:
        # The video's last frame is decoded too, to show that none is missing.
        needed.add(video.frames)

    preparer = FramePreparer(
        settings.image_height, settings.image_width, settings.flow_method
    )
    rgbs: dict[int, np.ndarray] = {}
    flows: dict[int, np.ndarray] = {}
    previous: StoredFrame | None = None
    path = source.frames_path(video.vid)
    try:
        for number, native in video_frames.read(path, needed, source.remedy):
            frame = preparer.prepare(native)
            no_flow = preparer.no_flow(frame)
            rgbs[number] = frame.rgb
            flows[number] = no_flow
            if number in with_flow:
                flows[number] = preparer.flow(previous, frame)
            previous = frame
            native_size = native.shape[0], native.shape[1]
            while plans and plans[0].numbers[-1] <= number:
                plan = plans.popleft()
                try:
                    annotation = source.read_annotation(
                        video.vid, plan.key, native_size
                    )
                except InputError as error:
                    skip(source.annotation_path(video.vid, plan.key), error)
                    continue
                clip_flows = []
                for n, clamped in zip(plan.numbers, plan.is_clamped):
                    clip_flows.append(no_flow if clamped else flows[n])
                yield ClipRecord(
                    video=video.vid,
                    frame=plan.key,
                    split=video.split,
                    clip_frames=plan.numbers,
                    rgb=[rgbs[n] for n in plan.numbers],
                    flow=clip_flows,
                    annotation=annotation,
                )
            first_needed = plans[0].numbers[0] if plans else number
            for n in list(rgbs):
                if n < first_needed:
                    del rgbs[n], flows[n]
    except InputError as error:
        skip(path, error)
