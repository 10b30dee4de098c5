"""The summary of records: counts, lines, and a chart that bears odd contents."""

import cv2
import numpy as np
import pytest

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.inspection.summary import COLOURS, Summary, chart, text
from a2d_tf.data.records import ClipTruth


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
    data = chart(*arguments)
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
    assert train.per_clip == {0: 1, 1: 1, 2: 1}
    assert train.videos == {"a": (100, 200), "b": (120, 90)}


def test_the_text_says_it_all():
    space = LabelSpace(A2D.actors, A2D.actions, (16, 34, 79))
    assert text(summaries(), {"30": 2, "24": 1}, space) == [
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
    assert "  frames, height x width (videos): 100x200 (1)" in text(nothing, {}, A2D)
    picture(nothing, {}, A2D, "")
    # Names that Matplotlib would read as mathematics, more pairs than A2D has, many frame sizes.
    space = LabelSpace.from_fields(
        {"actors": [f"${i}" for i in range(9)], "actions": list("abcdefgh$")}
    )
    many = {"test": Summary()}
    for i in range(20):
        many["test"].add(truth(f"v{i}", [[0, 0, 0.01, 0.01]], [11], (100 + i, 200)))
    assert "(1) and 14 more" in text(many, {"7": 1000}, space)[1]
    assert picture(many, {"7": 1000, "9000": 1}, space, "$").shape[0] > 1700
