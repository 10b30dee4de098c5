"""Files that claim what none should: sizes beyond all memory, places outside of their folder.

Each is refused by an InputError that names it, before much memory is taken and in short time.
"""

import io
import json
import os
import pathlib
import pickle
import re
import resource
import shutil
import struct
import time
import zipfile

import cv2
import h5py
import numpy as np
import pytest
from a2d_files import (
    mask,
    moving_frames,
    row,
    write_images,
    write_mat,
    write_release,
    write_video,
)

from a2d_tf.commands import score
from a2d_tf.core import arrays, files, limits
from a2d_tf.core.config import Config, ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.manifest import SCHEMA, Manifest, check_facts, count_records
from a2d_tf.data.rle import decode_rle
from a2d_tf.data.sources import frames
from a2d_tf.data.sources.coco import CocoVideos
from a2d_tf.data.sources.release import Release
from a2d_tf.evaluation.detection import Detections, Truth
from a2d_tf.evaluation.segmentation import read_label_map
from a2d_tf.pretrained import tensor_files
from a2d_tf.video import video_files

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIZE = (24, 32)
MORE = 200  # MiB, SECONDS: what a refusal may take at most
SECONDS = 20


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """TensorFlow itself takes more of both."""
    from a2d_tf.data import records
    from a2d_tf.learning.runs import run_folder

    return run_folder, records


@pytest.fixture(autouse=True)
def little(loaded):
    """Every test here takes little memory and time."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert more < MORE and time.process_time() - began < SECONDS


def refused(message):
    return pytest.raises(InputError, match=message)


# Images.


def png(width, height):
    """A PNG of one pixel whose header claims more."""
    data = bytearray(cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes())
    data[16:24] = struct.pack(">II", width, height)
    return bytes(data)


def jpeg(width, height):
    data = bytearray(cv2.imencode(".jpg", np.zeros((1, 1, 3), np.uint8))[1].tobytes())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp(width, height):
    data = bytearray(cv2.imencode(".bmp", np.zeros((1, 1, 3), np.uint8))[1].tobytes())
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def tiff(width, height):
    data = bytearray(cv2.imencode(".tif", np.zeros((3, 5, 3), np.uint8))[1].tobytes())
    for tag, old, new in ((256, 5, width), (257, 3, height)):
        place = data.index(struct.pack("<HHIH", tag, 3, 1, old))
        data[place : place + 12] = struct.pack("<HHII", tag, 4, 1, new)
    return bytes(data)


def webp(width, height):
    data = bytearray(
        cv2.imencode(".webp", np.zeros((1, 1, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 50])[
            1
        ].tobytes()
    )
    assert data[12:16] == b"VP8 "
    data[26:30] = struct.pack("<HH", width, height)
    return bytes(data)


@pytest.mark.parametrize("width, height", [(60_000, 60_000), (32_767, 32_767), (8193, 8192)])
def test_a_png_that_claims_too_many_pixels(tmp_path, width, height):
    write_release(tmp_path, [row("v", *SIZE, 3, 1, 0)])
    path = write_images(tmp_path / "pngs320H/v", moving_frames(3, *SIZE, step=2)) / "00002.png"
    path.write_bytes(png(width, height))
    with refused(f"00002.png: claims {height}x{width} pixels"):
        list(Release(tmp_path).read_frames("v", [1, 2]))
    with refused(f"00002.png: {width}x{height} pixels are more than {limits.MAX_PIXELS}"):
        read_label_map(path, A2D)
    with refused(f"00002.png: claims {height}x{width} pixels"):
        list(video_files.Reader(path.parent))


@pytest.mark.parametrize(
    "make, width, height",
    [
        (jpeg, 65_500, 65_500),
        (bmp, 30_000, 30_000),
        (bmp, 30_000, -30_000),
        (tiff, 60_000, 60_000),
        (webp, 16_383, 16_383),
    ],
)
def test_pictures_of_other_formats(tmp_path, make, width, height):
    path = tmp_path / f"a.{make.__name__}"
    path.write_bytes(make(width, height))
    with refused(f"a.{make.__name__}: claims {abs(height)}x{width} pixels"):
        frames.read_image(path, "")
    path.write_bytes(make(1, 1))
    if make is not tiff:  # whose strip would be too long
        assert frames.read_image(path, "").shape == (1, 1, 3)


def test_what_is_no_file_of_a_sound_size(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with refused("a.png: cannot be read .a folder, a pipe or a device"):
        frames.read_image(tmp_path / "a.png", "")
    with refused("a.png: cannot be read .a folder, a pipe or a device"):
        read_label_map(tmp_path / "a.png", A2D)
    with open(tmp_path / "b.png", "wb") as file:
        file.truncate(1 << 40)
    with refused("b.png: cannot be read .1099511627776 bytes, more than"):
        frames.read_image(tmp_path / "b.png", "")
    for name in ("videoset.csv", "labels.json", "truth.json"):
        shutil.move(tmp_path / "b.png", tmp_path / name)
        with refused(f"{name}: not .*readable.*1099511627776 bytes, more than"):
            {
                "videoset.csv": lambda path: Release(path.parent),
                "labels.json": LabelSpace.from_json,
                "truth.json": lambda path: Truth.load(path, A2D),
            }[name](tmp_path / name)
        shutil.move(tmp_path / name, tmp_path / "b.png")


def test_what_is_read_or_written_is_a_file(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    for read in (tensor_files.read, Detections.load):
        with refused("pipe: .*a folder, a pipe or a device"):
            read(path)
    with refused("pipe: a folder, a pipe or a device is there"):
        files.write_text(path, "x")


def test_a_run_folder_is_of_its_own_files(tmp_path):
    from a2d_tf.learning.runs import run_folder

    run, other = tmp_path / "run", tmp_path / "other"
    other.mkdir()
    (run / "tensorboard").mkdir(parents=True)
    for name in ("checkpoints", "evaluation", "tensorboard/train", "flags.txt"):
        (run / name).symlink_to(other)
        with refused(f"run/{name}: a link that leads out of .*run; put what it leads to in"):
            run_folder.load(str(run))
        (run / name).unlink()
    (run / "best").symlink_to("tensorboard")  # inside
    os.mkfifo(run / "tensorboard" / "events.out.tfevents.1")
    with refused("events.out.tfevents.1: a pipe or a device, no file"):
        run_folder.load(str(run))
    (run / "tensorboard" / "events.out.tfevents.1").unlink()
    (other / "x.flags").write_text("--image_height=64\n")
    (run / "flags.txt").write_text(f"--flagfile={other}/x.flags\n")
    with refused("flags.txt: --flagfile=.*x.flags: no other file is read from here"):
        run_folder.load(str(run))


# Videos.


def vp9(path, width, height):
    """A video of 64x48 pixels whose key frame claims another size: two 16-bit fields, less one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = video_files.Writer(path, 25, (48, 64))
    for _ in range(3):
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.close()
    data = bytearray(path.read_bytes())
    place = data.index(b"\x49\x83\x42") + 3  # the sync code; then 4 bits of colours
    bits = int.from_bytes(data[place : place + 5], "big")
    assert bits >> 4 & 0xFFFFFFFF == 63 << 16 | 47
    bits = bits & ~(0xFFFFFFFF << 4) | ((width - 1) << 16 | (height - 1)) << 4
    data[place : place + 5] = bits.to_bytes(5, "big")
    path.write_bytes(data)
    return path


