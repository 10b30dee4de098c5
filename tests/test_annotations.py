"""A2D's HDF5 files: both forms, each known fault, and each way to break a file."""

import re

import h5py
import numpy as np
import pytest
from a2d_files import mask, write_h5, write_mat

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.sources.a2d_annotations import read_hdf5

SIZE = (20, 32)
A, B = mask(*SIZE, 2, 3, 9, 8), mask(*SIZE, 5, 6, 20, 32)
FIELDS = {
    "label_map": np.where(B, 57, np.where(A, 11, 0)),
    "masks": [A, B],
    "codes": [11, 57],
    "boxes": [[4, 3, 8, 9], [7, 6, 32, 20]],
}


def mat(tmp_path, space=A2D, **kwargs):
    path = write_mat(tmp_path / "v" / "00003.mat", **{**FIELDS, **kwargs})
    return read_hdf5(path, SIZE, space)


def h5(tmp_path, **kwargs):
    path = write_h5(
        tmp_path / "v" / "00003.h5", **{**FIELDS, "instances": [0, 1], **kwargs}
    )
    return read_hdf5(path, SIZE, A2D)


@pytest.mark.parametrize("read", [mat, h5])
def test_two_instances(tmp_path, read):
    annotation = read(tmp_path)
    assert annotation.label_map.shape == SIZE and annotation.label_map.dtype == np.uint8
    assert annotation.label_map[2, 3] == 11 and annotation.label_map[19, 31] == 57
    assert annotation.label_map[9, 3] == 0 and annotation.label_map[8, 7] == 57
    np.testing.assert_array_equal(annotation.masks, [A, B])
    assert annotation.masks.dtype == bool
    assert annotation.codes.tolist() == [11, 57] and annotation.codes.dtype == np.int32
    # x1..x2 of 4..8, counted from 1 and inclusive, are the columns 3..7: half-open 3,
    # 8.
    assert annotation.boxes.tolist() == [[2, 3, 9, 8], [5, 6, 20, 32]]
    assert annotation.boxes.dtype == np.float32 and annotation.note == ""


@pytest.mark.parametrize("read, suffix, box", [(mat, "mat", (4, 1)), (h5, "h5", (4,))])
def test_a_single_instance_comes_squeezed(tmp_path, read, suffix, box):
    one = dict(masks=[A], codes=[11], boxes=[[4, 3, 8, 9]])
    annotation = read(tmp_path, **one, **({"instances": [0]} if read is h5 else {}))
    with h5py.File(tmp_path / "v" / f"00003.{suffix}") as file:
        assert file["reMask"].shape == (32, 20) and file["reBBox"].shape == box
    np.testing.assert_array_equal(annotation.masks, [A])
    assert annotation.boxes.tolist() == [[2, 3, 9, 8]] and annotation.note == ""


@pytest.mark.parametrize("matlab", [True, False])
def test_a_frame_without_instances(tmp_path, matlab):
    none = dict(
        label_map=np.zeros(SIZE), masks=np.zeros((0, *SIZE)), codes=[], boxes=[]
    )
    annotation = mat(tmp_path, **none)
    if not matlab:  # as other writers leave empty arrays
        with h5py.File(tmp_path / "v/00003.mat", "r+") as file:
            for name, shape in (
                ("id", (1, 0)),
                ("reBBox", (4, 0)),
                ("reMask", (0, 32, 20)),
            ):
                del file[name]
                file[name] = np.zeros(shape)
        annotation = read_hdf5(tmp_path / "v/00003.mat", SIZE, A2D)
    assert annotation.masks.shape == (0, *SIZE) and annotation.boxes.shape == (0, 4)
    assert annotation.codes.shape == (0,) and not annotation.label_map.any()


