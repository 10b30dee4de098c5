"""Metrics files, and the paper's Tables 1 and 2 with ours beside the published rows.

Published figures: Ji et al., ECCV 2018, Tables 1 to 3, all on A2D's own test split.
"""

from __future__ import annotations

import os

from a2d_tf.core.files import write_json

KINDS = ("actor", "action", "joint")

# ave, glo, mIoU for actor, action, joint; None where the paper prints a dash.
SEGMENTATION_ROWS = (
    ("Trilayer", (45.7, 74.6, None, 47.0, 74.6, None, 25.4, 76.2, None)),
    ("GPM+TSP", (58.3, 85.2, 33.4, 60.5, 85.3, 32.0, 43.3, 84.2, 19.9)),
    ("GPM+GBH", (59.4, 84.8, 33.3, 61.2, 84.9, 31.9, 43.9, 83.8, 19.9)),
    ("TSMT+GBH", (72.9, 85.8, 42.7, 61.4, 84.6, 35.5, 48.0, 83.9, 24.9)),
    ("TSMT+SM", (73.7, 90.6, 49.5, 60.5, 89.3, 42.2, 47.5, 88.7, 29.7)),
    ("Ji et al., full", (79.1, 94.5, 66.4, 62.9, 92.6, 46.3, 51.4, 92.5, 36.9)),
    ("Mask R-CNN baseline", (62.8, 84.2, 33.7, 59.6, 84.0, 30.3, 41.7, 82.5, 19.1)),
    ("w/o mask + SM", (76.6, 92.2, 60.3, 60.7, 90.3, 42.9, 49.0, 89.8, 32.4)),
    ("w/o temporal", (79.0, 94.1, 66.1, 61.8, 92.0, 45.5, 50.3, 90.2, 35.3)),
    ("w/o flow", (79.5, 93.7, 66.5, 60.4, 86.3, 36.8, 46.2, 87.8, 29.4)),
    ("w/o joint", (77.7, 93.2, 63.2, 62.1, 91.3, 45.2, 50.9, 90.1, 33.6)),
)
# mAP for actor, action, joint.
DETECTION_ROWS = (
    ("TSCT", (67.2, 60.2, 49.2)),
    ("TSHR", (67.9, 59.6, 49.6)),
    ("TSMT", (68.3, 60.0, 48.9)),
    ("Ji et al., full", (77.2, 62.4, 55.5)),
)
# Figure in `metrics.json` -> its name in tables.
BEST_MASKS = {
    **{f"p{level}": f"P@0.{level // 10}" for level in (50, 60, 70, 80, 90)},
    "overall_iou": "overall IoU",
    "mean_iou": "mean IoU",
}
COCO = {
    **{name: name.upper() for name in ("ap", "ap50", "ap75")},
    **{f"ap_{size}": f"AP {size}" for size in ("small", "medium", "large")},
}
OVER_TIME = {
    "hota": "HOTA",
    "det_a": "DetA",
    "ass_a": "AssA",
    "loc_a": "LocA",
    "idf1": "IDF1",
    "idp": "IDP",
    "idr": "IDR",
    "stq": "STQ",
    "aq": "AQ",
    "sq": "SQ",
    "tube_ap": "AP",
    "tube_ap50": "AP50",
    "label_changes": "changes",
}
NOTE = "Published rows are for A2D's own test split: compare only figures of that split."


def write_metrics(metrics: dict, path: str | os.PathLike) -> None:
    """Write `metrics.json`: figures in percent, except thresholds, counts and ratios."""
    write_json(path, metrics, sort_keys=True)


def table(metrics: dict, name: str = "ours") -> str:
    """Format Tables 1 and 2: the published rows, then ours; `-` where a part is absent.

    Zero-shot figures, COCO's APs, the figures of best masks, calibration errors and the scores over
    time follow, if any.

    Args:
      metrics: as in `metrics.json`, every part optional.
      name: of our row.
    """
    segmentation = metrics.get("segmentation", {})
    ours = [
        segmentation.get(kind, {}).get(measure)
        for kind in KINDS
        for measure in ("ave", "glo", "miou")
    ]
    detection = [metrics.get("detection", {}).get(kind) for kind in KINDS]
    heads = [f"{kind} {measure}" for kind in KINDS for measure in ("ave", "glo", "mIoU")]
    lines = [
        "Table 1: segmentation, percent",
        *_rows(heads, [*SEGMENTATION_ROWS, (name, ours)]),
        "",
        "Table 2: detection, mAP at IoU 0.5, percent",
        *_rows(KINDS, [*DETECTION_ROWS, (name, detection)]),
        "",
    ]
    zero_shot = metrics.get("zero_shot")
    if zero_shot:
        ratio = zero_shot.get("ratio")
        values = [zero_shot.get(figure) for figure in ("ap", "chance", "full_ap")]
        values.append(None if ratio is None else 100 * ratio)
        lines += [
            f"Figure 4: zero-shot actions of '{zero_shot['actor']}', AP and r_zs in percent",
            *_rows(("AP", "chance", "full model", "r_zs"), [(name, values)]),
            "",
        ]
    for title, heads, rows in further(metrics, name):
        lines += [title, *_rows(heads, rows, max(5, *map(len, heads))), ""]
    return "\n".join([*lines, NOTE])


def further(metrics: dict, name: str = "ours") -> list[tuple[str, list, list]]:
    """Return the tables of what the paper does not have, as far as the metrics have it.

    Args:
      metrics: as in `metrics.json`.
      name: of our row.

    Returns:
      (title, headings, rows) of each; a row is its name and its figures, None where there is none.
    """
    coco, masks, errors, tracks = (
        metrics.get(part) for part in ("coco", "best_masks", "calibration", "over_time")
    )
    found: list[tuple[str, list, list]] = []
    if coco:
        rows = [(kind, [figures.get(ap) for ap in COCO]) for kind, figures in coco.items()]
        found.append(("COCO's AP of the pairs, percent", [*COCO.values()], rows))
    if masks:
        row = [masks[figure] for figure in BEST_MASKS]
        title = "The best mask of each instance's pair, percent"
        found.append((title, [*BEST_MASKS.values()], [(name, row)]))
    if errors:
        kinds = [kind for kind in KINDS if kind in errors]
        row = [errors[kind]["ece"] for kind in kinds]
        title = "Calibration error (ECE) of the instances found, percent"
        found.append((title, [f"p({kind})" for kind in kinds], [(name, row)]))
    if tracks:
        title = (
            f"Over time, {tracks['videos']} videos with {tracks['frames']} frames: percent; AP of "
            "tubes; label changes per 100 frames"
        )
        rows = [
            (kind, [tracks[kind].get(figure) for figure in OVER_TIME]) for kind in ("any", *KINDS)
        ]
        found.append((title, [*OVER_TIME.values()], rows))
    return found


def over_time(figures: dict) -> str:
    """Format the scores over time alone; see `evaluation.track_metrics`."""
    ((title, heads, rows),) = further({"over_time": figures})
    return "\n".join([title, *_rows(heads, rows, 7)])


def figure(value: float | None) -> str:
    """Format a figure; `-` where there is none."""
    return "-" if value is None else f"{value:.1f}"


def _rows(heads, rows, wide=11):
    width = max(len(label) for label, _ in rows)
    yield " " * width + "".join(f"  {head:>{wide}}" for head in heads)
    for label, values in rows:
        yield f"{label:<{width}}" + "".join(f"  {figure(value):>{wide}}" for value in values)