def test_a_video_that_claims_huge_frames(tmp_path):
    # The second is too much for FFmpeg.
    for side, message in ((9000, "claims 9000x9000 pixels"), (65536, "claims 0x0 pixels")):
        path = vp9(tmp_path / "v.mp4", side, side)
        for read in (frames.count, frames.size, video_files.Reader):
            with refused(f"v.mp4: {message}"):
                read(path)


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.mp4\n",
    ],
)
def test_a_playlist_called_a_video_opens_no_other_file(tmp_path, playlist):
    secret = write_video(tmp_path / "secret.mp4", moving_frames(3, *SIZE, step=2))
    path = tmp_path / "v.mp4"
    path.write_text(playlist.format(secret))
    assert frames.count(secret) == 3
    with refused("v.mp4: cannot be decoded"):
        frames.count(path)
    with refused("v.mp4: cannot be decoded"):
        video_files.Reader(path)


# Arrays.


def release_with(folder, spoil):
    """A release of one annotation, which `spoil(file)` changes as an open h5py.File."""
    write_release(folder, [row("v", *SIZE, 6, 1, 0)])
    person = mask(*SIZE, 2, 3, 14, 12)
    path = folder / "Annotations/mat/v/00004.mat"
    write_mat(path, 16 * person, [person], [16], [[4, 3, 12, 14]])
    Release(folder).read_annotation("v", 4)
    with h5py.File(path, "r+") as file:
        spoil(file)
    return Release(folder)


