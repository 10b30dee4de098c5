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
    assert motion_maps.keys_of_block(2) == range(48, 112)
