"""Pictures: known colours in known places, and inputs left as they were."""

import numpy as np
import pytest
from a2d_files import mask

from a2d_tf.core.labels import A2D
from a2d_tf.ops.visualize import (
    DrawnInstances,
    draw_instances,
    flow_to_rgb,
    overlay_masks,
    track_colours,
    zoom,
)


def test_flow_colours_by_direction_and_speed():
    flow = np.zeros((1, 5, 2), np.float32)
    flow[0, 1:] = [[4, 0], [0, 4], [-4, 0], [2, 0]]
    assert flow_to_rgb(flow)[0].tolist() == [
        [255, 255, 255],
        [255, 0, 0],
        [127, 255, 0],
        [0, 255, 255],
        [255, 128, 128],
    ]
    assert (flow_to_rgb(flow * 0) == 255).all()


def test_tints_are_rounded_as_the_formula_says():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    masks = rng.uniform(0, 1, (5, 40, 60)) < 0.3
    masks[1, :, :20] = masks[1, :10] = masks[2] = False
    colours = rng.integers(0, 256, (5, 3)).astype(np.uint8)
    expected = image.astype(np.float64)
    for colour, inside in zip(colours, masks):
        expected = np.where(
            inside[..., None], np.round(0.5 * expected + 0.5 * colour), expected
        )
    for form in (masks, [np.asfortranarray(m, np.uint8) for m in masks]):
        found = overlay_masks(image, form, colours)
        np.testing.assert_array_equal(found, expected)


def draw(size, boxes, codes, masks=None, *, scores=None, ids=None, **options):
    """Instances over black, with empty masks by default."""
    black = np.zeros((*size, 3), np.uint8)
    masks = [np.zeros(size, bool)] * len(boxes) if masks is None else masks
    instances = DrawnInstances(boxes, codes, masks, scores, ids)
    drawn = draw_instances(black, instances, A2D, **options)
    assert not black.any()
    return drawn


def test_boxes_are_half_open_and_named():
    size, box = (80, 120), [40, 10, 60, 50]
    plain = draw(size, [box], [15])
    drawn = (plain != 0).any(axis=2)
    assert drawn[40:60, 10].all() and drawn[40:60, 49].all() and drawn[59, 10:50].all()
    assert (
        not drawn[40:, 50:].any()
        and not drawn[60:].any()
        and not drawn[41:59, 11:49].any()
    )
    assert drawn[:40].any()  # the name, above the box
    scored = draw(size, [box], [15], [mask(*size, *box)], scores=[0.873])
    assert (scored[:40] != plain[:40]).any()


def test_a_track_has_its_own_colour_and_its_number():
    size, box = (80, 160), [40, 10, 60, 50]
    one, two, three = (
        draw(size, [box], [code], [mask(*size, *box)], scores=[0.5], ids=[track])
        for code, track in ((15, 4), (45, 4), (15, 5))
    )
    colours = track_colours([4, 5])
    assert (one[41:59, 11:49] == np.round(colours[0] / 2)).all()  # over black
    assert (one[40:60, 10:50] == two[40:60, 10:50]).all()
    assert (three[41:59, 11:49] == np.round(colours[1] / 2)).all()
    assert (one[:40] != two[:40]).any()  # the names differ


def plates(drawn, ids):
    """Return the pixels of each track's colour: its plate, and its visible outline."""
    return [(drawn == colour).all(axis=2).sum() for colour in track_colours(ids)]


def test_in_a_crowded_picture_the_surest_are_named():
    ids, boxes = [1, 2, 3, 4, 5, 6], [[50, 20 * i, 70, 20 * i + 20] for i in range(6)]
    sizes = plates(draw((120, 160), boxes, [12] * 6, scores=[0.5] * 6, ids=ids), ids)
    assert all(size > 1000 for size in sizes[3:])  # later ones are surer
    assert all(size < 100 for size in sizes[:3])


def test_a_stamp_stands_in_the_upper_right_corner_unless_an_actor_is_there():
    for box, columns in (
        ([90, 10, 110, 50], slice(100, 160)),
        ([0, 100, 30, 160], slice(0, 60)),
    ):
        plain, drawn = (
            draw((120, 160), [box], [12], scores=[0.5], ids=[1], stamp=stamp)
            for stamp in ("", "12.4 s")
        )
        changed = (drawn != plain).any(axis=2)
        assert not changed[20:].any()
        assert (
            changed[:12, columns].any()
            and not np.delete(changed, columns, axis=1).any()
        )
        assert plates(drawn, [1]) == plates(plain, [1])


@pytest.mark.parametrize(
    "box, others, place",
    [
        ([0, 100, 60, 130], [], [60, 100]),  # below
        ([0, 100, 120, 130], [], [0, 130]),  # beside
        ([0, 350, 120, 390], [], [0, 253]),
        ([40, 100, 60, 130], [[20, 90, 40, 120]], [60, 100]),
        ([0, 0, 120, 400], [], [0, 0]),  # there is no room but inside
    ],
)
def test_a_name_covers_no_actor_where_there_is_room(box, others, place):
    drawn = draw((120, 400), [*others, box], [12] * (1 + len(others)))
    alone = draw((120, 400), others, [12] * len(others))
    changed = (drawn != alone).any(axis=2)
    y, x = place
    assert changed[y : y + 12, x : x + 95].mean() > 0.95
    for y1, x1, y2, x2 in [box, *others]:
        if place != [0, 0]:
            assert not changed[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].any()


def test_small_videos_are_enlarged():
    sizes = (120, 160), (240, 320), (480, 360), (720, 1280), (16, 8192)
    assert [zoom(size) for size in sizes] == [3, 2, 1, 1, 1]
    drawn = draw(
        (20, 40),
        [[4, 8, 12, 32]],
        [12],
        [mask(20, 40, 4, 8, 12, 32)],
        ids=[1],
        times=10,
    )
    assert drawn.shape == (200, 400, 3)
    colour = track_colours([1])[0]
    assert (drawn[40, 80:320] == colour).all() and (drawn[119, 80:320] == colour).all()
    assert (drawn[60:100, 100:300] == np.round(colour / 2)).all()