def replace(field, **options):
    def spoil(file):
        del file[field]
        file.create_dataset(field, **options)

    return spoil


def external(file):
    other = pathlib.Path(file.filename).with_name("secret")
    other.write_bytes(bytes(8 * SIZE[0] * SIZE[1]))
    del file["reS_id"]
    file.create_dataset("reS_id", SIZE[::-1], "f8", external=[(str(other), 0, h5py.h5f.UNLIMITED)])


def secret_beside(file):
    """A file that nobody named; its path."""
    other = pathlib.Path(file.filename).with_name("secret.h5")
    with h5py.File(other, "w") as secret:
        secret["x"] = np.zeros(SIZE[::-1])
    return other


def virtual(file):
    other = secret_beside(file)
    layout = h5py.VirtualLayout(SIZE[::-1], "f8")
    layout[:] = h5py.VirtualSource(other, "x", SIZE[::-1])
    del file["reS_id"]
    file.create_virtual_dataset("reS_id", layout)


def linked(file):
    other = secret_beside(file)
    del file["reS_id"]
    file["reS_id"] = h5py.ExternalLink(other, "x")


def linked_by_way_of_its_own(file):
    other = secret_beside(file)
    del file["reS_id"]
    file["other"] = h5py.ExternalLink(other, "/")
    file["reS_id"] = h5py.SoftLink("/other/x")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            replace("id", shape=(1, 10**9), dtype="f8"),
            "'id': '/id' claims 8000000000 bytes, more than",
        ),
        (
            replace("id", shape=(1, 10**8), dtype="u1"),
            "'id': '/id' claims 100000000 bytes, but has",
        ),
        (replace("reMask", shape=(10**5, 10**5), dtype="u1"), "'/reMask' claims 10000000000 bytes"),
        (
            replace(
                "reS_id",
                shape=SIZE[::-1],
                maxshape=(None, None),
                chunks=(2048, 2048),
                dtype="f8",
                compression="gzip",
                data=np.zeros(SIZE[::-1]),
            ),
            "a chunk of /reS_id' claims 33554432",
        ),
        (replace("reS_id", data=np.zeros(SIZE[::-1], int), scaleoffset=4), "is packed by filter 6"),
        (external, "'reS_id': '/reS_id' keeps its numbers in other files"),
        (virtual, "'reS_id': '/reS_id' keeps its numbers in other files"),
        (linked, "'reS_id': 'reS_id' is a link to another file"),
        (linked_by_way_of_its_own, "'reS_id': 'reS_id' is a link to another file"),
    ],
)
def test_annotations_that_claim_or_borrow_numbers(tmp_path, spoil, message):
    release = release_with(tmp_path, spoil)
    with refused(f"00004.mat: .*{re.escape(message)}"):
        release.read_annotation("v", 4)


def test_a_thousand_masks_of_a_large_frame(tmp_path):
    write_release(tmp_path, [row("v", 8192, 8192, 6, 1, 0)])
    path = tmp_path / "Annotations/mat/v/00004.mat"
    write_mat(path, np.zeros((2, 2)), np.zeros((0, 2, 2)), [], [])
    with h5py.File(path, "r+") as file:
        replace("id", data=np.full((1, 1000), 16.0))(file)
    with refused("00004.mat: 'id': claims 1000 instances, whose masks would have more than"):
        Release(tmp_path).read_annotation("v", 4)
    write_release(tmp_path, [row("v", 8192, 10**8, 6, 1, 0)])
    with refused("line 1: width 100000000 is more than 8192"):
        Release(tmp_path)


