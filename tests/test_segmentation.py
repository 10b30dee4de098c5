"""Segmentation metrics: literals, a pixel-by-pixel oracle, and label maps as files."""

import cv2
import numpy as np
import pytest
from PIL import Image

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.frames.label_maps import read_label_map
from a2d_tf.evaluation.metrics.segmentation import Confusion

WIDE = LabelSpace(
    tuple(f"x{i}" for i in range(30)), tuple(f"y{i}" for i in range(12)), (14, 25, 391)
)


def score(truth, predicted, label_space=A2D):
    confusion = Confusion(label_space)
    confusion.update(np.asarray(truth), np.asarray(predicted))
    return confusion.metrics()


def slow_metrics(truth, predicted, key):
    """One kind's metrics by sets of pixels; `key` maps a code to a class."""
    pairs = [
        (key(int(t)), key(int(p))) for t, p in zip(truth.ravel(), predicted.ravel())
    ]
    recalls, ious = [], []
    for c in {t for t, _ in pairs}:
        both = sum(t == c and p == c for t, p in pairs)
        recalls.append(both / sum(t == c for t, _ in pairs))
        ious.append(both / sum(t == c or p == c for t, p in pairs))
    return {
        "ave": 100 * sum(recalls) / len(recalls),
        "glo": 100 * sum(t == p for t, p in pairs) / len(pairs),
        "miou": 100 * sum(ious) / len(ious),
    }


@pytest.mark.parametrize("space", [A2D, WIDE])
def test_agrees_with_counting_pixel_by_pixel(space):
    rng = np.random.default_rng(3)
    truth = rng.choice([0, *space.codes[:6]], (20, 30)).astype(space.code_dtype)
    predicted = rng.integers(0, space.max_code + 15, (20, 30)).astype(space.code_dtype)
    predicted = np.where(rng.random((20, 30)) < 0.6, truth, predicted)
    keys = {
        "joint": int,
        "actor": lambda c: c // space.base,
        "action": lambda c: c % space.base,
    }
    metrics = score(truth, predicted, space)
    for kind, key in keys.items():
        assert metrics[kind] == pytest.approx(slow_metrics(truth, predicted, key)), kind


def test_a_predicted_pair_that_does_not_exist_misses_as_a_pair_only():
    # 14 (adult-flying), 10 (adult, no action) and 91 (no actor) are no pairs.
    confusion = Confusion(A2D)
    confusion.update(np.array([[11, 12, 11]]), np.array([[14, 10, 91]]))
    metrics, joint = confusion.metrics(), confusion.matrix("joint")
    assert metrics["joint"]["glo"] == 0 and metrics["joint"]["miou"] == 0
    assert metrics["actor"]["glo"] == pytest.approx(200 / 3)
    assert metrics["action"]["glo"] == pytest.approx(100 / 3)
    assert joint.shape == (44, 45) and joint.sum() == 3
    assert joint[1, 44] == 2 and joint[2, 44] == 1
    assert confusion.matrix("actor")[1].tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert confusion.matrix("action")[2, 0] == 1


def test_codes_of_16_bits_far_beyond_the_label_space_are_misses():
    metrics = score([[391, 391, 14, 0]], [[391, 65535, 14, 60000]], WIDE)
    assert metrics["joint"]["glo"] == metrics["actor"]["glo"] == 50
    assert metrics["joint"]["ave"] == pytest.approx(100 * (0.5 + 1 + 0) / 3)


@pytest.mark.parametrize(
    "truth, predicted, message",
    [
        (
            np.zeros((2, 3), int),
            np.zeros((3, 2), int),
            "truth is 2x3, prediction is 3x2",
        ),
        (np.full((2, 2), 14), np.zeros((2, 2), int), "code 14 is not a valid pair"),
        (np.zeros((2, 2), int), np.full((2, 2), -1), "65536"),
        (np.zeros((2, 2), int), np.full((2, 2), 70000), "65536"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), "integer codes"),
    ],
)
def test_unusable_maps(truth, predicted, message):
    with pytest.raises(InputError, match=message):
        Confusion(A2D).update(truth, predicted)


# ---- label maps as files


MAP = np.array([[0, 11, 43], [79, 14, 0]], np.uint8)


@pytest.mark.parametrize(
    "space, codes", [(A2D, MAP), (WIDE, np.array([[0, 14], [391, 25]], np.uint16))]
)
def test_codes_and_colours_of_the_label_space(tmp_path, space, codes):
    path = tmp_path / "map.png"
    image = space.palette[codes][..., ::-1]
    opaque = np.full(codes.shape, 255, np.uint8)
    for written in (codes, image, np.dstack([image, opaque])):
        cv2.imwrite(str(path), written)
        read = read_label_map(path, space)
        assert read.dtype == space.code_dtype == codes.dtype and np.array_equal(
            read, codes
        )


def test_colours_of_no_code_and_of_two(tmp_path):
    path = tmp_path / "map.png"
    cv2.imwrite(str(path), np.full((2, 2, 3), (3, 2, 1), np.uint8))
    with pytest.raises(InputError, match=r"map\.png: colour \(R, G, B\) = \(1, 2, 3\)"):
        read_label_map(path, A2D)
    # The black of 13, which is no pair, is that of background.
    colours = ((11, (9, 9, 9)), (12, (9, 9, 9)), (13, (0, 0, 0)))
    space = LabelSpace(("a",), ("b", "c", "d"), (11, 12), None, colours)
    cv2.imwrite(str(path), np.zeros((2, 2, 3), np.uint8))
    assert not read_label_map(path, space).any()
    cv2.imwrite(str(path), np.full((2, 2, 3), 9, np.uint8))
    with pytest.raises(InputError, match="two codes"):
        read_label_map(path, space)


def test_palettes_fewer_bits_and_alpha(tmp_path):
    path, codes = tmp_path / "map.png", np.array([[0, 11, 14, 1]], np.uint8)
    image = Image.fromarray(np.array([[2, 1, 0]], np.uint8), "P")
    image.putpalette([*A2D.palette[43].tolist(), *A2D.palette[11].tolist(), 0, 0, 0])
    image.save(path)
    # of the label space's colours
    assert read_label_map(path, A2D).tolist() == [[0, 11, 43]]
    image = Image.fromarray(codes, "P")
    image.putpalette([level for i in range(16) for level in (i, 200, i)])
    image.save(path, bits=4)
    assert read_label_map(path, A2D).tolist() == codes.tolist()
    Image.fromarray(np.dstack([codes, 255 - codes]), "LA").save(path)
    assert read_label_map(path, A2D).tolist() == codes.tolist()


def test_files_that_are_no_label_map_of_the_label_space(tmp_path):
    path = tmp_path / "map.png"
    cv2.imwrite(str(path), np.array([[0, 11, 79], [91, 14, 80]], np.uint8))
    with pytest.raises(
        InputError, match=r"map\.png: code 91 is beyond the label space's 79; pass"
    ):
        read_label_map(path, A2D)
    path.write_bytes(cv2.imencode(".jpg", MAP)[1].tobytes())
    with pytest.raises(InputError, match="not a PNG"):
        read_label_map(path, A2D)
