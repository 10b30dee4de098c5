"""Notes for the user on the annotations that are used, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.labels.names import Names
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations
from a2d_tf.annotations.selection.selection import Selection
from a2d_tf.annotations.selection.split import stated_split
from a2d_tf.core.errors import join_names
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.sources.video_list import Video


def notes_on_tests(
    videos: Sequence[Video],
    annotations: Mapping[str, VideoAnnotations],
    *,
    is_kept: bool,
) -> list[str]:
    """Return a note of the test videos whose files state no split, if there are any.

    Args:
      is_kept: whether earlier records had a split; else the note says how to keep it.
    """
    names = []
    for video in videos:
        if video.split == "test" and not stated_split(annotations[video.vid]):
            names.append(video.vid)
    if not names:
        return []
    advice = "that of earlier records, with new videos"
    if not is_kept:
        advice = (
            "a2d start --after keeps it as you add videos, as does a2d records"
            " --split_of with the folder of these records"
        )
    return [f"test split: {', '.join(sorted(names))}; {advice}"]


def notes_on_new(splits: Mapping[str, str], selection: Selection) -> list[str]:
    """Return notes of the videos that earlier records lack: what they are used for."""
    if not selection.earlier:
        return []
    asked = []
    chosen: dict[str, list[str]] = {"train": [], "test": []}
    for vid in sorted(splits.keys() - selection.earlier.keys()):
        if vid in selection.asked and splits[vid] == "train":
            asked.append(vid)
        else:
            chosen[splits[vid]].append(vid)
    notes = []
    if asked:
        notes.append(
            "new for training, as a2d next asked for frames of them:"
            f" {', '.join(asked)}"
        )
    purposes = {"train": "for training", "test": "in the test split"}
    for split, vids in chosen.items():
        if vids:
            notes.append(
                f"new {purposes[split]}, so that both splits show each pair:"
                f" {', '.join(vids)}"
            )
    return notes


def notes_on_sides(splits: Mapping[str, str], earlier: Mapping[str, str]) -> list[str]:
    """Return a note of the videos that were in the other split in earlier records."""
    names = [vid for vid in splits if earlier.get(vid, splits[vid]) != splits[vid]]
    if not names:
        return []
    return [
        "in another split than in the earlier records, as their files state it:"
        f" {join_names(sorted(names))}"
    ]


def notes_on_labels(
    label_space: LabelSpace, earlier_labels: LabelSpace | None
) -> list[str]:
    """Return a note of the labels that earlier records lack, if there are any."""
    if earlier_labels is None:
        return []
    new = earlier_labels.unknown_in(label_space)
    if not new:
        return []
    return [f"new beside the earlier records: {', '.join(new)}"]


def notes_on_names(names: Names, documents: Sequence[Document]) -> list[str]:
    """Return a note of the labels of `names` that no file has."""
    if not names.by_label:
        return []
    labels: set[str] = set()
    for document in documents:
        labels.update(label.label for label in document.tool_labels)
        for frame in document.frames:
            labels.update(instance.label for instance in frame.instances)
    unused = names.unused(labels)
    if not unused:
        return []
    return [f"--names: no label is called {join_names(unused)}"]
