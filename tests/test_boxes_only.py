"""Instances that have only a box: from the export to the scores and back."""

import json
import math
import re
import types
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from a2d_files import moving_frames, write_video
from processes import run_a2d, succeeded
from test_annotation_formats import (
    SIZE,
    SQUARE,
    coco,
    drawn,
    image,
    labelme,
    open_source,
    shape,
    write,
    xml,
)
from test_mains import TINY

from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.formats import read_export
from a2d_tf.annotations.readers.shapes import RawShape, join
from a2d_tf.commands.inspect import describe
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.settings.config import Config, TrainingConfig
from a2d_tf.data import clip_records
from a2d_tf.data.conversion import convert
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.boxes import instance_tables
from a2d_tf.evaluation.metrics import coco as coco_metric
from a2d_tf.evaluation.metrics import registry, segmentation, summaries
from a2d_tf.evaluation.metrics.box_f1 import BoxF1
from a2d_tf.evaluation.metrics.metric import Metric, SplitData
from a2d_tf.model.heads.actor import ActorHead
from a2d_tf.model.heads.mask import MaskHead
from a2d_tf.model.label_modes import Decoupled
from a2d_tf.model.structures import (
    BatchTruth,
    Features,
    HeadInputs,
    LossSettings,
    SampledRois,
)
from a2d_tf.training import run_settings
from a2d_tf.training.step import forward

BOX = [8, 3, 10, 12]
BOTH = (drawn(bbox=BOX), drawn(0, [], bbox=BOX))
KINDS = {"masks": BOTH[:1], "boxes": BOTH[1:], "mixed": (drawn(), BOTH[1])}


def of_coco(*annotations):
    return {"a.json": coco([image("clip/00002.jpg")], annotations)}


def box(frame, more=""):
    edges = 'xtl="8" ytl="3" xbr="18" ybr="15"'
    return (
        f'<track id="3" label="cat-sit"><box frame="{frame}" {edges} {more}/></track>'
    )


