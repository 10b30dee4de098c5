"""The figures of a report: frames of the test split, and zero-shot transfer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.batches import pipeline
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.evaluation.frames import label_maps
from a2d_tf.evaluation.metrics.tables import figure
from a2d_tf.evaluation.reports import charts
from a2d_tf.evaluation.reports.blocks import Block, Heading, Picture, TableBlock
from a2d_tf.evaluation.reports.charts import Panel
from a2d_tf.ops import visualize
from a2d_tf.paper import table_rows
from a2d_tf.paper.results import Result
from a2d_tf.paper.table_rows import OUR_ROWS
from a2d_tf.runs import scores

_PICTURED = (
    "full",
    "mask_rcnn_baseline",
    "no_mask",
    "no_temporal",
    "no_flow",
    "no_joint",
)
_FRAMES = 6  # frames shown


def frames(results: Mapping[str, Result], manifest: Manifest) -> list[Block]:
    """Return the paper's Fig. 3: test frames with the label maps of rows of ours.

    The list is empty if the records have boxes, but no masks.

    Args:
      results: {name of a row of ours: its result}.
      manifest: the manifest of the records.
    """
    folders = {row: results[row].test for row in _PICTURED if row in results}
    if not folders:
        return []
    all_frames = label_maps.frames_of(next(iter(folders.values())))
    if not all_frames:
        return []
    space = manifest.label_space
    shown_frames = _spread_frames(all_frames)
    images = dict(pipeline.key_frames(manifest, scores.TEST, set(shown_frames)))

    panels = []
    for frame in shown_frames:
        image = images[frame]
        maps = []
        for folder in folders.values():
            maps.append(label_maps.read_maps(folder, frame, space))
        truth = maps[0].truth  # the same in all
        present = ", ".join(space.name(code) for code in np.unique(truth) if code)
        panels.append(Panel(f"{frame}: {present}", image))
        for codes in (truth, *(of_row.prediction for of_row in maps)):
            drawn = visualize.overlay_indices(image, codes, space.palette)
            panels.append(Panel("", drawn))
    heads = ["input", "truth"]
    heads += [OUR_ROWS[row].title for row in folders]
    png = charts.sheet(panels, len(heads), 1.9, heads)
    caption = "Key frame, truth and the prediction of each variant; colours are pairs."
    return [
        Heading("Fig. 3: frames of the test split"),
        Picture("frames", png, caption),
    ]


class _ZeroShot(NamedTuple):
    """The figures of Fig. 4 for an actor whose action labels were withheld.

    Attributes:
      actor: the name of the actor.
      ap: the AP in percent of the network that trained without its action labels.
      full_ap: the AP in percent of the full model; None if there is none.
      chance: the AP in percent if actions are guessed.
    """

    actor: str
    ap: float
    full_ap: float | None
    chance: float

    def cells(self) -> list[str]:
        """Return the cells of its row, with the ratios to the full model."""
        ratios = ["-", "-"]
        if self.full_ap:
            ratios = [
                f"{self.ap / self.full_ap:.2f}",
                f"{self.chance / self.full_ap:.2f}",
            ]
        aps = [figure(self.ap), figure(self.full_ap), figure(self.chance)]
        return [self.actor, *aps, *ratios]


def zero_shot(metrics: Mapping[str, dict[str, Any]], labels: LabelSpace) -> list[Block]:
    """Return the paper's Fig. 4: zero-shot transfer of actions to an actor.

    The list is empty if no row was trained without the action labels of an actor.

    Args:
      labels: the label space of the records.
      metrics: {name of a row of ours: `metrics.json`}.
    """
    withheld = []
    for number, actor in enumerate(labels.actors, 1):
        row = table_rows.zero_shot_row(actor)
        figures = metrics.get(row, {}).get("zero_shot")
        if not figures:
            continue
        full_ap = None
        if "full" in metrics:
            full_ap = metrics["full"]["zero_shot_actor_ap"][str(number)]
        withheld.append(
            _ZeroShot(
                actor=actor,
                ap=figures["ap"],
                full_ap=full_ap,
                chance=figures["chance"],
            )
        )
    if not withheld:
        return []
    groups: dict[str, list[float | None]] = {
        "zero-shot": [row.ap for row in withheld],
        "full model": [row.full_ap for row in withheld],
        "chance": [row.chance for row in withheld],
    }
    actors = [row.actor for row in withheld]
    png = charts.bars(groups, actors, "AP per held-out actor")
    caption = "AP per held-out actor, beside the full model and chance."
    heads = ("held out", "AP", "full model", "chance", "r_zs", "r of chance")
    return [
        Heading("Fig. 4: actions of an actor whose action labels were withheld"),
        Picture("zero_shot", png, caption),
        TableBlock(heads, [row.cells() for row in withheld]),
    ]


def _spread_frames(frames: Iterable[str]) -> list[str]:
    """Choose one frame of each of _FRAMES videos, spread over the split."""
    frame_of_video = {}
    for frame in frames:
        video, _, _ = frame.partition("/")
        frame_of_video[video] = frame
    count = len(frame_of_video)
    indices = np.linspace(0, count - 1, min(_FRAMES, count)).astype(int)
    last_frames = list(frame_of_video.values())
    return [last_frames[i] for i in indices]
