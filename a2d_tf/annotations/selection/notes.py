"""Sentences for the user on the annotations that records are made of."""

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
    """Return a note that lists the test videos that no file has assigned to the test.

    Args:
      videos: the annotated videos with their splits.
      annotations: {name of a video: its annotations}.
      is_kept: whether the split is that of earlier records; otherwise the note says how
        to keep it in the next records.

    Returns:
      a list of one sentence; an empty list if there are no such videos.
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
    """Return notes on what the videos that earlier records lack are used for.

    Args:
      splits: {name of a video: 'train' or 'test'}.
      selection: what the user says of splits, with the splits of earlier records.

    Returns:
      a list of at most three sentences, which name the new training videos whose frames
      `a2d next` asked the user to annotate, the other new training videos, and the new
      test videos. It is empty without earlier records.
    """
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
    """Return a note that lists the videos whose split differs from the earlier records.

    Args:
      splits: {name of a video: 'train' or 'test'}.
      earlier: {name of a video: its split} in earlier records, which may have other
        videos.

    Returns:
      a list of one sentence; an empty list if no video has changed its split.
    """
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
    """Return a note that lists the actors, actions and pairs that earlier records lack.

    Args:
      label_space: the label space of the new records.
      earlier_labels: the label space of the earlier records; None without any.

    Returns:
      a list of one sentence; an empty list if nothing is new.
    """
    if earlier_labels is None:
        return []
    new = earlier_labels.unknown_in(label_space)
    if not new:
        return []
    return [f"new beside the earlier records: {', '.join(new)}"]


def notes_on_names(names: Names, documents: Sequence[Document]) -> list[str]:
    """Return a note that lists the labels in the file of --names that no export has.

    Args:
      names: the content of that file, which maps labels to actors and actions.
      documents: the annotations of each file, with the labels that the tool lists.

    Returns:
      a list of one sentence; an empty list if each label occurs.
    """
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
