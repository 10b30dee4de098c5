"""Label spaces: A2D's pairs and colours, and users' own JSON."""

import hashlib
import json

import numpy as np
import pytest

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace


def test_a2d_has_its_43_pairs_and_colours():
    assert len(A2D.codes) == 43 and A2D.base == 10
    assert A2D.valid.sum(axis=1).tolist() == [8, 5, 4, 7, 5, 7, 7]
    assert A2D.name(43) == "bird-eating" and A2D.name(0) == "background"
    assert A2D.palette[11].tolist() == [52, 1, 1] and A2D.palette[79].tolist() == [
        255,
        205,
        235,
    ]
    # All are those of the release's Annotations/col.
    assert (
        hashlib.sha256(A2D.palette.tobytes()).hexdigest().startswith("6ec435cd123fcf95")
    )


def test_codes_and_indices_are_inverse():
    actor, action = A2D.split(np.array([0, 11, 79]))
    assert actor.tolist() == [0, 1, 7] and action.tolist() == [0, 1, 9]
    actor, action = A2D.indices(np.array([0, 11, 79]))
    assert actor.tolist() == [-1, 0, 6] and action.tolist() == [-1, 0, 8]
    assert A2D.encode(6, 8) == 79
    assert [A2D.encode(x, y) for x, y in A2D.pairs] == list(A2D.codes)
    assert A2D.actor_index("cat") == 5
    with pytest.raises(InputError, match="'cow'"):
        A2D.actor_index("cow")


def test_own_label_space_round_trips_through_json(tmp_path):
    fields = {
        "actors": ["fork", "truck"],
        "actions": [f"act{i}" for i in range(12)],
        "pairs": [["truck", "act11"], ["fork", "act0"]],
        "colours": {"14": [1, 2, 3]},
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(fields))
    space = LabelSpace.from_json(path)
    assert space.base == 13 and space.codes == (14, 38)
    assert space.palette[14].tolist() == [1, 2, 3] and space.palette[38].any()
    path.write_text(space.to_json())
    assert LabelSpace.from_json(path) == space


MICE = LabelSpace(
    ("rat", "mouse"),
    ("run", "dig"),
    (11, 22),
    colours=((0, (9, 9, 9)), (22, (1, 2, 3))),
)


def test_a_wider_label_space_keeps_the_places_of_the_narrow_one():
    wider = MICE.with_pairs([("mouse", "climb"), ("cat", "run"), ("rat", "run")])
    assert wider.actors == ("rat", "mouse", "cat")
    assert wider.actions == ("run", "dig", "climb") and wider.none_action is None
    assert wider.codes == (11, 22, 23, 31) and wider.colours == MICE.colours
    assert MICE.with_pairs([("rat", "run")]) is MICE
    assert wider.unknown_in(MICE) == []
    assert MICE.unknown_in(wider) == ["actor 'cat'", "action 'climb'"]
    assert MICE.unknown_in(MICE.with_pairs([("rat", "dig")])) == ["pair 'rat-dig'"]


def test_none_among_new_actions_is_no_action():
    assert MICE.with_pairs([("rat", "none")]).none_action == "none"
    assert A2D.with_pairs([("cat", "sleeping")]).none_action == "none"


def test_codes_and_colours_follow_where_actions_change_the_base():
    more = [("mouse", f"act{i}") for i in range(8)]
    wider = MICE.with_pairs(more)
    assert wider.base == 11 and wider.codes == (12, 24, *range(25, 33))
    assert wider.colours == ((0, (9, 9, 9)), (24, (1, 2, 3)))
    assert [wider.name(code) for code in wider.codes[:3]] == [
        "rat-run",
        "mouse-dig",
        "mouse-act0",
    ]
    with pytest.raises(InputError, match="16 bits"):
        MICE.with_pairs([(f"a{i}", f"b{i}") for i in range(300)])


@pytest.mark.parametrize(
    "text, field",
    [
        ('{"actors": ["a"]}', "actions"),
        ('{"actors": ["a"], "actions": ["b"], "pairs": [["a", "c"]]}', "pairs"),
        ('{"actors": ["a"], "actions": ["b"], "codes": [99]}', "99"),
        ('{"actors": ["a"], "actions": ["b"], "codes": []}', "codes"),
        ('{"actors": ["a"], "actions": ["b"], "pairs": []}', "codes"),
        (
            '{"actors": ["a"], "actions": ["b"], "codes": [11], "pairs": [["a", "b"]]}',
            "both codes and pairs",
        ),
        ('{"actors": ["a", "a"], "actions": ["b"]}', "actors"),
        (
            '{"actors": ["a"], "actions": ["b"], "colours": {"11": [1, 2, 256]}}',
            "colours",
        ),
        ('{"actors": ["a"], "actions": ["b"], "colour": {}}', "'colour'"),
        (
            json.dumps(
                dict.fromkeys(("actors", "actions"), [f"n{i}" for i in range(300)])
            ),
            "16 bits",
        ),
    ],
    ids=range(10),
)
def test_bad_label_space_names_file_and_field(tmp_path, text, field):
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        LabelSpace.from_json(path)
    assert str(path) in str(error.value) and field in str(error.value)