def npz(path, **entries):
    """An .npz of entries as bytes, compressed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)
    return path


def npy(shape, dtype="<f8", data=b""):
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


@pytest.mark.parametrize(
    "frames_npy, message",
    [
        (npy((10**6, 10**6)), "claims 8000000000000 bytes"),
        (npy((2,), "<U1000000"), "claims 8000000 bytes, but has not"),
        (npy((2,), "|O", bytes(16)), "Object arrays cannot be loaded"),
        (npy((10**6,), "<f8", b"xyz"), "claims 8000000 bytes, but has not"),
    ],
)
def test_detections_that_claim_what_is_not_there(tmp_path, frames_npy, message):
    from a2d_tf.pretrained import tensor_files

    fields = dict(
        roi_frame=npy((0,), "<i8"),
        boxes=npy((0, 7, 4)),
        actor_scores=npy((0, 7)),
        action_scores=npy((0, 9)),
    )
    path = npz(tmp_path / "d.npz", frames=frames_npy, **fields)
    with refused(f"d.npz: field 'frames' is unreadable .*{message}"):
        Detections.load(path)
    with refused(f"d.npz: .*{message}"):
        for name, tensor in tensor_files.read(str(path)).items():
            arrays.numbers(tensor, f"{path}: {name}")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "v/..", "..", "v\0/1", "v"])
def test_frames_are_named_by_video_and_number(tmp_path, name):
    fields = dict(
        roi_frame=[0],
        boxes=np.zeros((1, 7, 4)),
        actor_scores=np.zeros((1, 7)),
        action_scores=np.zeros((1, 9)),
    )
    if not name.endswith("\0"):
        np.savez(tmp_path / "d.npz", frames=[name], **fields)
        with refused("field 'frames': .* is not <VID>/<frame>"):
            Detections.load(tmp_path / "d.npz")
    truth = {"images": [{"id": 1, "file_name": f"{name}.png"}], "annotations": []}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    if name != "..":  # "...png" is a name, but of no video
        with refused("images.0..file_name must be <VID>/<frame>.png"):
            Truth.load(tmp_path / "truth.json", A2D)


# Weights.


def weights_file(path, spoil=lambda file: None):
    from a2d_tf.pretrained.weights import Weights

    tensors = {"backbone/stem/kernel": np.zeros((7, 7, 3, 64), np.float32)}
    Weights(tensors, "keras", "keras", "resnet14", (), "0", "").write(path)
    Weights.read(str(path))
    with h5py.File(path, "r+") as file:
        spoil(file)
    return str(path)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(shape=(7, 7, 3, 10**9), dtype="f4"), "claims 588000000000 bytes, more than"),
        (dict(shape=(7, 7, 3, 10**6), dtype="f4"), "claims 588000000 bytes, but has not that many"),
        (
            dict(shape=(7, 7, 3, 64), dtype="f4", external=[("/etc/passwd", 0, 10**6)]),
            "in other files",
        ),
    ],
)
def test_weights_that_claim_a_huge_tensor(tmp_path, options, message):
    from a2d_tf.pretrained import tensor_files
    from a2d_tf.pretrained.weights import Weights

    path = weights_file(tmp_path / "w.h5", replace("backbone/stem/kernel", **options))
    with refused(f"w.h5: .*{message}"):
        Weights.read(path)
    with h5py.File(tmp_path / "keras.h5", "w") as file:
        file.create_dataset("conv1/conv1/kernel:0", **options)
    with refused(f"keras.h5: .*{message}"):
        tensor_files.read(str(tmp_path / "keras.h5"))


def test_weights_of_a_network_that_no_machine_holds(tmp_path):
    from a2d_tf.learning.runs import run_folder
    from a2d_tf.pretrained.weights import Weights

    tensors = {
        "backbone/stem/kernel": np.zeros((1, 1, 1, 64), np.float32),
        "actor/fc2/kernel": np.zeros((1, 1, 1, 100_000), np.float32),
    }
    Weights(tensors, "matterport", "matterport", "resnet14", ("cat",), "0", "").write(
        tmp_path / "w.h5"
    )
    with refused("--head_units=100000 is not in the range 8 to 8192"):
        run_folder.untrained(str(tmp_path / "w.h5"))
    for fields in ({"image_height": 2**20}, {"temporal_layers": 1000}, {"flow_scale": np.inf}):
        with refused(f"--{next(iter(fields))}="):
            Config(ModelConfig(**fields)).checked()


def test_a_checkpoint_that_claims_more_than_its_file(tmp_path):
    import tensorflow as tf

    from a2d_tf.learning.runs.checkpoints import restore

    prefix = str(tmp_path / "run/checkpoints/ckpt-1")
    os.makedirs(tmp_path / "run/checkpoints")
    # A part of a tensor of a million by a million.
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=["x"],
        shape_and_slices=["1000000 1000000 0,2:0,2"],
        tensors=[tf.zeros([2, 2])],
    )
    state = tmp_path / "run/checkpoints/checkpoint"
    state.write_text('model_checkpoint_path: "ckpt-1"\n')
    with refused(r"ckpt-1: damaged \(it claims 4000000000000 bytes of 16\)"):
        restore(None, str(tmp_path / "run"))
    shutil.move(tmp_path / "run/checkpoints", tmp_path / "other")
    os.makedirs(tmp_path / "run/checkpoints")
    for place in (str(tmp_path / "other/ckpt-1"), "../../other/ckpt-1"):
        state.write_text(
            f'model_checkpoint_path: "{place}"\nall_model_checkpoint_paths: "{place}"\n'
        )
        with refused("ckpt-1.index: a link that leads out of .*checkpoints"):
            restore(None, str(tmp_path / "run"))


def test_pickles_whose_names_never_end_and_tensors_of_one_number(tmp_path):
    import torch_files

    from a2d_tf.pretrained import tensor_files

    key = ()
    for _ in range(60):  # its hash takes 2**60 steps
        key = (key, key)
    for opcode in (b"s", b"(u"):  # {key: 1}, by either way of putting it
        body = pickle.dumps(key, 2)[2:-1]
        made = b"\x80\x02}" + (b"(" if opcode == b"(u" else b"") + body + b"K\x01" + opcode[-1:]
        (tmp_path / "w.pkl").write_bytes(made + b".")
        with refused("w.pkl: .*a dictionary whose keys are no names"):
            tensor_files.read(str(tmp_path / "w.pkl"))
    values = {"x": np.zeros(4, np.float32)}
    torch_files.write(tmp_path / "w.pth", values, edit=lambda *_: (0, (10**6, 10**6), (0, 0)))
    with refused("w.pth: .*reaches beyond its storage"):
        tensor_files.read(str(tmp_path / "w.pth"))


# Text.


def test_json_without_sense(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("[" * 100_000)
    for read in (
        lambda path: Truth.load(path, A2D),
        LabelSpace.from_json,
        lambda path: CocoVideos(path, tmp_path),
    ):
        with refused("x.json: not .*nested too deep"):
            read(path)
    path.write_text(
        json.dumps(
            {
                "actors": [f"x{i}" for i in range(10_000)],
                "actions": [f"y{i}" for i in range(10_000)],
            }
        )
    )
    with refused("x.json: label space: codes do not fit 16 bits"):
        LabelSpace.from_json(path)
    path.write_text(json.dumps({"actors": ["cat\x1b]0;"], "actions": ["y"]}))
    with refused("x.json: label space: 'actors' must be distinct names"):
        LabelSpace.from_json(path)


def coco(tmp_path, **image):
    """COCO JSON of one annotated image, and the folder of its video."""
    write_images(tmp_path / "videos/v", moving_frames(2, *SIZE, step=2))
    image = {"id": 1, "file_name": "v/00001.png", "height": SIZE[0], "width": SIZE[1], **image}
    annotation = {
        "image_id": 1,
        "actor": "cat",
        "action": "walking",
        "segmentation": [[1, 1, 9, 1, 9, 9]],
    }
    return {"images": [image], "annotations": [annotation]}


def test_coco_files_of_too_much(tmp_path):
    made, path = coco(tmp_path), tmp_path / "x.json"

    def read(value):
        path.write_text(json.dumps(value))
        return CocoVideos(path, tmp_path / "videos").read_annotation("v", 1)

    assert read(made).masks.sum() > 0
    with refused("annotations.1000.: more instances on images.0. than 1000"):
        read({**made, "annotations": made["annotations"] * 1001})
    large = coco(tmp_path, height=8192, width=8192)
    with refused("annotations.16.: more instances on images.0. than 16, the most in a frame of"):
        read({**large, "annotations": large["annotations"] * 17})
    zigzag = [[0, 0, 8192, 0] * 200 + [0, 1, 1, 1]]
    large["annotations"][0]["segmentation"] = zigzag
    with refused("annotations.0..segmentation: the polygons' outline is longer"):
        read(large)
    with refused("images.0..file_name: video '..' cannot be a file name"):
        read(coco(tmp_path, file_name="../00001.png"))
    with refused("images.0..file_name: video '/etc' cannot be a file name"):
        read(coco(tmp_path, file_name="/etc/00001.png"))
    with refused("images.0..id: .{0,200} is no number or text"):
        read(coco(tmp_path, id=["x" * 10**6]))


def test_run_lengths_that_reach_beyond_the_mask():
    for counts in ([10**9], [2**62, 2**62], [0, 2**64], "o" * 50, "PPPPPPPPPPPP0"):
        with refused("the RLE's 'counts'"):
            decode_rle({"size": list(SIZE), "counts": counts}, *SIZE)


# Links.


def test_links_that_lead_out_of_a_release(tmp_path):
    other = write_video(tmp_path / "other/v.mp4", moving_frames(6, *SIZE, step=2))
    release = release_with(tmp_path / "Release", lambda file: None)
    (release.root / "clips320H").mkdir()
    (release.root / "clips320H/v.mp4").symlink_to(other)
    with refused("clips320H/v.mp4: a link that leads out of .*Release; .*--follow_links"):
        list(release.read_frames("v", [1]))
    assert len(list(Release(release.root, follow_links=True).read_frames("v", [1, 2]))) == 2
    (release.root / "clips320H/v.mp4").unlink()
    shutil.move(other, release.root / "inner.mp4")
    (release.root / "clips320H/v.mp4").symlink_to(release.root / "inner.mp4")
    assert len(list(release.read_frames("v", [1, 2]))) == 2  # it stays inside
    mat = release.root / "Annotations/mat/v/00004.mat"
    shutil.move(mat, tmp_path / "other/x.mat")
    mat.symlink_to(tmp_path / "other/x.mat")
    with refused("00004.mat: a link that leads out of"):
        release.read_annotation("v", 4)
    assert len(Release(release.root, follow_links=True).read_annotation("v", 4).codes) == 1
    (tmp_path / "linked").symlink_to(release.root)  # the folder given may be a link
    assert len(list(Release(tmp_path / "linked").read_frames("v", [1]))) == 1


def test_links_among_frames_and_own_videos(tmp_path):
    made = coco(tmp_path)
    (tmp_path / "x.json").write_text(json.dumps(made))
    frame = tmp_path / "videos/v/00002.png"
    shutil.move(frame, tmp_path / "x.png")
    frame.symlink_to(tmp_path / "x.png")
    with refused("00002.png: a link that leads out of .*videos"):
        list(CocoVideos(tmp_path / "x.json", tmp_path / "videos").read_frames("v", [1]))
    linked = CocoVideos(tmp_path / "x.json", tmp_path / "videos", follow_links=True)
    assert len(list(linked.read_frames("v", [1, 2]))) == 2


def test_a_prediction_that_is_a_link_to_the_truth(tmp_path):
    for name in ("truth/v", "predicted/v"):
        (tmp_path / name).mkdir(parents=True)
    label_map = np.uint8(16 * mask(*SIZE, 2, 3, 14, 12))
    cv2.imwrite(str(tmp_path / "truth/v/00001.png"), label_map)
    (tmp_path / "predicted/v/00001.png").symlink_to("../../truth/v/00001.png")
    with refused("predicted/v/00001.png: a link that leads out of .*predicted"):
        score.score_segmentation(tmp_path / "truth", tmp_path / "predicted", A2D)


# Records.


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF  # masked as TFRecords have it


def test_a_record_that_claims_to_be_longer_than_all_memory(tmp_path):
    from a2d_tf.data import records

    path = tmp_path / "train.tfrecord"
    for length in (2**40, 2**63, 2**64 - 8, 100):
        head = struct.pack("<Q", length)
        path.write_bytes(head + struct.pack("<I", crc32c(head)) + bytes(64))
        for read in (count_records, lambda path: list(records.read_shard(str(path)))):
            with refused("train.tfrecord: damaged records .record 1 is longer than the file"):
                read(path)
    records.write_shard(path, [b"a", b"", b"b" * 1000])
    assert count_records(path) == 3


def clip_record(**fields):
    """A serialised record of one instance, with some of its features replaced."""
    import tensorflow as tf

    from a2d_tf.data import records
    from a2d_tf.data.sources.annotations import Annotation

    inside = mask(*SIZE, 2, 3, 14, 12)
    annotation = Annotation(
        np.uint8(16 * inside), inside[None], np.int32([16]), np.float32([[2, 3, 14, 12]])
    )
    clip = records.ClipRecord(
        "v",
        2,
        "train",
        (1, 2, 3),
        np.stack(moving_frames(3, *SIZE, step=2)),
        np.zeros((3, *SIZE, 2), np.float32),
        annotation,
    )
    example = tf.train.Example.FromString(records.encode(clip))
    for name, values in fields.items():
        feature = example.features.feature[name]
        kind = feature.WhichOneof("kind")
        del getattr(feature, kind).value[:]
        getattr(feature, kind).value.extend(values)
    return example.SerializeToString()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"video": [b"../../x"]}, "'video' '../../x'"),
        ({"video": [b"/etc/x"]}, "'video' '/etc/x'"),
        ({"split": [b"../x"]}, "'split' '../x'"),
        ({"frame": [-5]}, "'frame' -5"),
        (
            {"native_height": [10**9], "native_width": [10**9]},
            "claims 1000000000x1000000000 pixels",
        ),
        ({"height": [2**40]}, "claims 1099511627776x32 pixels"),
        ({"label_map": [png(60_000, 60_000)]}, "'label_map' is no image of 24x32"),
        ({"label_map": [png(32_000, 32_000)]}, "'label_map' is no image of 24x32"),
        ({"mask_rle": [b"PPPPPPPP0"]}, "the RLE's 'counts' "),
        ({"mask_rle": [b"\xff\xfe"]}, "no record of a clip"),
        ({"codes": [10**12]}, "a code that is none"),
        ({"boxes": [np.nan] * 4}, "a box that is not finite"),
    ],
)
def test_records_whose_truth_claims_too_much(fields, message):
    from a2d_tf.data import records

    with refused(f"some.tfrecord: .*{re.escape(message)}"), records.naming("some.tfrecord"):
        records.read_truth(clip_record(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"rgb": [jpeg(65_500, 65_500)] * 3},
        {"flow": [jpeg(65_500, 65_500)] * 3},
        {"masks": [png(20_000, 20_000)]},
        {"height": [2**40], "width": [2**40]},
        {"height": [10**9]},
        {"codes": [16] * 1000},
        {"height": [8192], "width": [8192]},
        {"masks": [b""]},
        {"rgb": [b""] * 3},
        {"boxes": [np.nan, 2, 14, 12]},
        {"codes": [-7]},
        {"codes": [60_000_000]},
        {"native_height": [0]},
        {"native_width": [2**40]},
        {"boxes": []},
        {"flow_scale": [np.inf] * 3},
    ],
)
def test_records_whose_pictures_claim_too_much(fields):
    from a2d_tf.data import records

    records.parse(clip_record())
    with refused("some.tfrecord: damaged records"), records.naming("some.tfrecord"):
        records.parse(clip_record(**fields))


@pytest.fixture
def records_folder(tmp_path):
    """A folder of two records in one shard."""
    from a2d_tf.data import records

    folder = tmp_path / "records"
    folder.mkdir()
    shard = folder / "train-00000-of-00001.tfrecord"
    records.write_shard(shard, [clip_record()] * 2)
    none = {"videos": 0, "records": 0, "instances": 0, "pairs": {}}
    Manifest(
        schema=SCHEMA,
        flow_method="dis",
        image_height=32,
        image_width=32,
        clip_frames=3,
        clip_stride=1,
        counts={"train": {**none, "records": 2}, "test": none},
        sizes={},
        native_sizes={},
        durations={},
        flow_quality={},
        skipped=[],
        mended=[],
        labels=json.loads(A2D.to_json()),
        files=[
            {
                "name": shard.name,
                "split": "train",
                "records": 2,
                "sha256": "",
                "bytes": shard.stat().st_size,
            }
        ],
        source="",
    ).save(folder)
    assert Manifest.load(folder).splits == ("train",)
    return folder


@pytest.mark.parametrize("name", ["../x.tfrecord", "/etc/passwd", "..", "sub/x.tfrecord", "x\n"])
def test_shards_are_in_the_folder(records_folder, name):
    path = records_folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][0]["name"] = name
    path.write_text(json.dumps(manifest))
    with refused("manifest.json: damaged manifest"):
        Manifest.load(records_folder)


def test_a_shard_that_is_a_link_and_one_of_fewer_records(records_folder, tmp_path):
    path = next(records_folder.glob("*.tfrecord"))
    shutil.move(path, tmp_path / "x")
    path.symlink_to(tmp_path / "x")
    with refused(f"{path.name}: a link that leads out of"):
        Manifest.load(records_folder)
    path.unlink()
    size = (tmp_path / "x").stat().st_size
    path.write_bytes(struct.pack("<Q", size - 16) + bytes(size - 8))
    with refused(f"{path.name}: 1 records instead of"):
        Manifest.load(records_folder)


# What is served.


@pytest.mark.parametrize(
    "change",
    [
        {"image_height": 10**9},
        {"image_width": 0},
        {"clip_stride": 10**9},
        {"clip_stride": 1.5},
        {"flow_method": ["dis"]},
        {"image_height": True},
    ],
)
def test_facts_of_a_run_that_would_take_all_memory(change):
    facts = dict(flow_method="dis", image_height=256, image_width=256, clip_stride=1)
    assert check_facts(facts) == facts
    with pytest.raises(ValueError):
        check_facts({**facts, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 10**9},
        {"frames": None},
        {"clip_stride": 10**9},
        {"labels": []},
        {"score_threshold": "x"},
    ],
)
def test_facts_of_a_saved_model(tmp_path, change):
    from a2d_tf.video.predictor import Predictor

    facts = dict(
        flow_method="dis",
        image_height=256,
        image_width=256,
        clip_stride=1,
        frames=3,
        use_flow=True,
        checkpoint="ckpt-1",
        score_threshold=0.5,
        labels=json.loads(A2D.to_json()),
    )
    (tmp_path / "a2d_tf.json").write_text(json.dumps({**facts, **change}))
    (tmp_path / "saved_model.pb").write_bytes(b"nothing")
    with refused("damaged"):
        Predictor.from_saved_model(str(tmp_path))


def clip(height, width, rgb=0, flow=0.0):
    import tensorflow as tf

    return {
        "rgb": tf.fill([1, 3, height, width, 3], tf.constant(rgb, tf.uint8)),
        "flow": tf.fill([1, 3, height, width, 2], tf.constant(flow, tf.float32)),
    }


class TestSavedModel:
    @pytest.fixture(scope="class")
    def predictor(self, saved_model):
        from a2d_tf.video.predictor import Predictor

        return Predictor.from_saved_model(str(saved_model))

    @pytest.fixture(scope="class")
    def model(self, predictor):
        return predictor._alive  # the loaded SavedModel

    @pytest.fixture(autouse=True)
    def little(self, model):
        """The network takes its own time and memory."""

    @pytest.mark.parametrize(
        "made",
        [
            (1, 1),
            (1, 300),
            (300, 1),
            (2, 2),
            (64, 96),
            (64, 96, 255),
            (64, 96, 255, 1e30),
            (64, 96, 0, -3e38),
            (1, 1, 255, 1e38),
        ],
    )
    def test_any_frames_and_any_finite_flow_give_finite_answers(self, model, made):
        found = model.signatures["serving_default"](**clip(*made))
        for name, value in found.items():
            assert np.isfinite(value.numpy().astype(np.float64)).all(), name
        assert found["label_map"].shape == (1, *made[:2])
        assert set(np.unique(found["label_map"])) <= {0, *A2D.codes}

    @pytest.mark.parametrize("flow", [np.nan, np.inf, -np.inf])
    def test_flow_that_is_no_number_is_refused(self, model, flow):
        import tensorflow as tf

        with pytest.raises(tf.errors.InvalidArgumentError, match="flow must be finite"):
            model.signatures["serving_default"](**clip(32, 48, flow=flow))
        with pytest.raises(tf.errors.InvalidArgumentError, match="flow must be finite"):
            one = clip(32, 48, flow=flow)
            model.signatures["frame"](rgb=one["rgb"][:, 0], flow=one["flow"][:, 0])

    def test_frames_without_pixels_and_answers_without_end_are_refused(self, model):
        import tensorflow as tf

        for size in ((0, 0), (0, 5), (5, 0)):
            with pytest.raises(tf.errors.InvalidArgumentError, match="at least one pixel"):
                model.signatures["serving_default"](**clip(*size))
        one = clip(32, 48)
        made = model.signatures["frame"](rgb=one["rgb"][:, 0], flow=one["flow"][:, 0])
        stacked = {name: tf.stack([x] * 3, axis=1) for name, x in made.items()}
        for size in ([2**30, 2**30], [-1, -1], [0, 4], [8193, 8192]):
            with pytest.raises(tf.errors.InvalidArgumentError, match="at least one pixel"):
                model.signatures["key_frame"](size=tf.constant(size, tf.int32), **stacked)

    @pytest.mark.parametrize("height, width", [(1, 1), (2, 3), (40, 40)])
    def test_tiny_and_black_videos(self, predictor, height, width):
        from a2d_tf.video import streaming

        black = [np.zeros((height, width, 3), np.uint8)] * 3
        found = [instances for _, instances in streaming.answers(predictor, iter(black))]
        assert len(found) == 3
        for instances in found:
            assert np.isfinite(instances.boxes).all() and np.isfinite(instances.scores).all()
            assert instances.label_map.shape == (height, width)


def test_the_page_names_every_limit():
    page = (ROOT / "docs/security.md").read_text()
    for name, value in vars(limits).items():
        if name.startswith("MAX_"):
            assert f"| `{name}` | {value:,} |".replace(",", " ") in page
