"""Files that are damaged, of another kind, or claim too much end in one clear error."""

import io
import json
import struct
import zipfile
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from a2d_files import (
    mask,
    moving_frames,
    row,
    write_images,
    write_mat,
    write_release,
    write_video,
)
from test_clip_records import clip
from test_tensor_files import write_torch

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.readers.exports import Export
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.core.settings.config import Config
from a2d_tf.data import clip_records
from a2d_tf.data.decoding import image_files, video_frames
from a2d_tf.data.segmentations import decode_rle
from a2d_tf.data.sources.release import Release
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.frames.label_maps import read_label_map
from a2d_tf.pretrained import cache
from a2d_tf.pretrained.weights_file import Weights

SIZE = (24, 32)
VIDEO = row("v", *SIZE, 6, 1, 0)
TENSORS = {"a.weight": np.ones((3, 4), np.float32), "b": np.arange(5)}
HUGE = 60_000  # pixels a side


def refused(message):
    return pytest.raises(InputError, match=message)


# The kinds of files: each function writes a whole file into a folder.


def make_mat(folder):
    """A release of one video, whose frame 4 is annotated."""
    write_release(folder, [VIDEO])
    person = mask(*SIZE, 2, 3, 14, 12)
    path = folder / "Annotations/mat/v/00004.mat"
    return write_mat(path, 16 * person, [person], [16], [[4, 3, 12, 14]])


def make_image(suffix):
    # Noise, for half of a smooth picture's file may hold all of its pixels.
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
    return lambda folder: write_images(folder / "v", [noise], suffix) / f"00001{suffix}"


def clip_record(**fields):
    """A serialised record, with some of its features replaced."""
    example = tf.train.Example.FromString(clip_records.encode(clip()))
    for name, values in fields.items():
        feature = example.features.feature[name]
        kind = feature.WhichOneof("kind")
        del getattr(feature, kind).value[:]
        getattr(feature, kind).value.extend(values)
    return example.SerializeToString()


def read_shard(path):
    with clip_records.reporting_damage(path):
        return [
            clip_records.read_truth(record)
            for record in clip_records.read_shard(str(path))
        ]


def written(name, write):
    """A function that writes a file of this name into a folder."""

    def make(folder):
        write(folder / name)
        return folder / name

    return make


WEIGHTS = Weights(
    {"backbone/stem/kernel": np.zeros((7, 7, 3, 64), np.float32)},
    *("keras_resnet101", "resnet14", (), "0", ""),
)
make_weights = written("w.h5", WEIGHTS.write)


def make_detections(folder, **fields):
    arrays = {"frames": ["v/00004"], "roi_frame": [0], "boxes": np.ones((1, 7, 4))}
    arrays |= {"actor_scores": np.zeros((1, 7)), "action_scores": np.zeros((1, 9))}
    np.savez_compressed(folder / "detections.npz", **{**arrays, **fields})
    return folder / "detections.npz"


def make_coco(folder, **image):
    write_images(folder / "videos/v", moving_frames(2, *SIZE, step=2))
    image = {
        "id": 1,
        "file_name": "v/00001.png",
        "height": SIZE[0],
        "width": SIZE[1],
        **image,
    }
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 16,
        "actor": "adult",
        "action": "rolling",
    }
    annotation |= {
        "bbox": [3, 2, 9, 12],
        "segmentation": [[4, 3, 12, 3, 12, 14, 4, 14]],
    }
    content = {"images": [image], "annotations": [annotation], "categories": []}
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


def read_tensors(path):
    return cache.read_tensors(str(path))


