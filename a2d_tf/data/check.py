"""Check that a source is complete: decode every frame and parse every annotation."""

from __future__ import annotations

import collections
import dataclasses
import functools

import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.core.workers import imap
from a2d_tf.data.clips import Source
from a2d_tf.data.release import annotated_frames

_COLUMNS = ("listed", "found", "whole", "published")
_ROWS = {
    "videos": ("listed", "found", "whole"),
    "train": ("listed", "found", "whole"),
    "test": ("listed", "found", "whole"),
    "frames": ("listed", "found"),
    "annotated frames": ("listed", "found", "whole"),
    "instances": ("found",),
}
# Xu et al., CVPR 2015, as the published videoset.csv counts them.
PUBLISHED = {"videos": 3782, "train": 3036, "test": 746, "annotated frames": 11926}


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Attributes:
      title: the source and its list of videos.
      forms: file formats of its frames and annotations.
      counts: {row: {column: number}}; a video or annotation is `found` if its file exists and
        `whole` if all of it can be read. Frames are `found` if they decode.
      problems: a line for each missing or broken item, with its file, field and remedy.
      notes: a line for each item that was repaired, or that differs without harm.
    """

    title: str
    forms: str
    counts: dict
    problems: tuple
    notes: tuple

    def text(self) -> str:
        """Format the report: a table, the problems, the notes and their numbers."""
        columns = [c for c in _COLUMNS if any(c in row for row in self.counts.values())]
        lines = [self.title, self.forms, "", f"{'':20}" + "".join(f"{c:>11}" for c in columns)]
        for name, row in self.counts.items():
            lines.append(f"{name:20}" + "".join(f"{row.get(c, ''):>11}" for c in columns))
        lines += ["", *(f"problem: {line}" for line in self.problems)]
        lines += [f"note: {line}" for line in self.notes]
        lines.append(f"problems: {len(self.problems)}, notes: {len(self.notes)}")
        return "\n".join(lines)


def check(source: Source, workers: int = 2) -> CheckReport:
    """Decode every frame to the last and parse every annotation.

    Args:
      source: the annotated videos.
      workers: number of processes.
    """
    examine = functools.partial(_examine, source)
    results = imap(examine, source.videos, min(workers, len(source.videos)))
    counts: collections.Counter = collections.Counter()
    forms: collections.Counter = collections.Counter()
    problems, notes = [item["reason"] for item in source.skipped], []
    for found in tqdm.tqdm(results, "Checking", total=len(source.videos), unit="video"):
        counts.update(found.counts)
        forms.update(found.forms)
        problems += found.problems
        notes += found.notes
    table = {
        row: {c: counts[row, c] for c in columns if c != "listed" or counts[row, c]}
        for row, columns in _ROWS.items()
    }
    if source.label_space == A2D and len(source.videos) == PUBLISHED["videos"]:
        for row, number in PUBLISHED.items():
            table[row]["published"] = number
    title = f"{source.root}: {source.listing}"
    kinds = (f"{number} {form}" for form, number in sorted(forms.items(), reverse=True))
    shown = ", ".join(kinds) or "no video and no annotation"
    return CheckReport(title, shown, table, tuple(problems), tuple(notes))


class _Finding:
    """The findings on a video; `counts` is {(row, column): number}."""

    def __init__(self):
        self.counts, self.forms = collections.Counter(), collections.Counter()
        self.problems, self.notes = [], []

    def problem(self, path, error: Exception) -> None:
        """Note a problem; its error names the path."""
        line = " ".join(str(error).split())
        if line not in self.problems:  # a broken video can be reported twice
            self.problems.append(line)


def _examine(source, video):
    found = _Finding()
    path, size = source.frames_path(video.vid), _examine_frames(source, video, found)
    _examine_annotations(source, video, size, found)
    for row in ("videos", source.split(video)):
        found.counts[row, "listed"] = 1
        found.counts[row, "found"] = int(path.exists())
        found.counts[row, "whole"] = int(not found.problems)
    if path.exists():
        found.forms[f"videos as {'images' if path.is_dir() else path.suffix[1:]}"] += 1
    return found


def _examine_frames(source, video, found):
    """Decode a video to its end; return its (height, width), None if no frame decodes."""
    path, size, decoded = source.frames_path(video.vid), None, 0
    try:
        for decoded, frame in source.read_frames(video.vid, None):  # noqa: B007
            size = frame.shape[:2]
    except InputError as error:
        found.problem(path, error)
    else:
        differs = f"{path}: {decoded} frames decode, but 'frames' in videoset.csv is {video.frames}"
        if decoded < video.frames:
            found.problem(path, InputError(f"{differs}; restore the video, or correct 'frames'"))
        elif decoded > video.frames > 0:
            found.notes.append(f"{differs}; those beyond are left out")
    found.counts["frames", "listed"] = video.frames
    found.counts["frames", "found"] = decoded
    return size


def _examine_annotations(source, video, size, found):
    keys = annotated_frames(source, video.vid, found.problem)
    found.counts["annotated frames", "listed"] = video.annotated
    found.counts["annotated frames", "found"] = len(keys)
    for key in keys:
        path = source.annotation_path(video.vid, key)
        found.forms[f"annotations as {path.suffix[1:]}"] += 1
        try:
            annotation = source.read_annotation(video.vid, key, size)
        except InputError as error:
            found.problem(path, error)
            continue
        found.counts["annotated frames", "whole"] += 1
        found.counts["instances", "found"] += len(annotation.codes)
        if annotation.note:
            found.notes.append(f"{path}: {annotation.note}")
