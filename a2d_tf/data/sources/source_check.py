"""Check a source of annotated videos: decode every frame and read every annotation."""

from __future__ import annotations

import collections
import dataclasses
import functools
from typing import NamedTuple

from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.machine.workers import imap
from a2d_tf.data.decoding import video_frames
from a2d_tf.data.record_folder.manifest import SPLITS
from a2d_tf.data.sources.source import RESTORE, Source, usable_frames
from a2d_tf.data.sources.video_list import Video


@dataclasses.dataclass
class _PairCounts:
    """The numbers of videos, frames and instances that show an actor-action pair."""

    videos: int = 0
    frames: int = 0
    instances: int = 0


_OF_PAIR = tuple(field.name for field in dataclasses.fields(_PairCounts))


@dataclasses.dataclass
class _VideoCheck:
    """The result of checking one video.

    Attributes:
      split: split of the video.
      frames: number of frames that can be decoded.
      annotated_frames: number of annotated frames that can be read.
      instances: number of instances in these frames.
      pairs: {code: counts of the pair in this video}.
      problems: messages about missing and broken items.
      notes: messages about repaired items and harmless differences.
    """

    split: str
    frames: int = 0
    annotated_frames: int = 0
    instances: int = 0
    pairs: dict[int, _PairCounts] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def add_problem(self, error: InputError | str) -> None:
        """Add a message as one line, once; a broken video can be reported twice."""
        line = " ".join(str(error).split())
        if line not in self.problems:
            self.problems.append(line)

    def add_codes(self, codes: list[int]) -> None:
        """Count the instances of an annotated frame by their codes."""
        self.annotated_frames += 1
        self.instances += len(codes)
        for code in set(codes):
            pair = self.pairs.setdefault(code, _PairCounts(videos=1))
            pair.frames += 1
            pair.instances += codes.count(code)


class CheckReport(NamedTuple):
    """The result of `check`.

    Attributes:
      text: the report, of several lines. It counts the videos of each split without
        problems, and the frames, annotated frames and instances that can be read, also
        by pair and split. It lists the problems, and notes about pairs with too few
        videos, names that may be misspelled, repaired annotations and harmless
        differences.
      problems: the problems in the text, a line for each missing or broken file, with
        its field and remedy.
    """

    text: str
    problems: list[str]


def check(source: Source, workers: int = 2) -> CheckReport:
    """Check all videos of a source in several processes, with a progress bar.

    Every frame is decoded and every annotation read; nothing is written.

    Args:
      source: the annotated videos.
      workers: number of processes.
    """
    videos = source.videos
    checks = imap(
        functools.partial(_check_video, source), videos, min(workers, len(videos))
    )
    totals: collections.Counter[str] = collections.Counter()
    pairs: dict[str, dict[int, _PairCounts]] = {split: {} for split in SPLITS}
    problems = list(source.skipped)
    notes = []
    for video_check in progress_bar(
        checks, "Checking", total=len(videos), unit="video"
    ):
        if not video_check.problems:
            totals["videos"] += 1
            totals[video_check.split] += 1
        totals["frames"] += video_check.frames
        totals["annotated frames"] += video_check.annotated_frames
        totals["instances"] += video_check.instances
        pairs_of_split = pairs[video_check.split]
        for code, counts in video_check.pairs.items():
            total = pairs_of_split.setdefault(code, _PairCounts())
            total.videos += counts.videos
            total.frames += counts.frames
            total.instances += counts.instances
        problems += video_check.problems
        notes += video_check.notes

    lines = [f"{source.root}: {source.listing}", ""]
    for name in ("videos", *SPLITS, "frames", "annotated frames", "instances"):
        lines.append(f"{name:20}{totals[name]:>11}")
    lines.append("")
    lines += _table_of_pairs(pairs, source.label_space)
    for behaviour, time in source.lost_behaviours.items():
        lines.append(f"{behaviour}, coded for {time}, is the action of no instance")
    lines.append("")
    notes = [*_lacks(pairs, source.label_space), *source.doubts, *notes]
    lines += [f"problem: {line}" for line in problems]
    lines += [f"note: {line}" for line in notes]
    lines.append(f"problems: {len(problems)}, notes: {len(notes)}")
    return CheckReport("\n".join(lines), problems)


def _check_video(source: Source, video: Video) -> _VideoCheck:
    """Decode the frames of a video and read its annotations."""
    checked = _VideoCheck(video.split)
    path = source.frames_path(video.vid)
    size: tuple[int, int] | None = None
    try:
        for number, frame in video_frames.read(path, None, source.remedy):
            checked.frames = number
            size = frame.shape[0], frame.shape[1]
    except InputError as error:
        checked.add_problem(error)
    else:
        difference = (
            f"{path}: {checked.frames} frames decode, not {video.frames} as listed in"
            f" {source.listing}"
        )
        if checked.frames < video.frames:
            checked.add_problem(f"{difference}; {RESTORE}")
        elif checked.frames > video.frames > 0:
            checked.notes.append(f"{difference}; the extra frames are ignored")

    frame_numbers = usable_frames(
        source, video, lambda path, error: checked.add_problem(error)
    )
    for number in frame_numbers:
        try:
            annotation = source.read_annotation(video.vid, number, size)
        except InputError as error:
            checked.add_problem(error)
            continue
        checked.add_codes(annotation.codes.tolist())
        if annotation.note:
            file = source.annotation_path(video.vid, number)
            checked.notes.append(f"{file}: {annotation.note}")
    return checked


def _codes(pairs: dict[str, dict[int, _PairCounts]]) -> list[int]:
    """Return the codes of pairs that occur in a split, ascending."""
    codes: set[int] = set()
    for split in SPLITS:
        codes.update(pairs[split])
    return sorted(codes)


def _table_of_pairs(
    pairs: dict[str, dict[int, _PairCounts]], labels: LabelSpace
) -> list[str]:
    """Return a table as lines: a row for each pair, with its counts in each split.

    Args:
      pairs: {split: {code: counts of the pair}}.
      labels: label space of the codes.
    """
    codes = _codes(pairs)
    width = max(len(labels.name(code)) for code in [0, *codes])
    titles = [f"{'pair':{width}}", *_OF_PAIR, *_OF_PAIR]
    lines = [f"{'':{width}}  {'train':25}  test", "  ".join(titles)]
    for code in codes:
        cells = [f"{labels.name(code):{width}}"]
        for split in SPLITS:
            counts = dataclasses.asdict(pairs[split].get(code, _PairCounts()))
            for title, count in counts.items():
                cells.append(f"{count:>{len(title)}}")
        lines.append("  ".join(cells))
    return lines


def _lacks(pairs: dict[str, dict[int, _PairCounts]], labels: LabelSpace) -> list[str]:
    """Return notes about the pairs of which there are too few videos.

    Args:
      pairs: {split: {code: counts of the pair}}.
      labels: label space of the codes.
    """
    without_test = []
    with_few_trainings = []
    for code in _codes(pairs):
        if code not in pairs["test"]:
            without_test.append(labels.name(code))
        if pairs["train"].get(code, _PairCounts()).videos < 2:
            with_few_trainings.append(labels.name(code))
    notes = []
    if without_test:
        notes.append(f"pairs without a test video: {', '.join(without_test)}")
    if with_few_trainings:
        names = ", ".join(with_few_trainings)
        notes.append(f"pairs with one training video or none: {names}")
    return notes
