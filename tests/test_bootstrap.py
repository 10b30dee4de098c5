"""The paired bootstrap: a draw is scored as the data set that it stands for."""

import cv2
import numpy as np
import pytest

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import box_data
from a2d_tf.evaluation.metrics import detection, segmentation
from a2d_tf.evaluation.reports import reproduction

SMALL = LabelSpace(("man", "dog"), ("run", "eat", "none"), (11, 13, 21, 22), none_action="none")
FRAMES = ["a/00001", "a/00002", "b/00004", "c/00001", "c/00009", "d/00002"]
SIZE = 24


def boxes(rng, *shape):
    corner = rng.integers(0, 12, (*shape, 2))
    return np.concatenate([corner, corner + rng.integers(4, 12, (*shape, 2))], -1).astype(float)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A scored split of four videos, and its parts."""
    folder, rng = tmp_path_factory.mktemp("scored"), np.random.default_rng(3)
    gts = np.repeat(np.arange(6), [2, 1, 3, 0, 2, 1])
    truth = box_data.Truth(FRAMES, gts, boxes(rng, 9), rng.choice(SMALL.codes, 9))
    rois = np.repeat(np.arange(6), 12)
    found = boxes(rng, 72, 2)
    near = rng.random((72, 2)) < 0.5
    for r, frame in enumerate(rois):
        own = truth.boxes[gts == frame]
        if len(own):
            found[r, near[r]] = own[rng.integers(len(own))]
    scores = rng.dirichlet(np.ones(3), 72), rng.dirichlet(np.ones(3), 72)
    detections = box_data.Detections(FRAMES[::-1], 5 - rois, found, scores[0][:, :2], scores[1])
    maps = {}
    for name in FRAMES:
        for part in ("label_truth", "label_maps"):
            coarse = rng.choice((0, *SMALL.codes), (4, 4)).astype(np.uint8)
            maps[part, name] = coarse.repeat(SIZE // 4, 0).repeat(SIZE // 4, 1)
            path = folder / part / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), maps[part, name])
    truth.save(folder / "truth.json", SMALL)
    detections.save(folder / "detections.npz")
    return folder, truth, detections, maps


def repeated(truth, detections, times):
    """The data set in which frame i occurs `times[i]` times, under other names."""
    names, box_frame, gts, roi_frame, rois = [], [], [], [], []
    for i, name in enumerate(FRAMES):
        for copy in range(times[i]):
            own = np.flatnonzero(truth.box_frame == i)
            seen = np.flatnonzero(detections.frames[detections.roi_frame] == name)
            box_frame += [len(names)] * len(own)
            roi_frame += [len(names)] * len(seen)
            gts, rois = [*gts, *own], [*rois, *seen]
            names.append(f"{name}-{copy}")
    gts, rois = np.array(gts, int), np.array(rois, int)
    return (
        box_data.Truth(names, box_frame, truth.boxes[gts], truth.codes[gts]),
        box_data.Detections(
            names,
            roi_frame,
            detections.boxes[rois],
            detections.actor_scores[rois],
            detections.action_scores[rois],
        ),
    )


def test_a_draw_is_scored_as_the_set_that_it_stands_for(scored):
    folder, truth, detections, maps = scored
    got = reproduction.bootstrap(folder, SMALL, samples=25, seed=1)
    weights = reproduction.draw(4, 25, 1)
    assert weights.shape == (25, 4) and (weights.sum(axis=1) == 4).all() and weights.min() == 0
    for sample, times in enumerate(weights[:, [0, 0, 1, 2, 2, 3]]):
        confusion = segmentation.Confusion(SMALL)
        for name, count in zip(FRAMES, times):
            for _ in range(count):
                confusion.update(maps["label_truth", name], maps["label_maps", name])
        for kind, values in confusion.metrics().items():
            for name, value in values.items():
                assert got["segmentation"][kind][name][sample] == pytest.approx(value, abs=1e-9)
        other = repeated(truth, detections, times)
        expected = detection.metrics_of(*other[::-1], SMALL)["detection"]
        for kind, value in expected.items():
            assert got["detection"][kind][sample] == pytest.approx(value, abs=1e-9)
    assert got["detection"]["joint"].std() > 0


def test_a_draw_of_every_video_once_is_the_split_itself(scored):
    _, truth, detections, _ = scored
    drawn = detection.metrics_of(detections, truth, SMALL, np.ones((1, 6), np.int64))
    plain = detection.metrics_of(detections, truth, SMALL)
    for part in plain:
        assert {k: v[0] for k, v in drawn[part].items()} == pytest.approx(plain[part])


def test_interval_of_paired_differences():
    hard = np.random.default_rng(0).normal(0, 10, 1001)
    ours = hard + np.linspace(-1, 1, 1001)
    assert reproduction.interval(ours, hard) == pytest.approx((-0.95, 0.95))
    assert reproduction.interval(hard, hard) == (0, 0)