OWN = {"image_id": 2, "actor": "cat", "action": "sit", "bbox": BOX}
EXPORTS = {
    "cvat": {"a.xml": xml(box(1))},
    "coco": of_coco(BOTH[1]),
    "labelme": {
        "2.json": labelme(
            shape("cat-sit", [18, 3, 8, 15], "rectangle"), path="clip_2.jpg"
        )
    },
    "a2d_tf": {"a.json": {"images": [image("clip/00002", 2)], "annotations": [OWN]}},
    "yolo": {
        "data.yaml": "names: [cat-sit]",
        "labels/train/clip/00002.txt": f"0 {13 / 32} 0.375 0.3125 0.5",
    },
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boxes_only") / "videos"
    for name in ("clip.mp4", "other.mp4", "a.mp4"):
        write_video(folder / name, moving_frames(6, *SIZE, step=2))
    return folder


@pytest.mark.parametrize("form", EXPORTS)
def test_every_format_has_boxes(tmp_path, videos, form):
    source = open_source(write(tmp_path / "export", EXPORTS[form]), videos)
    assert [document.format for document in source.documents] == [form]
    assert not any(document.left_out for document in source.documents)
    ((vid, annotations),) = source._annotations.items()
    found = {}
    for number, frame in annotations.frames.items():
        if frame.instances:
            found[number] = frame.instances
    ((instance,),) = found.values()
    assert (vid, list(found), instance.parts) == ("clip", [2], ())
    annotation = source.read_annotation("clip", 2, SIZE)
    assert annotation.boxes.tolist() == [[3, 8, 15, 18]]
    assert annotation.has_mask.tolist() == [False] and not annotation.masks.any()
    assert not annotation.label_map.any() and annotation.codes.tolist() == [11]


@pytest.mark.parametrize("form", ["cvat", "coco"])
def test_a_box_that_is_turned_is_the_one_around_it(tmp_path, form):
    turned = [
        drawn(0, [], n, bbox=BOX, attributes={"rotation": 120 * n - 30}) for n in (1, 3)
    ]
    files = {
        "cvat": {"a.xml": xml(box(0, 'rotation="90"'), box(1, 'rotation="330"'))},
        "coco": {
            "a.json": coco([image("clip/1.jpg", 1), image("clip/2.jpg", 3)], turned)
        },
    }
    (document,) = read_export(write(tmp_path, files[form]), ReadOptions())
    first, second = (frame.instances[0].box for frame in document.frames)
    assert first == pytest.approx([7, 4, 12, 10])
    width, height = 10 * math.sqrt(0.75) + 6, 5 + 12 * math.sqrt(0.75)
    assert second == pytest.approx([13 - width / 2, 9 - height / 2, width, height])


def test_what_has_both_has_the_mask_and_its_box(tmp_path, videos):
    nothing = drawn(0, []), drawn(0, [], bbox=[1, 1, 0, 4])
    source = open_source(write(tmp_path / "x", of_coco(BOTH[0], *nothing)), videos)
    annotation = source.read_annotation("clip", 2, SIZE)
    assert annotation.has_mask.tolist() == [True] and annotation.boxes.tolist() == [
        [1, 2, 5, 6]
    ]
    assert source.documents[0].left_out == {"annotations without a mask or a box": 2}


def test_a_group_of_boxes_is_the_box_around_them_and_masks_go_first():
    boxes = [
        RawShape((1,), "a", "x", box=[1, 2, 3, 4]),
        RawShape((1,), "a-b", "x", box=[6, 0, 9, 1]),
    ]
    (whole,) = join(boxes)
    assert (whole.label, whole.box) == ("a", [1, 0, 14, 6])
    (whole,) = join([boxes[0], RawShape((1,), "a-m", "x", part=[SQUARE])])
    assert (whole.label, whole.parts, whole.box) == ("a-m", ([SQUARE],), None)


class OneRecord(NamedTuple):
    """Records of a kind of KINDS that have one clip, and this clip."""

    manifest: Manifest
    serialized: bytes

    def truth(self):
        return clip_records.read_truth(self.serialized)

    def fields(self):
        fields = clip_records.parse(self.serialized)
        return {name: value.numpy() for name, value in fields.items()}


def one_record(folder, videos, kind):
    source = open_source(write(folder / "export", of_coco(*KINDS[kind])), videos)
    settings = convert.ConversionSettings(
        image_height=24, image_width=32, clip_frames=3
    )
    convert.convert(source, folder / "records", settings, workers=1)
    manifest = Manifest.load(folder / "records")
    (serialized,) = clip_records.read_shard(manifest.shards("train")[0])
    return OneRecord(manifest, serialized)


EACH_KIND = pytest.mark.parametrize(
    "kind, has_mask", [("masks", [True]), ("boxes", [False]), ("mixed", [True, False])]
)


@EACH_KIND
def test_records_say_which_instances_have_masks(tmp_path, videos, kind, has_mask):
    record = one_record(tmp_path, videos, kind)
    truth = record.truth()
    fields = record.fields()
    assert truth.has_mask.tolist() == fields["has_mask"].tolist() == has_mask
    assert truth.is_complete == (kind == "masks")
    assert fields["masks"].any(axis=(1, 2)).tolist() == has_mask
    of_mask = [1, 2, 5, 6]
    of_box = [3, 8, 15, 18]
    boxes = {"masks": [of_mask], "boxes": [of_box], "mixed": [of_mask, of_box]}
    assert fields["boxes"].tolist() == truth.boxes.tolist() == boxes[kind]


@EACH_KIND
def test_the_manifest_counts_boxes_without_masks(tmp_path, videos, kind, has_mask):
    manifest = one_record(tmp_path, videos, kind).manifest
    alone = has_mask.count(False)
    assert manifest.counts["train"].get("boxes_only", 0) == alone
    assert manifest.trains_masks == (kind != "boxes")


@EACH_KIND
def test_motion_is_that_of_the_mask_or_else_of_the_box(
    tmp_path, videos, kind, has_mask
):
    record = one_record(tmp_path, videos, kind)
    fields = record.fields()
    fields["flow"][:, 3:15, 8:18] = [1, 2]  # inside BOX alone
    rows = describe(fields, record.truth(), record.manifest.label_space)["instances"]
    assert [row["area"] for row in rows] == [
        16 if known else None for known in has_mask
    ]
    assert has_mask[-1] or rows[-1]["flow_mean"] == [1, 2]


@EACH_KIND
def test_records_of_masks_alone_are_as_they_were(tmp_path, videos, kind, has_mask):
    record = one_record(tmp_path, videos, kind)
    features = tf.train.Example.FromString(record.serialized).features.feature
    assert ("has_mask" in features) == (kind != "masks")
    assert ("boxes_only" in record.manifest.counts["train"]) == (kind != "masks")


def test_a_refiner_needs_masks():
    refined = Config(tiny_network.config(use_mask=False, use_refiner=True))
    manifest = types.SimpleNamespace(trains_masks=False, directory="RECORDS")
    with pytest.raises(InputError, match="--use_refiner"):
        run_settings.without_untrained_masks(refined, manifest)


SPACE = LabelSpace(("cat",), ("sit", "run"), (11, 12))


def test_the_mask_term_counts_positives_whose_instance_has_a_mask():
    training = TrainingConfig(roi_samples=12)
    head = MaskHead(ActorHead(Decoupled(SPACE, True), None), needs_image=False)
    head.model = lambda inputs, training: tf.zeros(
        [1, inputs["rois"].shape[1], 4, 4, 2]
    )
    positive = tf.constant([[True, True, True, False]])
    rois = tf.constant([[[0.0, 0.0, 8.0, 8.0]] * 4])
    rows = SampledRois(rois, tf.constant([[0, 1, 0, 1]]), positive, positive)
    actions = tf.constant([[0, 1]])
    truth = BatchTruth._make([None] * len(BatchTruth._fields))._replace(
        actors=0 * actions, actions=actions, masks=tf.ones([1, 2, 8, 8], tf.uint8)
    )
    seen = HeadInputs(Features(None, None, None, None), {}, None)
    options = LossSettings(256, 0.0, "positives", "samples", 4, -1)
    for has_mask, count in ([True, True], 3), ([True, False], 2), ([False, False], 0):
        truth = truth._replace(has_mask=tf.constant([has_mask]))
        terms = head.terms(seen, rows, truth, options)
        ((total, counted),) = terms["mask"]
        assert counted == count and float(total) == pytest.approx(
            count * math.log(2), rel=1e-6
        )
        weighted = forward.weighted(terms, training)
        assert float(weighted["mask"]) == pytest.approx(
            math.log(2) if count else 0, rel=1e-6
        )


def same_pixels(code):
    """The pixels of two label maps that are this code alone."""
    label_map = np.full((2, 2), code)
    return segmentation.count_pixels(label_map, label_map)


def frame(has_mask, found=(), codes=(11,), counts=()):
    """Make a frame with true boxes in a row, 10 wide.

    `found`: its instances (p(actor), code, left edge).
    """
    true = [[0, 20 * i, 10, 20 * i + 10] for i in range(len(codes))]
    columns = [list(column) for column in zip(*found)] or [[], [], []]
    boxes = np.float32([[0, x, 10, x + 10] for x in columns[2]]).reshape(-1, 4)
    instances = dict(
        class_scores=np.float32(columns[0]), code=np.array(columns[1], int)
    )
    truth = dict(
        codes=np.array(codes), boxes=np.float32(true), has_mask=np.array(has_mask)
    )
    return types.SimpleNamespace(
        pixel_counts={0.0: counts} if counts else {},
        truth=types.SimpleNamespace(**truth),
        instances=types.SimpleNamespace(**instances, boxes=boxes),
    )


def test_f1_of_boxes_and_pairs():
    metric = BoxF1(SPACE)
    # Right; a second one on the same object; of another pair; right at a low score.
    found = [(0.9, 11, 1), (0.8, 11, 0), (0.7, 11, 20), (0.3, 12, 23)]
    metric.update(frame([False] * 2, found, codes=(11, 12)))
    metric.update(frame([False]))  # nothing found
    assert metric.at(0.85) == pytest.approx(100 * 2 * 1 / (1 + 3))
    assert metric.at(0.1) == pytest.approx(100 * 2 * 2 / (4 + 3))
    assert metric.at(0.95) == 0
    split = SplitData(threshold=0.5)
    assert registry.results([metric], split) == {"box_f1": pytest.approx(200 / 6)}
    assert BoxF1(SPACE).result(split, {"segmentation": {"joint": {}}}) == {}
    assert "33.3" in summaries.table({"box_f1": 100 / 3})


def test_a_metric_is_given_what_it_reads_of_those_before_it():
    """BoxF1 has no figure where label maps were scored, whatever else was."""

    class Earlier(Metric):
        def __init__(self, scores):
            super().__init__(SPACE)
            self.scores = scores

        def result(self, split, earlier):
            assert earlier == {}
            return self.scores

    split = SplitData()
    scored = {"segmentation": {"joint": {}}}
    metrics = [Earlier({"detection": 1}), Earlier(scored), BoxF1(SPACE)]
    assert registry.results(metrics, split) == {"detection": 1, **scored}
    metrics = [Earlier({"detection": 1}), BoxF1(SPACE)]
    assert registry.results(metrics, split) == {"detection": 1, "box_f1": 0.0}


def test_segmentation_is_scored_over_complete_label_maps_alone():
    metric = segmentation.Segmentation(SPACE)
    metric.update(frame([False]))
    # An empty frame of a set of boxes says nothing of masks.
    metric.update(
        frame(
            [], codes=(), counts=segmentation.count_pixels(*2 * [np.zeros((2, 2), int)])
        )
    )
    assert metric.result(SplitData(), {}) == {}
    metric.update(frame([True], counts=same_pixels(11)))
    figures = metric.result(SplitData(), {})
    assert figures["segmentation"]["joint"]["miou"] == 100


def test_the_ap_of_masks_is_that_of_frames_whose_instances_all_have_masks(tmp_path):
    square = np.zeros((40, 40), bool)
    square[:10, :10] = True
    mask, edges = encode_mask(square), [0, 0, 10, 10]
    fields = dict(frames=["v/00001", "v/00002"], sizes=[(40, 40)] * 2)
    true = dict(box_frame=[0, 1, 1], codes=[11, 11, 11], masks=[mask, mask, None])
    truth = instance_tables.Truth(
        **fields, **true, boxes=[edges, edges, [20, 20, 30, 30]]
    )
    found = dict(boxes=[edges], codes=[11], masks=[mask], scores=np.ones(1))
    for i, expected in ((0, 100), (1, 0)):  # that on the second frame counts nowhere
        figures = coco_metric.coco_aps(
            instance_tables.Results(**fields, **found, box_frame=[i]), truth
        )
        assert figures["mask"]["ap"] == pytest.approx(expected)
    truth.save(tmp_path / "truth.json", SPACE)
    loaded = instance_tables.Truth.load(tmp_path / "truth.json", SPACE)
    assert loaded.masks == truth.masks
    areas = [
        a["area"]
        for a in json.loads((tmp_path / "truth.json").read_text())["annotations"]
    ]
    assert areas == [100, 100, 100.0]
    truth.masks = [mask, None, None]
    truth.box_frame = np.array([0, 0, 1])
    results = instance_tables.Results(**fields, **found, box_frame=[0])
    assert "mask" not in coco_metric.coco_aps(results, truth)


# From an export of boxes to one of the prediction: each command reads what the one
# before has made.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="module")
def recorded(folder, videos):
    """What `a2d records` says of boxes whose classes get other names."""
    boxes = [drawn(0, [], n, bbox=[2 * n, 3, 10, 12]) for n in (2, 4)]
    files = {}
    for vid in ("clip", "other", "a"):
        images = [image(f"{vid}/{n}.jpg", n) for n in (2, 4)]
        files[f"{vid}.json"] = coco(images, boxes)
    export = write(folder / "export", files)
    write(folder, {"names.json": {"cat-sit": ["dog", "rest"]}})
    return run_a2d(
        "records",
        f"--annotations={export}",
        f"--videos={videos}",
        f"--output={folder}/records",
        f"--names={folder}/names.json",
        "--test_videos=other",
        "--image_height=64",
        "--image_width=96",
        "--clip_frames=3",
        "--workers=1",
    )


@pytest.fixture(scope="module")
def trained(folder, recorded):
    """What `a2d train` says of these records; the video clip is held out."""
    return run_a2d(
        "train",
        *TINY,
        "--use_flow=false",
        "--temporal_layers=0",
        "--steps=2",
        "--pictures=1",
        f"--records={folder}/records",
        f"--workdir={folder}/run",
        "--val_fraction=0.6",
    )


@pytest.fixture(scope="module")
def evaluated(folder, trained):
    """What `a2d evaluate` says of this run."""
    return run_a2d(
        "evaluate",
        f"--records={folder}/records",
        f"--workdir={folder}/run",
        "--split=test",
        "--score_threshold=0.01",
    )


@pytest.fixture(scope="module")
def predicted(folder, videos, trained):
    """What `a2d predict` says of this run in a video."""
    return run_a2d(
        "predict",
        f"--workdir={folder}/run",
        f"--video={videos}/other.mp4",
        f"--output={folder}/out",
        "--score_threshold=0",
    )


@pytest.mark.slow
def test_records_of_boxes_have_the_renamed_classes(folder, recorded):
    counts = "test: 1 videos, 2 clips, 2 instances, 2 of them boxes only\n"
    assert counts in succeeded(recorded)
    assert LabelSpace.from_json(folder / "records/labels.json").actors == ("dog",)


@pytest.mark.slow
def test_training_of_boxes_has_no_masks_and_validates_boxes(folder, trained):
    assert trained.returncode == 0, trained.stderr
    assert "--use_mask=false" in trained.stderr
    best = json.loads((folder / "run/best/validation.json").read_text())
    assert set(best) == {"step", "score", "score_threshold"}
    threshold = json.loads((folder / "run/score_threshold.json").read_text())
    validated = threshold["validation"]
    assert validated["box_f1"] == best["score"] and "segmentation" not in validated


@pytest.mark.slow
def test_evaluation_of_boxes_scores_boxes_alone(folder, evaluated):
    said = succeeded(evaluated)
    assert "dog-rest" in said and "Table" not in said
    evaluation = folder / "run/evaluation/test"
    metrics = json.loads((evaluation / "metrics.json").read_text())
    assert "segmentation" not in metrics and "mask" not in metrics["coco"]
    assert metrics["box_f1"] >= 0
    assert set(metrics["detection"]) == {"actor", "action", "joint"}
    assert not (evaluation / "label_truth").exists()


@pytest.mark.slow
def test_the_browser_shows_true_boxes_filled(folder, evaluated):
    done = run_a2d("browse", f"--run={folder}/run", f"--records={folder}/records")
    assert done.stdout.startswith("2 of 2 frames"), done.stderr
    page = (folder / "run/evaluation/test/browse.html").read_text()
    assert len(re.findall("truth:</b>\\s*<span [^>]*>dog-rest<", page)) == 2


@pytest.mark.slow
def test_a_prediction_of_boxes_has_label_maps(folder, predicted):
    succeeded(predicted)
    path = str(folder / "out/label_maps/00001.png")
    assert cv2.imread(path, cv2.IMREAD_UNCHANGED).any()


@pytest.mark.slow
def test_the_export_of_a_prediction_of_boxes_has_boxes_alone(folder, predicted):
    back = folder / "back.xml"
    words = [f"--prediction={folder}/out", f"--output={back}"]
    done = run_a2d("export-annotations", *words)
    assert done.returncode == 0 and " boxes in " in done.stdout, done.stderr
    (document,) = read_export(back, ReadOptions())
    assert document.frames
    for frame in document.frames:
        assert all(one.box and not one.parts for one in frame.instances)