def test_masks_boxes_and_ids_beyond_the_numbered_instances_are_dropped(tmp_path):
    """The published 95Nq6fQoP2o/32, I0MlLHTWCro/20 and IRrbHQjE4LQ/16 have such."""
    boxes = [*FIELDS["boxes"], [1, 1, 2, 2], [40, 40, 50, 50]]
    annotation = h5(
        tmp_path, masks=[A, B, A, B & False], codes=[11, 57, 99], boxes=boxes
    )
    np.testing.assert_array_equal(annotation.masks, [A, B])
    assert annotation.codes.tolist() == [11, 57]
    assert annotation.boxes.tolist() == [[2, 3, 9, 8], [5, 6, 20, 32]]
    held = re.findall(
        r"'(\w+)' has (\d) instances, but 'instance' has 2", annotation.note
    )
    assert held == [("id", "3"), ("reMask", "4"), ("reBBox", "4")]
    one = dict(instances=[0], boxes=FIELDS["boxes"][:1], codes=[11])
    np.testing.assert_array_equal(h5(tmp_path, **one).masks, [A])


def test_a_repeated_instance_number_drops_the_later_one(tmp_path):
    """As in EadxBPmQvtg/25, whose instances are 0 to 9 and again 1."""
    annotation = h5(
        tmp_path,
        masks=[A, B, A | B],
        codes=[11, 57, 13],
        boxes=[*FIELDS["boxes"], [4, 3, 32, 20]],
        instances=[4, 1, 4],
    )
    np.testing.assert_array_equal(annotation.masks, [A, B])
    assert annotation.codes.tolist() == [11, 57]
    assert annotation.boxes.tolist() == [[2, 3, 9, 8], [5, 6, 20, 32]]
    assert (
        annotation.note == "'instance' repeats number 4: the later instance is dropped"
    )


def test_a_missing_label_map_is_painted_where_instances_are_numbered(tmp_path):
    annotation = h5(tmp_path, drop=["reS_id"])
    np.testing.assert_array_equal(
        annotation.label_map, np.where(A, 11, np.where(B, 57, 0))
    )
    assert annotation.label_map.dtype == np.uint8
    assert (
        annotation.note
        == "'reS_id' is missing: painted from the masks, smaller over larger"
    )
    with pytest.raises(InputError, match="00003.mat: 'reS_id': missing"):
        mat(tmp_path, drop=["reS_id"])


def test_boxes_are_cut_to_the_frame_and_codes_may_have_16_bits(tmp_path):
    boxes = [[-3, 0, 8, 9], [7, 6, 33, 99]]
    assert mat(tmp_path, boxes=boxes).boxes.tolist() == [[0, 0, 9, 8], [5, 6, 20, 32]]
    space = LabelSpace(tuple(f"x{i}" for i in range(40)), ("a", "b"), (11, 52, 402))
    annotation = mat(tmp_path, space, codes=[402, 52], label_map=np.where(A, 402, 0))
    assert annotation.label_map.dtype == np.uint16 and annotation.label_map.max() == 402


@pytest.mark.parametrize(
    "field, broken",
    [
        ("reMask", dict(drop=["reMask"])),
        ("reMask", dict(codes=[11, 57, 57])),
        ("reMask", dict(masks=[A, B & False])),
        ("reBBox", dict(reBBox=np.ones((4, 3)))),
        ("reBBox", dict(reBBox=np.full((4, 2), np.nan))),
        ("reBBox", dict(boxes=[[4, 3, 8, 9], [40, 6, 50, 20]])),  # outside the frame
        ("reS_id", dict(label_map=np.zeros((32, 20)))),
        ("reS_id", dict(label_map=np.where(A, 99, 0))),
        ("id", dict(codes=[11, 14])),
        ("id", dict(codes=[11.5, 57])),
        ("id", dict(id=np.array([[b"a", b"b"]]))),
        ("id", dict(numbered=True, codes=[11])),
        ("reMask", dict(numbered=True, masks=[A])),
        ("reBBox", dict(numbered=True, reBBox=np.ones((4, 1)))),
    ],
)
def test_a_broken_annotation_names_file_and_field(tmp_path, field, broken):
    read, suffix = (h5, "h5") if broken.pop("numbered", False) else (mat, "mat")
    with pytest.raises(InputError, match=f"v/00003.{suffix}: '{field}': "):
        read(tmp_path, **broken)
