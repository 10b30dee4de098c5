"""COCO results: every form that is read, what is written, and COCO's own AP."""

import json

import numpy as np
import pytest
from a2d_files import mask
from pycocotools import mask as rle_tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.boxes import coco_json
from a2d_tf.evaluation.boxes.instance_tables import Results, Truth
from a2d_tf.evaluation.metrics import coco

SIZE = (8, 12)
SQUARE = [[2, 1, 6, 1, 6, 5, 2, 5]]  # x 2..6, y 1..5
INSIDE = mask(*SIZE, 1, 2, 5, 6)


def truth_of(**changes):
    fields = {"sizes": [SIZE, SIZE], "image_ids": [5, "b"], "source": "truth.json"}
    return Truth(["v/1", "w/1"], [0], [[2, 1, 6, 5]], [11], **{**fields, **changes})


def read(folder, entries, truth=None):
    path = folder / "results.json"
    path.write_text(json.dumps(entries))
    return Results.load(path, truth or truth_of(), A2D)


def test_entries_are_read_as_they_were_written(tmp_path):
    masks = np.stack([INSIDE, np.zeros(SIZE, bool), ~INSIDE])
    boxes = np.array([[1, 2, 5, 6], [0, 0, 3.25, 4], [0, 0, 8, 12]])
    entries = coco_json.result_entries(
        "b", boxes, [11, 78, 39], [0.5, 0.25, 1 / 3], map(encode_mask, masks)
    )
    assert entries[0]["bbox"] == [2, 1, 4, 4] and entries[0]["image_id"] == "b"
    results = read(tmp_path, entries)
    assert (
        results.frames.tolist() == ["v/1", "w/1"]
        and results.box_frame.tolist() == [1] * 3
    )
    assert np.array_equal(results.boxes, boxes)
    assert results.codes.tolist() == [11, 78, 39]
    assert results.scores.tolist() == [0.5, 0.25, 0.333333]
    assert np.array_equal(rle_tools.decode(results.masks).transpose(2, 0, 1), masks)
    assert rle_tools.area(results.masks).tolist() == [16, 0, 80]


ENTRY = {"image_id": 5, "category_id": 11, "score": 1}


def test_masks_in_every_form_give_the_same_box(tmp_path):
    runs = np.diff(
        np.flatnonzero(np.diff(INSIDE.T.ravel(), prepend=False)), prepend=0
    ).tolist()
    runs.append(SIZE[0] * SIZE[1] - sum(runs))
    forms = [SQUARE, encode_mask(INSIDE), {"size": list(SIZE), "counts": runs}]
    results = read(tmp_path, [{**ENTRY, "segmentation": form} for form in forms])
    assert results.boxes.tolist() == [[1, 2, 5, 6]] * 3
    assert results.masks == [encode_mask(INSIDE)] * 3


def test_a_box_needs_no_mask_and_stands_over_it(tmp_path):
    box = {**ENTRY, "bbox": [1, 2, 3.5, 4]}
    results = read(tmp_path, [box, {**box, "segmentation": SQUARE}])
    assert results.boxes.tolist() == [[2, 1, 6, 4.5]] * 2
    assert results.masks is None
    # empty, yet a mask
    assert read(tmp_path, [{**box, "segmentation": []}]).masks is not None
    # A truth without sizes has no masks to compare with.
    unsized = truth_of(sizes=None)
    assert read(tmp_path, [{**box, "segmentation": SQUARE}], unsized).masks is None
    with pytest.raises(InputError, match=r"\[0\]\.bbox.*'width' and 'height'"):
        read(tmp_path, [{**ENTRY, "segmentation": SQUARE}], unsized)


RLE = {"size": [8, 12], "counts": [96]}


@pytest.mark.parametrize(
    "entries, field",
    [
        ({}, "content"),
        ([{**ENTRY, "bbox": [0, 0, 1, 1]}, {}], r"\[1\]\.image_id"),
        ([{**ENTRY, "image_id": "5"}], r"\[0\]\.image_id: '5'"),
        ([{**ENTRY, "category_id": 10}], r"\[0\]\.category_id: 10"),
        ([{"image_id": 5, "category_id": 11, "bbox": [0, 0, 1, 1]}], r"\[0\]\.score"),
        ([{**ENTRY, "score": float("nan")}], r"\[0\]\.score"),
        ([ENTRY], r"\[0\]\.bbox"),
        (
            [{**ENTRY, "segmentation": {**RLE, "size": [12, 8]}}],
            r"\[0\]\.segmentation: .*size",
        ),
        (
            [{**ENTRY, "segmentation": {**RLE, "counts": "21"}}],
            r"\[0\]\.segmentation: .*add up",
        ),
        ([{**ENTRY, "segmentation": "mask"}], r"\[0\]\.segmentation"),
        (
            [{**ENTRY, "segmentation": [[0, 0, 1, 1]]}],
            r"\[0\]\.segmentation: a polygon",
        ),
    ],
)
def test_malformed_entries_are_named(tmp_path, entries, field):
    with pytest.raises(InputError, match=rf"results\.json: .*{field}"):
        read(tmp_path, entries)


