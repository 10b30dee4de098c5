"""Motion maps of a video's frames: the same for any span, and memory has a bound."""

import weakref

import numpy as np
import pytest

from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.ops.motion_maps import BLOCK, SPAN
from a2d_tf.video.frames import frame_motion
from a2d_tf.video.frames.prepared_frames import PreparedFrame
from a2d_tf.video.reading.span import EVERY_FRAME, Span

SPANS = [
    EVERY_FRAME,
    Span(40, 41),
    Span(15, 64, 10),
    Span(47, None, 33),
    Span(0, None, 70),
    Span(90, 120),
]


def facts(backbone, histograms):
    return {"motion": {"action_backbone": backbone, "flow_histograms": histograms}}


def means(block):
    """Maps of a cell and a channel: the mean of the frames of each."""
    values = block.reshape(BLOCK, -1).mean(axis=1, dtype=np.float32)
    return {
        "mixed_4f": values.reshape(8, 4).mean(axis=1).reshape(8, 1, 1, 1),
        "mixed_5c": values.reshape(4, 8).mean(axis=1).reshape(4, 1, 1, 1),
    }


def film(count):
    """Frames of noise, each of its own brightness."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, level + 1, (160, 160, 3), np.uint8)
        for level in rng.integers(0, 256, count)
    ]


def with_maps(frames, info, span=EVERY_FRAME):
    motion = info["motion"]
    block_function = means if motion["action_backbone"] else None
    stream = MotionStream(block_function, motion["flow_histograms"])
    needed = [
        frame if frame_motion.needs(info, span, index) else None
        for index, frame in enumerate(frames)
    ]
    prepared = (PreparedFrame(frame, None, None) for frame in needed)
    return list(frame_motion.add_maps(stream, prepared, info, span))


@pytest.mark.parametrize("backbone, histograms", [("i3d", False), ("", True)])
@pytest.mark.parametrize("span", SPANS, ids=str)
def test_needed_frames_are_those_that_maps_are_made_of(backbone, histograms, span):
    info = facts(backbone, histograms)
    stream = MotionStream(means if backbone else None, histograms)
    expected = set()
    for key in range(300):
        if key in span:
            expected.update(stream.frames_around(key))
    needed = {i for i in range(200) if frame_motion.needs(info, span, i)}
    assert needed == {index for index in expected if index < 200}
    assert min(needed) >= frame_motion.first_needed(info, span)


def test_a_network_without_motion_maps_needs_no_frame_for_them():
    assert not frame_motion.needs({}, EVERY_FRAME, 3)
    assert frame_motion.first_needed({}, Span(50)) == 50


@pytest.mark.parametrize("backbone, histograms", [("i3d", True), ("", True)])
@pytest.mark.parametrize("count", [1, 33, 70])
def test_a_span_has_the_maps_of_the_whole_film(backbone, histograms, count):
    info, frames = facts(backbone, histograms), film(count)
    whole = with_maps(frames, info)
    names = {"flow_histograms", *(["mixed_4f", "mixed_5c"] if backbone else [])}
    assert [set(frame.motion) for frame in whole] == [names] * count
    assert all(a.native is b for a, b in zip(whole, frames))
    for span in SPANS[1:]:
        part = with_maps(frames, info, span)
        assert len(part) == count
        for index, (frame, expected) in enumerate(zip(part, whole)):
            if index not in span:
                assert frame.motion is None and frame.native is None
                continue
            for name in names:
                np.testing.assert_array_equal(frame.motion[name], expected.motion[name])


class Counted:
    """Counts arrays that are alive."""

    def __init__(self):
        self.alive = self.most = 0

    def add(self, array):
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(array, self._remove)
        return array

    def _remove(self):
        self.alive -= 1


@pytest.mark.slow
def test_an_hour_takes_no_more_memory_than_some_blocks():
    count, pixels = 25 * 3600, np.zeros((160, 160, 3), np.uint8)
    frames, maps = Counted(), Counted()

    def cheap(block):
        # A map each, not views of one array.
        return {
            "mixed_4f": [maps.add(np.full((1, 1, 1), j, np.float32)) for j in range(8)],
            "mixed_5c": [maps.add(np.full((1, 1, 1), j, np.float32)) for j in range(4)],
        }

    def prepared():
        for _ in range(count):
            yield PreparedFrame(frames.add(pixels.view()), None, None)

    stream, seen = MotionStream(cheap, flow_histograms=False), 0
    info = facts("i3d", False)
    for frame in frame_motion.add_maps(stream, prepared(), info, EVERY_FRAME):
        assert frame.motion["mixed_4f"].shape == (1, 1, 1)
        seen += 1
    assert seen == count
    # Those that wait, and a block of motion frames, which are the same here.
    assert frames.most <= SPAN + BLOCK + 2
    assert maps.most <= 12 * 3
