"""Motion maps of films: the same as by loops over a whole film, whatever comes."""

import cv2
import numpy as np
import pytest

from a2d_tf.data.preparation.flow import Flow
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.ops.flow_histograms import flow_histograms

SIZE = (120, 150)  # of films; their motion frames are of 160 x 192
CHANNELS = {"mixed_4f": 3, "mixed_5c": 2}


def film(length, seed=0):
    """Noise that differs in each frame, in whose colours maps differ."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (length, *SIZE, 3), np.uint8)
    return [cv2.GaussianBlur(frame, (0, 0), 3) for frame in frames]


def colours(block):
    """A block function that sees all of a block: the last frame weighs most."""
    assert block.shape == (32, 160, 192, 3) and block.dtype == np.uint8
    maps = {}
    for name, frames, stride in (("mixed_4f", 4, 16), ("mixed_5c", 8, 32)):
        shape = (32 // frames, frames, 160 // stride, stride, 192 // stride, stride, 3)
        cells = block.astype(np.float32).reshape(shape).mean((1, 3, 5))
        cells += block[-1].mean(dtype=np.float32)
        maps[name] = cells[..., : CHANNELS[name]]
    return maps


class Film:
    """All maps of a film, and their means by loops."""

    def __init__(self, frames):
        size = (192, 160)
        small = [cv2.resize(f, size, interpolation=cv2.INTER_LINEAR) for f in frames]
        self.maps = []  # of (name, its middle in time, map)
        for start in range(0, len(frames), 32):
            block = [small[min(i, len(frames) - 1)] for i in range(start, start + 32)]
            maps = colours(np.stack(block))
            for name, step in (("mixed_4f", 4), ("mixed_5c", 8)):
                for first in range(start, min(start + 32, len(frames)), step):
                    each = maps[name][(first - start) // step]
                    self.maps.append((name, first + (step - 1) / 2, each))
        for first in range(0, len(frames) - 1, 2):
            pair = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in small[first:][:2]]
            flow = Flow("dis")(pair[0], pair[1], (160, 192))
            self.maps.append(("flow_histograms", first + 0.5, flow_histograms(flow)))

    def expected_maps(self, key):
        """A key frame's maps."""
        means = {"flow_histograms": np.zeros((20, 24, 27))}
        for name, span in (("mixed_4f", 16), ("mixed_5c", 16), ("flow_histograms", 6)):
            around = []
            for name_of_map, middle, each in self.maps:
                if name_of_map == name and abs(middle - key) <= span:
                    around.append(each.astype(np.float64))
            if around:
                means[name] = sum(around) / len(around)
        return means


def check_maps(maps, expected):
    assert maps.keys() == expected.keys()
    for name in maps:
        assert maps[name].dtype == np.float32
        np.testing.assert_allclose(maps[name], expected[name], 1e-5, 1e-4)


@pytest.mark.parametrize("length", [1, 2, 21, 32, 63, 70])
def test_maps_of_each_frame_are_those_of_loops_over_the_film(length):
    frames = film(length)
    whole = Film(frames)
    stream = MotionStream(colours, flow_histograms=True)
    key = 0
    waits = []

    def take_ready():
        nonlocal key
        while key < length and stream.ready(key):
            check_maps(stream.maps(key), whole.expected_maps(key))
            key += 1
            stream.forget(key)
            waits.append(i + 1 - key)

    for i, frame in enumerate(frames):
        stream.add(i, frame)
        take_ready()
    stream.end()
    take_ready()
    assert key == length
    assert max(waits) <= 14 + 31


@pytest.mark.parametrize(
    "block_function, flow", [(colours, True), (colours, False), (None, True)]
)
def test_only_the_frames_around_sparse_key_frames_are_needed(block_function, flow):
    frames = film(175)
    keys = [3, 90, 174]
    stream = MotionStream(block_function, flow)
    needed = set()
    for key in keys:
        needed.update(stream.frames_around(key))
    if block_function:
        assert needed == {*range(32), *range(64, 128), *range(160, 192)}
    else:
        assert needed == {*range(10), *range(84, 96), *range(168, 180)}
    for i, frame in enumerate(frames):
        if i in needed:
            stream.add(i, frame)
        assert not stream.ready(174)
        if i == 130:
            assert stream.ready(3) and stream.ready(90)
    stream.end()
    whole = Film(frames)
    for key in keys:
        expected = whole.expected_maps(key)
        if not flow:
            del expected["flow_histograms"]
        if not block_function:
            del expected["mixed_4f"], expected["mixed_5c"]
        check_maps(stream.maps(key), expected)


def test_pairs_of_no_key_frame_need_no_flow():
    frames = film(70)
    whole = MotionStream(colours, flow_histograms=True)
    sparse = MotionStream(colours, flow_histograms=True)
    around = range(34, 46)  # of a key frame 40
    for i, frame in enumerate(frames):
        whole.add(i, frame)
        sparse.add(i, frame, with_flow=i in around)
    assert set(sparse._maps["flow_histograms"]) == set(range(17, 23))
    for name, expected in whole.maps(40).items():
        np.testing.assert_array_equal(sparse.maps(40)[name], expected)


def test_memory_does_not_grow_with_the_film():
    """At most the maps of the 16 frames before the key frame and of two blocks."""
    frames = film(4)
    stream = MotionStream(colours, flow_histograms=True)
    key = 0
    for i in range(320):
        stream.add(i, frames[i % 4])
        while stream.ready(key):
            stream.maps(key)
            key += 1
            stream.forget(key)
        kept = {name: len(maps) for name, maps in stream._maps.items()}
        assert kept.get("mixed_4f", 0) <= (16 + 64) // 4 + 1
        assert kept.get("mixed_5c", 0) <= (16 + 64) // 8 + 1
        assert kept.get("flow_histograms", 0) <= (6 + 64) // 2
        assert len(stream._block_frames) < 32