# ---- COCO's own AP


def random_files(folder):
    """Write a random truth and results near it, with masks, in frames of three sizes.

    Returns their paths.
    """
    rng, annotations, results = np.random.default_rng(0), [], []
    sizes = [(200, 200), (200, 280), (220, 200)]
    images = [
        {"id": 10 + i, "file_name": f"v/{i:05d}.png", "height": height, "width": width}
        for i, (height, width) in enumerate(sizes)
    ]
    for i in range(18):
        height, width = sizes[i % 3]
        centre, radius = rng.uniform(40, 160, 2), rng.uniform(15, 70, 2)
        y, x = np.ogrid[:height, :width]
        inside = ((y - centre[0]) / radius[0]) ** 2 + (
            (x - centre[1]) / radius[1]
        ) ** 2 <= 1
        code = int(rng.choice([11, 12, 21]))
        for shift in (None, 0, 5, 20):
            rle = encode_mask(np.roll(inside, shift or 0, axis=(0, 1)))
            entry = {"image_id": 10 + i % 3, "category_id": code, "segmentation": rle}
            entry["bbox"] = rle_tools.toBbox(rle).tolist()
            if shift is None:
                facts = {"id": i + 1, "iscrowd": 0, "area": int(inside.sum())}
                annotations.append({**entry, **facts})
            else:
                said = {
                    "category_id": int(rng.choice([code, 22])),
                    "score": round(rng.random(), 1),
                }
                results.append({**entry, **said})
    truth = {"images": images, "annotations": annotations}
    truth["categories"] = [{"id": code, "name": str(code)} for code in A2D.codes]
    for name, value in (("truth", truth), ("results", results)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder / "truth.json", folder / "results.json"


def test_agrees_with_pycocotools_on_the_files(tmp_path, capsys):
    truth_path, results_path = random_files(tmp_path)
    truth = Truth.load(truth_path, A2D)
    ours = coco.coco_aps(Results.load(results_path, truth, A2D), truth)
    assert capsys.readouterr().out == ""
    true = COCO(str(truth_path))
    entries = json.loads(results_path.read_text())
    for kind, name, other in (
        ("box", "bbox", "segmentation"),
        ("mask", "segm", "bbox"),
    ):
        # With both fields, pycocotools would take the areas of boxes for masks too.
        found = true.loadRes(
            [{k: v for k, v in e.items() if k != other} for e in entries]
        )
        evaluation = COCOeval(true, found, name)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        ap, ap50, ap75, *sizes = evaluation.stats[:6]
        assert (
            0 < ap < ap50 < 1
            and 0 < ap75 < ap50
            and min(sizes) >= 0
            and len({*sizes}) == 3
        )
        names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
        assert ours[kind] == pytest.approx(dict(zip(names, 100 * evaluation.stats[:6])))


def test_nothing_found_and_nothing_to_find():
    def results(count):
        boxes, codes = np.tile([2.0, 1, 6, 5], (count, 1)), np.full(count, 11)
        masks = [encode_mask(INSIDE)] * count
        fields = {"masks": masks, "scores": np.ones(count), "sizes": [SIZE] * 2}
        return Results(["v/1", "w/1"], np.zeros(count, int), boxes, codes, **fields)

    truth = truth_of(masks=[encode_mask(INSIDE)])
    for count, ap in ((1, 100), (0, 0)):
        figures = coco.coco_aps(results(count), truth)
        assert list(figures) == ["box", "mask"]
        for kind in figures.values():
            aps = dict.fromkeys(("ap", "ap50", "ap75", "ap_small"), pytest.approx(ap))
            assert kind == {**aps, "ap_medium": None, "ap_large": None}
    assert coco.coco_aps(results(1), Truth(["v/1", "w/1"], [], [], [])) == {}
    # without masks on both sides
    assert list(coco.coco_aps(results(1), truth_of())) == ["box"]