KINDS = {  # name: (make, read)
    "mat": (make_mat, lambda path: Release(path.parents[3]).read_annotation("v", 4)),
    "mp4": (
        written(
            "v.mp4", lambda path: write_video(path, moving_frames(6, 48, 64, step=2))
        ),
        lambda path: list(video_frames.read(path, [6])),
    ),
    "png": (make_image(".png"), lambda path: list(video_frames.read(path.parent))),
    "jpg": (make_image(".jpg"), lambda path: list(video_frames.read(path.parent))),
    "webp": (make_image(".webp"), lambda path: image_files.read_image(path, "")),
    "label map": (
        written(
            "4.png",
            lambda path: cv2.imwrite(str(path), np.resize([0, *A2D.codes], SIZE)),
        ),
        lambda path: read_label_map(path, A2D),
    ),
    "csv": (
        written("videoset.csv", lambda path: write_release(path.parent, [VIDEO])),
        lambda path: Release(path.parent),
    ),
    "labels": (
        written("labels.json", lambda path: path.write_text(A2D.to_json())),
        LabelSpace.from_json,
    ),
    "flags": (written("flags.txt", Config().write), Config.read),
    "detections": (make_detections, ScoredRois.load),
    "truth": (make_coco, lambda path: Truth.load(path, A2D)),
    "coco": (
        make_coco,
        lambda path: AnnotatedVideos.read((Export(path),), path.parent / "videos"),
    ),
    "shard": (
        written(
            "t.tfrecord",
            lambda path: clip_records.write_shard(path, [clip_record()] * 2),
        ),
        read_shard,
    ),
    "weights": (make_weights, Weights.read),
    "torch": (written("w.pth", lambda path: write_torch(path, TENSORS)), read_tensors),
}
DAMAGE = {
    "cut at its end": lambda data: data[: -max(3, len(data) // 20)],
    "cut in half": lambda data: data[: len(data) // 2],
    "cut to its header": lambda data: data[:20],
    "empty": lambda data: b"",
    "text": lambda data: b"neither\nthis nor that\n",
    "zeros in the middle": lambda data: (
        data[: len(data) // 3] + bytes(len(data) // 3) + data[len(data) // 3 * 2 :]
    ),
}
# HDF5, MPEG-4 and JPEG have no checksums; half of the shard is one whole record of its
# two.
SOUND = {
    "zeros in the middle": ("mat", "mp4", "webp", "jpg", "weights"),
    "cut at its end": ("mp4", "flags"),
    "cut in half": ("flags", "shard"),
    "empty": ("shard", "flags"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_named_in_one_line(tmp_path, kind, damage):
    make, read = KINDS[kind]
    path = make(tmp_path)
    if damage == "cut at its end":
        read(path)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    try:
        read(path)
    except InputError as error:
        assert str(path.parent) in str(error) and len(str(error).splitlines()) == 1
    else:
        assert kind in SOUND.get(damage, ())


# Headers that claim more than there is: refused before memory is taken.


def image_that_claims(kind, height, width):
    """An image of one pixel whose header claims more."""
    data = bytearray(
        cv2.imencode(f".{kind}", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    )
    if kind == "png":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    else:
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("kind, side", [("png", HUGE), ("png", 8193), ("jpg", HUGE)])
def test_an_image_of_too_many_pixels(tmp_path, kind, side):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(image_that_claims(kind, side, side))
    with refused(f"a.{kind}: .* pixels"):
        image_files.read_image(path, "")
    if kind == "png":
        with refused("a.png: .* pixels"):
            read_label_map(path, A2D)


def test_a_record_whose_video_is_a_path():
    with (
        refused("some.tfrecord: .*'video' '../../x'"),
        clip_records.reporting_damage("some.tfrecord"),
    ):
        clip_records.read_truth(clip_record(video=[b"../../x"]))


def npy(shape, dtype="<f8", data=b""):
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


@pytest.mark.parametrize(
    "entry", [npy((10**6, 10**6)), npy((2,), "|O", bytes(16)), npy((9,))]
)
def test_an_npz_whose_array_is_not_there(tmp_path, entry):
    path = make_detections(tmp_path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**entries, "boxes.npy": entry}.items():
            archive.writestr(name, data)
    with refused("detections.npz: not a readable"):
        ScoredRois.load(path)


def test_masks_that_reach_beyond_their_frame(tmp_path):
    for counts in ([10**9], [2**62, 2**62], [0, 2**64], "o" * 50, "PPPPPPPPPPPP0"):
        with refused("the RLE's 'counts'"):
            decode_rle({"size": list(SIZE), "counts": counts}, *SIZE)
    path = make_coco(tmp_path, height=10**12)
    with refused("coco.json: images.0..height"):
        Truth.load(path, A2D)


# Names that lead out of a folder.


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "v/..", ".."])
def test_frames_are_named_by_video_and_number(tmp_path, name):
    with refused("field 'frames': .* not VID/frame"):
        ScoredRois.load(make_detections(tmp_path, frames=[name]))
    path = make_coco(tmp_path, file_name=f"../{name}/00001.png")
    with refused("images.0..file_name: .* must be <VID>/<frame>.png"):
        Truth.load(path, A2D)
