"""Statistics of records: counts, their text and chart, anchors' recall, motion, rare labels."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data import inspection, records
from a2d_tf.data.inspection import COLOURS, Boxes, InputScale, Summary
from a2d_tf.data.records import ClipTruth

SIZES = ((8, 16), (32,), (64,), (128,), (256,))
SPACE = LabelSpace(("box", "disc"), ("bounce", "slide"), (11, 12, 21, 22))


def truth(video, boxes, codes, size=(100, 200)):
    """What one record says of its key frame."""
    boxes, label_map = np.float32(boxes).reshape(-1, 4), np.zeros(size, np.uint8)
    return ClipTruth(
        video, 1, "train", np.array([1]), size, (50, 100), boxes, np.int32(codes), [], label_map
    )


def summaries():
    train, test = Summary(), Summary()
    train.add(truth("a", [[0, 0, 10, 20], [0, 0, 100, 200]], [16, 34]))
    train.add(truth("a", [[50, 50, 60, 60]], [16]))
    train.add(truth("b", [], [], (120, 90)))
    test.add(truth("c", [[10, 20, 30, 70]], [79]))
    return {"train": train, "test": test}


def picture(*arguments):
    data = inspection.chart(*arguments)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def area(image, colour):
    """How many pixels have a colour '#rrggbb'."""
    return (image == np.frombuffer(bytes.fromhex(colour[1:]), np.uint8)).all(axis=2).sum()


def test_records_are_counted():
    train = summaries()["train"]
    assert train.pairs == {16: 2, 34: 1}
    assert train.pair_videos == {16: {"a"}, 34: {"a"}}
    np.testing.assert_allclose(train.areas, [0.01, 1, 0.005])
    assert train.per_clip == {0: 1, 1: 1, 2: 1} and train.clips == 3
    assert train.videos == {"a": (100, 200), "b": (120, 90)}


def test_the_text_says_it_all():
    space = LabelSpace(A2D.actors, A2D.actions, (16, 34, 79))
    assert inspection.describe(summaries(), {"30": 2, "24": 1}, space) == [
        "train: 2 videos, 3 clips, 3 instances, 2 of 3 pairs",
        "  frames, height x width (videos): 100x200 (1), 120x90 (1)",
        "  most instances: adult-rolling 2, ball-flying 1, dog-none 0",
        "  fewest instances: dog-none 0, ball-flying 1, adult-rolling 2",
        "  instances a clip: 0 to 2, mean 1.0",
        "  box area: median 1 % of the frame, nine in ten 0.55 to 90 %",
        "test: 1 videos, 1 clips, 1 instances, 1 of 3 pairs",
        "  frames, height x width (videos): 100x200 (1)",
        "  most instances: dog-none 1, adult-rolling 0, ball-flying 0",
        "  fewest instances: adult-rolling 0, ball-flying 0, dog-none 1",
        "  instances a clip: 1 to 1, mean 1.0",
        "  box area: median 5 % of the frame, nine in ten 5 to 5 %",
        "all videos: 24 to 30 frames, median 30",
    ]


def test_the_chart_shows_both_splits():
    image = picture(summaries(), {"30": 2, "24": 1}, A2D, "Records in x")
    assert image.shape[0] > 900 and image.shape[1] > 1200
    assert area(image, COLOURS["train"]) > 1000 and area(image, COLOURS["test"]) > 1000
    alone = {"train": summaries()["train"]}
    assert area(picture(alone, {}, A2D, "Records in x"), COLOURS["test"]) == 0


@pytest.mark.filterwarnings("error")
def test_odd_contents_are_drawn_too():
    nothing = {"train": Summary(), "test": Summary()}
    nothing["train"].add(truth("a", [], []))
    text = inspection.describe(nothing, {}, A2D)
    assert "  frames, height x width (videos): 100x200 (1)" in text
    picture(nothing, {}, A2D, "")
    # Names that Matplotlib would read as mathematics, more pairs than A2D has, many frame sizes.
    space = LabelSpace.from_fields(
        {"actors": [f"${i}" for i in range(9)], "actions": list("abcdefgh$")}
    )
    many = {"test": Summary()}
    for i in range(20):
        many["test"].add(truth(f"v{i}", [[0, 0, 0.01, 0.01]], [11], (100 + i, 200)))
    assert "(1) and 14 more" in inspection.describe(many, {"7": 1000}, space)[1]
    assert picture(many, {"7": 1000, "9000": 1}, space, "$").shape[0] > 1700


def boxes_of(*corners):
    """Boxes on a canvas of 128 x 128 of a frame of 128 x 256, given in its pixels."""
    boxes = Boxes((128, 128))
    boxes.add(truth("v", corners, np.full(len(corners), 11), (128, 256)))
    return boxes


@pytest.mark.parametrize(
    "corners, expected",
    [
        # Centred at (8, 8) of the canvas, where an anchor is; two pixels beside one.
        ([[0, 0, 32, 32], [64, 100, 96, 132]], [1, 14 / 18]),
        # The frame fills the canvas's upper half: the last centres are at 60 of 64 pixels.
        ([[112, 0, 128, 16]], [1]),
        # 4 x 4 within the anchor of 8.
        ([[120, 4, 128, 12]], [16 / 64]),
    ],
)
def test_best_anchors_of_boxes(corners, expected):
    boxes = boxes_of(*corners)
    np.testing.assert_allclose(boxes.overlaps(SIZES), expected)
    assert boxes.sides() == pytest.approx([(b[2] - b[0]) / 2 for b in corners])


def test_the_recall_by_size():
    boxes = boxes_of([0, 0, 32, 32], [64, 100, 96, 132], [64, 64, 72, 72])
    lines = inspection.describe_anchors(boxes, {"8+16": SIZES, "16": ((16,), *SIZES[1:])})
    assert lines[0] == "anchors 8+16: 7164 on 128x128" and lines[5] == "anchors 16: 4092 on 128x128"
    assert (
        lines[1:5]
        == lines[6:]
        == [
            "  side, pixels      boxes   IoU >= 0.5   IoU >= 0.7",
            "  all                   3       66.7 %       66.7 %",
            "  0 to 8                1        0.0 %        0.0 %",
            "  16 to 32              2      100.0 %      100.0 %",
        ]
    )
    assert len(inspection.describe_anchors(boxes_of(), {"8+16": SIZES})) == 2


def test_deviations_of_the_inputs():
    scale = InputScale()
    # RGB deviates by 30 about 40 in every channel; u by 6, v by 0: together by the root of 18.
    scale.add(np.full((1, 2, 3), 10), np.array([[[6.0, 1], [-6, 1]]]))
    scale.add(np.full((1, 2, 3), 70), np.array([[[6.0, 1], [-6, 1]]]))
    assert scale.deviation("rgb") == pytest.approx(30)
    assert scale.deviation("flow") == pytest.approx(18**0.5)


def test_the_contents_are_those_of_the_training_records(mini_records):
    gathered = inspection.gather(mini_records, (64, 96))
    assert gathered.summaries["train"].clips == 12 and list(gathered.summaries) == ["train", "test"]
    assert len(gathered.boxes.sides()) == len(gathered.summaries["train"].areas)
    rgb = [
        records.parse(tf.constant(serialized), 1)["rgb"][0].numpy().reshape(-1, 3)
        for shard in mini_records.shards("train")
        for serialized in records.read_shard(shard)
    ]
    expected = np.concatenate(rgb).astype(np.float64).var(axis=0).mean() ** 0.5
    assert gathered.inputs.deviation("rgb") == pytest.approx(expected, rel=1e-6)
    doubled = inspection.gather(mini_records, (128, 192))
    np.testing.assert_allclose(doubled.boxes.sides(), 2 * gathered.boxes.sides(), rtol=1e-6)
    np.testing.assert_allclose(doubled.speeds, 2 * np.array(gathered.speeds), rtol=1e-5)
    assert doubled.inputs.deviation("flow") == pytest.approx(2 * gathered.inputs.deviation("flow"))


def test_no_instance_to_learn_is_an_error(mini_records, monkeypatch):
    monkeypatch.setattr(Summary, "add", lambda self, truth: None)
    with pytest.raises(InputError, match=mini_records.directory):
        inspection.gather(mini_records, (64, 96))


def test_speeds_are_means_over_the_masks():
    flow = np.zeros((2, 3, 2))
    flow[0, 0], flow[0, 1] = [3, 4], [0, 1]
    masks = np.zeros((3, 2, 3), np.uint8)
    masks[0, 0, :2] = masks[1, 1, 2] = 1
    assert inspection.speeds(flow, masks) == [3.0, 0.0]


def summary(codes):
    """A Summary of {code: (instances, videos)}."""
    made = Summary()
    for code, (instances, videos) in codes.items():
        made.pairs[code] = instances
        made.pair_videos[code] = {f"v{i}" for i in range(videos)}
    return made


def test_labels_that_are_rare_absent_or_unscored():
    """Videos that show two pairs of an actor or action count once."""
    train = summary({11: (40, 8), 12: (12, 2), 21: (9, 5)})
    both = {"train": train, "test": summary({11: (3, 1), 21: (1, 1)})}
    few = "in fewer than 3 training videos or with fewer than 10 instances"
    unscored = "without an instance in the test split, each an AP of 0 in the mAP"
    assert inspection.describe_rare(both, SPACE) == [
        f"too rare to learn, actors {few}: disc (9 in 5 videos)",
        f"too rare to learn, actions {few}: slide (12 in 2 videos)",
        f"not measured, actions {unscored}: slide",
        f"too rare to learn, pairs {few}: box-slide (12 in 2 videos), disc-bounce (9 in 5 videos)",
        "never learned, pairs without an instance in training: disc-slide; annotate some, or leave "
        "them out of the labels",
        f"not measured, pairs {unscored}: box-slide",
    ]
    alone = inspection.describe_rare({"train": train}, SPACE)
    assert alone[-1].startswith("no test split") and "not measured" not in " ".join(alone)
    many = LabelSpace(tuple(f"p{i}" for i in range(14)), ("go",), tuple(range(11, 151, 10)))
    assert ", p11 and 2 more;" in inspection.describe_rare({"train": Summary()}, many)[0]
