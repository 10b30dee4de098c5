"""Motion maps: which key frames need which maps and blocks."""

import pytest

from a2d_tf.ops import motion_maps

KINDS = [motion_maps.FLOW_HISTOGRAMS, *motion_maps.BACKBONE_MAPS["i3d"]]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_key_frames_of_a_map_are_those_that_it_is_averaged_for(kind):
    keys = range(200)
    for number in range(10):
        own = [key for key in keys if number in motion_maps.maps_around(kind, key)]
        assert list(motion_maps.keys_of_map(kind, number)) == own


def test_key_frames_of_a_block_are_those_that_need_it():
    for number in range(4):
        own = [key for key in range(300) if number in motion_maps.blocks_around(key)]
        assert list(motion_maps.keys_of_block(number)) == own
    assert motion_maps.keys_of_block(2) == range(50, 110)


def test_key_frames_need_the_blocks_that_hold_maps_around_them():
    for key in range(200):
        blocks = set()
        for kind in motion_maps.BACKBONE_MAPS["i3d"]:
            for number in range(100):
                middle = (number + 0.5) * kind.frames - 0.5
                if abs(middle - key) <= kind.span:
                    blocks.add(number * kind.frames // 32)
        assert set(motion_maps.blocks_around(key)) == blocks
