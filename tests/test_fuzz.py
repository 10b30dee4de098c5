"""Damaged files of every kind end in one clear error, a reported skip or a sound result.

More than 300 seeded cases, and two dozen through the command line, each in bounded time and
memory. C libraries read most of these files, and a crash of theirs would end pytest: each kind has
a process of its own (this file as a script), which says at every case what it is about, so that the
one that died or hung is known. What a file may claim exactly is in test_hostile.py.
"""

import concurrent.futures
import copy
import functools
import io
import json
import os
import pathlib
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import traceback
import zlib

import cv2
import h5py
import numpy as np
import pytest
import torch_files
from a2d_files import (
    mask,
    moving_frames,
    row,
    small_release,
    write_h5,
    write_images,
    write_mat,
    write_release,
    write_video,
)

from a2d_tf.core import arrays, limits
from a2d_tf.core.config import Config, ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data import convert
from a2d_tf.data.inspection import summary
from a2d_tf.data.manifest import SPLITS, Manifest
from a2d_tf.data.sources.annotations import Annotation
from a2d_tf.data.sources.coco import CocoVideos
from a2d_tf.data.sources.release import Release
from a2d_tf.evaluation import segmentation
from a2d_tf.evaluation.detection import Detections, Truth
from a2d_tf.video import video_files as videos

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIZE = (24, 32)
SECONDS = 30  # one case may take so long; all of them take milliseconds
MORE = 256  # MiB that all cases of a kind may take beyond what a whole file takes
PEAK = 1500  # MiB of a command, TensorFlow included


# The damage.


def spoil(data, rng):
    """Bytes with some flipped, the end cut off, a part zeroed, raised or copied to elsewhere."""
    data = bytearray(data)
    way, at = rng.integers(5), int(rng.integers(len(data)))
    length = int(rng.integers(1, 65))
    if way == 0:
        for place in rng.integers(len(data), size=rng.integers(1, 5)):
            data[place] ^= int(rng.integers(1, 256))
    elif way == 1:
        del data[at:]
    elif way == 2:
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif way == 3:  # a size, may be, of 2, 4 or 8 bytes
        huge = [b"\xff\xff", b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\0\0\0\0\0\1\0\0"]
        huge = huge[rng.integers(len(huge))][: len(data) - at]
        data[at : at + len(huge)] = huge
    else:
        source = int(rng.integers(len(data)))
        replaced = length if rng.random() < 0.5 else 0
        data[at : at + replaced] = data[source : source + length]
    return bytes(data)


DEEP = functools.reduce(lambda inner, _: [inner], range(200), 0)
ODD = (
    None,
    True,
    -1,
    0,
    2.5,
    2**31,
    10**12,
    1e300,
    10**30,
    float("nan"),
    "",
    "../x",
    "\0",
    "\ud800",
    "x" * 100_000,
    [],
    {},
    DEEP,
)


def spoil_json(data, rng):
    """JSON bytes spoilt, or with one of the values replaced, left out or doubled."""
    if rng.random() < 0.3:
        return spoil(data, rng)
    value, places = json.loads(data), []

    def visit(node):
        keys = node if isinstance(node, dict) else range(len(node)) if type(node) is list else ()
        for key in keys:
            places.append((node, key))
            visit(node[key])

    visit(value)
    node, key = places[rng.integers(len(places))]
    way = rng.integers(6)
    if way == 0:
        del node[key]
    elif way == 1 and isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    else:
        node[key] = ODD[rng.integers(len(ODD))]
    return json.dumps(value).encode()


def spoil_arrays(data, rng):
    """The bytes of an .npz spoilt, or with one of the arrays replaced."""
    if rng.random() < 0.5:
        return spoil(data, rng)
    fields = dict(np.load(io.BytesIO(data)))
    name = sorted(fields)[rng.integers(len(fields))]
    array = fields[name]
    odd = [array[:-1], array[None], array.astype(str), array.astype("S"), np.float32(3)]
    odd += [np.zeros(0), np.array([{}]), np.zeros((1 << 22, 4))]
    odd += [np.full(array.shape, value) for value in (-1, np.nan, 1e300, 1j)]
    fields[name] = odd[rng.integers(len(odd))]
    file = io.BytesIO()
    np.savez_compressed(file, **fields)
    return file.getvalue()


def spoil_flags(data, rng):
    """The bytes of a flagfile spoilt, or one of its values replaced."""
    if rng.random() < 0.3:
        return spoil(data, rng)
    lines = data.decode().splitlines()
    odd = ("nan", "inf", "-1", "0", "1e300", "9" * 5000, "", "x", "\x1b[2J", "2147483648")
    at = rng.integers(len(lines))
    lines[at] = f"{lines[at].partition('=')[0]}={odd[rng.integers(len(odd))]}"
    return "\n".join(lines).encode()


# The kinds: each makes a whole file in a folder, and reads a damaged one. What cannot be told from
# a whole file is let through: HDF5 and MPEG-4 have no checksums, so a changed pixel or corner is
# as good as another, and where a picture of a video cannot be decoded the next one takes its place
# (only their number tells). Then the result must be sound in itself.


def annotation(folder):
    """A release of one video in `folder`, and what is to be seen in its frame 4."""
    write_release(folder, [row("v", *SIZE, 6, 1, 0)])
    person, ball = mask(*SIZE, 2, 3, 14, 12), mask(*SIZE, 10, 8, 20, 30)
    labels = np.where(ball, 34, np.where(person, 16, 0))
    return labels, [person, ball], [16, 34], [[4, 3, 12, 14], [9, 11, 30, 20]]


def make_mat(folder):
    return write_mat(folder / "Annotations/mat/v/00004.mat", *annotation(folder))


def make_h5(folder):
    path = folder / "a2d_annotation_with_instances/v/00004.h5"
    return write_h5(path, *annotation(folder), [1, 2])


def read_annotation(path):
    (root,) = (folder for folder in path.parents if (folder / "videoset.csv").is_file())
    made = Release(root).read_annotation("v", 4)
    count = len(made.codes)
    assert set(made.codes) <= set(A2D.codes) and made.codes.dtype == np.int32
    assert made.label_map.shape == SIZE and made.label_map.dtype == np.uint8
    assert set(np.unique(made.label_map)) <= {0, *A2D.codes}
    assert made.masks.shape == (count, *SIZE) and made.masks.dtype == bool
    assert made.masks.any(axis=(1, 2)).all()
    assert made.boxes.shape == (count, 4) and made.boxes.dtype == np.float32
    assert (made.boxes >= 0).all() and (made.boxes[:, 2:] <= SIZE).all()
    assert (made.boxes[:, :2] < made.boxes[:, 2:]).all()


def make_mp4(folder):
    write_release(folder, [row("v", 48, 64, 6, 1, 0)])
    return write_video(folder / "clips320H/v.mp4", moving_frames(6, 48, 64, step=2))


def read_mp4(path):
    found = list(Release(path.parents[1]).read_frames("v", range(1, 7)))
    assert [number for number, _ in found] == [1, 2, 3, 4, 5, 6]
    assert {frame.shape for _, frame in found} == {found[0][1].shape}
    assert all(frame.dtype == np.uint8 and frame.shape[2] == 3 for _, frame in found)


def make_frame(folder):
    write_release(folder, [row("v", *SIZE, 3, 1, 0)])
    return write_images(folder / "pngs320H/v", moving_frames(3, *SIZE, step=2)) / "00002.png"


def read_frame(path):
    found = dict(Release(path.parents[2]).read_frames("v", range(1, 4)))
    assert [*found] == [1, 2, 3]
    # PNG has checksums: what is read is what was written.
    np.testing.assert_array_equal(found[2], moving_frames(3, *SIZE, step=2)[1])


def make_csv(folder):
    rows = [row(vid, 320, 400, 30 + i, 3, i % 2) for i, vid in enumerate(("-a", "b_", "c"))]
    return write_release(folder, rows, header=True) / "videoset.csv"


def read_csv(path):
    listed = Release(path.parent).videos
    assert 0 < len({video.vid for video in listed}) == len(listed)
    for video in listed:
        assert path.parent / video.vid == (path.parent / video.vid / "x").parent
        assert video.usage in (0, 1) and min(video.height, video.width, video.frames) > 0


def clip_records():
    """Three serialised records."""
    from a2d_tf.data import records

    inside = mask(*SIZE, 2, 3, 14, 12)
    annotation = Annotation(
        np.uint8(16 * inside), inside[None], np.int32([16]), np.float32([[2, 3, 14, 12]])
    )
    rgb = np.stack(moving_frames(3, *SIZE, step=2))
    flow = np.full((3, *SIZE, 2), 1.5, np.float32)
    return [
        records.encode(records.ClipRecord("v", key, "train", (1, 2, 3), rgb, flow, annotation))
        for key in (2, 3, 4)
    ]


def make_shard(folder):
    from a2d_tf.data import records

    records.write_shard(folder / "train.tfrecord", clip_records())
    return folder / "train.tfrecord"


def read_shard(path):
    from a2d_tf.data import records

    whole = clip_records()
    for serialized in records.read_shard(path):
        # TFRecords have checksums; that some are missing is seen by the manifest's sizes.
        assert serialized in whole
        with records.naming(path):
            assert records.read_truth(serialized).codes.tolist() == [16]
            assert records.parse(serialized)["rgb"].shape == (3, *SIZE, 3)


def make_record(folder):
    (folder / "record").write_bytes(clip_records()[0])
    return folder / "record"


def read_record(path):
    """What no shard would let through: contents that are damaged before the checksum is made."""
    from a2d_tf.data import records

    serialized = path.read_bytes()
    with records.naming(path):
        truth = records.read_truth(serialized)
        fields = records.parse(serialized)
    assert truth.label_map.shape == truth.native_size
    assert truth.boxes.shape == (len(truth.codes), 4) and len(truth.rles) == len(truth.codes)
    clip = fields["rgb"].shape[:3]
    assert fields["flow"].shape == (*clip, 2)
    assert fields["masks"].shape == (len(truth.codes), *clip[1:])


def make_manifest(folder):
    shutil.copytree(sys.argv[3], folder, dirs_exist_ok=True)  # the records of the fixture below
    return folder / "manifest.json"


def read_manifest(path):
    manifest = Manifest.load(path.parent)
    assert manifest.splits and set(manifest.splits) <= set(SPLITS)
    for split in manifest.splits:
        assert all(pathlib.Path(shard).is_file() for shard in manifest.shards(split))
        assert manifest.counts[split]["records"] > 0
    for name in ("image_height", "image_width", "clip_frames", "clip_stride"):
        assert type(getattr(manifest, name)) is int and getattr(manifest, name) > 0
    check_labels(manifest.label_space)
    summary.text({"train": summary.Summary()}, manifest.durations, A2D)


def make_labels(folder):
    path = folder / "labels.json"
    path.write_text(A2D.to_json())
    return path


def read_labels(path):
    check_labels(LabelSpace.from_json(path))


def check_labels(space):
    assert all(isinstance(name, str) and name for name in space.actors + space.actions)
    assert space.palette.shape == (space.max_code + 1, 3)
    assert space.valid.sum() == len(space.codes) and all(type(code) is int for code in space.codes)
    assert [space.name(code) for code in space.codes]
    LabelSpace.from_fields(json.loads(space.to_json()))


def make_png(folder):
    (folder / "v").mkdir()
    path = folder / "v/00004.png"
    cv2.imwrite(str(path), label_map())
    return path


def label_map():
    return np.uint8(16 * mask(*SIZE, 2, 3, 14, 12) + 18 * mask(*SIZE, 16, 3, 20, 30))


def read_png(path):
    np.testing.assert_array_equal(segmentation.read_label_map(path, A2D), label_map())


def make_detections(folder):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 20, (5, 7, 2))
    boxes = np.concatenate([corners, corners + 5], axis=2)
    scores = rng.uniform(0, 1, (5, 7)), rng.uniform(0, 1, (5, 9))
    path = folder / "detections.npz"
    Detections(["v/00004", "w/00001"], [0, 0, 0, 1, 1], boxes, *scores).save(path)
    return path


def read_detections(path):
    made = Detections.load(path)
    rois, actors = made.actor_scores.shape
    assert made.roi_frame.shape == (rois,) and made.action_scores.shape[0] == rois
    assert made.boxes.shape == (rois, actors, 4) and np.isfinite(made.boxes).all()
    assert rois == 0 or 0 <= made.roi_frame.min() <= made.roi_frame.max() < len(made.frames)


def make_truth(folder):
    image = {"id": 1, "file_name": "v/00004.png", "height": SIZE[0], "width": SIZE[1]}
    rle = {"size": list(SIZE), "counts": [50, 10, 14, 10, 684]}
    square = [4, 3, 12, 3, 12, 14, 4, 14]
    annotations = [
        {
            "id": i,
            "image_id": 1,
            "category_id": code,
            "bbox": [3, 2, 9, 12],
            "iscrowd": 0,
            "segmentation": segmentation,
        }
        for i, (code, segmentation) in enumerate([(16, rle), (34, [square])])
    ]
    path = folder / "truth.json"
    path.write_text(json.dumps({"images": [image], "annotations": annotations, "categories": []}))
    return path


def read_truth(path):
    made = Truth.load(path, A2D, with_masks=True)
    assert set(made.codes.tolist()) <= set(A2D.codes)
    assert made.boxes.shape == (len(made.codes), 4) and np.isfinite(made.boxes).all()
    assert len(made.box_frame) == len(made.codes)


def make_coco(folder):
    write_images(folder / "videos/v", moving_frames(4, *SIZE, step=2))
    coco = json.loads(make_truth(folder).read_text())
    for annotation, names in zip(coco["annotations"], (("adult", "rolling"), ("ball", "flying"))):
        annotation.update(zip(("actor", "action"), names))
    (folder / "coco.json").write_text(json.dumps(coco))
    return folder / "coco.json"


def read_coco(path):
    source = CocoVideos(path, path.parent / "videos")
    for video in source.videos:
        assert path.parent / video.vid == (path.parent / video.vid / "x").parent
        for frame in source.annotated_frames(video.vid):
            made = source.read_annotation(video.vid, frame)
            assert made.label_map.shape == (video.height, video.width)
            assert made.masks.any(axis=(1, 2)).all() and np.isfinite(made.boxes).all()


def make_flags(folder):
    Config().write(folder / "flags.txt")
    return folder / "flags.txt"


def read_flags(path):
    Config.read(path).checked()


PICTURES = (".bmp", ".jpg", ".png", ".tif", ".webp")


def make_pictures(folder):
    frame = moving_frames(1, *SIZE, step=2)
    return [
        write_images(folder / suffix[1:], frame, suffix) / f"00001{suffix}" for suffix in PICTURES
    ]


def read_pictures(path):
    for frame in videos.Reader(path.parent):
        assert frame.dtype == np.uint8 and frame.shape[2] == 3
        assert frame.shape[0] * frame.shape[1] <= limits.MAX_PIXELS


TENSORS = {
    "a.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b": np.arange(5, dtype=np.int64),
}


def make_tensors(folder):
    """Weights of others, in every form."""
    torch_files.write(folder / "zip.pth", TENSORS)
    torch_files.write(folder / "legacy.pth", TENSORS, legacy=True)
    (folder / "w.pkl").write_bytes(pickle.dumps({"model": TENSORS}, 2))
    np.savez(folder / "w.npz", **TENSORS)
    np.savez_compressed(folder / "packed.npz", **TENSORS)
    with h5py.File(folder / "w.h5", "w") as file:
        file.create_dataset("conv/conv/kernel:0", data=TENSORS["a.weight"])
        file.create_dataset("conv/conv/bias:0", data=TENSORS["b"], compression="gzip")
    return [
        folder / name for name in ("zip.pth", "legacy.pth", "w.pkl", "w.npz", "packed.npz", "w.h5")
    ]


def read_tensors(path):
    from a2d_tf.pretrained import tensor_files

    for name, tensor in tensor_files.read(str(path)).items():
        made = arrays.numbers(tensor, f"{path}: {name}")
        assert isinstance(name, str) and made.nbytes < 1 << 20


def make_weights(folder):
    from a2d_tf.pretrained.weights import Weights

    tensors = {
        "backbone/stem/kernel": np.zeros((7, 7, 3, 64), np.float32),
        "actor/fc2/kernel": np.zeros((1, 1, 8, 8), np.float32),
    }
    Weights(tensors, "matterport", "matterport", "resnet14", ("cat",), "0", "").write(
        folder / "w.h5"
    )
    return folder / "w.h5"


def read_weights(path):
    from a2d_tf.pretrained.weights import Weights

    made = Weights.read(str(path))
    for name, tensor in made.tensors.items():
        arrays.numbers(tensor, f"{path}: {name}")
    try:
        Config(ModelConfig(**made.model_fields())).checked()
    except InputError:
        pass  # names the flag: a file of other sizes


@functools.cache
def network():
    import tiny_network

    made = tiny_network.make()
    return made, [variable.numpy() for variable in made.towers.weights]


def make_checkpoint(folder):
    import tensorflow as tf

    checkpoint = tf.train.Checkpoint(network=network()[0])
    tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), 1).save(7)
    return sorted((folder / "checkpoints").iterdir())


def read_checkpoint(path):
    from a2d_tf.learning.runs.checkpoints import restore

    made, whole = network()
    restore(made, str(path.parents[1]))
    # Tensors have checksums.
    for variable, values in zip(made.towers.weights, whole):
        np.testing.assert_array_equal(variable.numpy(), values)


KINDS = {  # name: (cases, make, spoil, read)
    "checkpoint": (15, make_checkpoint, spoil, read_checkpoint),
    "mat": (30, make_mat, spoil, read_annotation),
    "h5": (15, make_h5, spoil, read_annotation),
    "mp4": (25, make_mp4, spoil, read_mp4),
    "frame": (10, make_frame, spoil, read_frame),
    "pictures": (20, make_pictures, spoil, read_pictures),
    "csv": (20, make_csv, spoil, read_csv),
    "shard": (15, make_shard, spoil, read_shard),
    "record": (20, make_record, spoil, read_record),
    "weights": (15, make_weights, spoil, read_weights),
    "tensors": (30, make_tensors, spoil, read_tensors),
    "manifest": (20, make_manifest, spoil_json, read_manifest),
    "labels": (15, make_labels, spoil_json, read_labels),
    "flags": (15, make_flags, spoil_flags, read_flags),
    "png": (10, make_png, spoil, read_png),
    "detections": (20, make_detections, spoil_arrays, read_detections),
    "truth": (15, make_truth, spoil_json, read_truth),
    "coco": (15, make_coco, spoil_json, read_coco),
}
assert sum(kind[0] for kind in KINDS.values()) >= 300


def limit_memory():
    """Let this process take MORE than it has; returns its peak so far, in MiB."""
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    # Twice, for threads reserve what they never touch.
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2 * MORE * 2**20, -1))
    return peak()


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(kind, folder, cases=None, first=0):
    """All cases of a kind, each told before and after it; returns how many went wrong."""
    number, make, spoil_it, read = KINDS[kind]
    folder.mkdir()
    made, wrong = make(folder), 0
    files = made if isinstance(made, list) else [made]
    whole = {path: path.read_bytes() for path in files}
    for path in files:
        read(path)
    before = limit_memory() if os.path.exists("/proc/self/statm") else peak()
    for case in range(first, first + (cases or number)):
        rng = np.random.default_rng([zlib.crc32(kind.encode()), case])
        path = files[case % len(files)]
        path.write_bytes(spoil_it(whole[path], rng))
        print(f"{kind} {case}:", end=" ", flush=True)
        signal.alarm(SECONDS)  # its default is to end the process
        try:
            read(path)
            print("sound", flush=True)
        except InputError as error:
            # A manifest may be whole and a shard not where it says.
            clear = str(path.parent) in str(error) and len(str(error).splitlines()) == 1
            print("refused" if clear else f"unclear: {error!r}", flush=True)
            wrong += not clear
        except Exception:
            traceback.print_exc()
            print("wrong", flush=True)
            wrong += 1
        signal.alarm(0)
        path.write_bytes(whole[path])
    print(f"{peak() - before:.0f} MiB more")
    return wrong + (peak() - before > MORE)


# The tests. The processes run two at a time, beside each other.


def start(pool, *command, **kwargs):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-W", "ignore", *map(str, command)]
    return pool.submit(
        subprocess.run,
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        env=environment,
        **kwargs,
    )


@pytest.fixture(scope="module")
def pool():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with `Release`, and `records` made of it."""
    folder = tmp_path_factory.mktemp("fuzz")
    settings = convert.ConversionSettings(image_height=48, image_width=48, shard_videos=1)
    convert.convert(
        Release(small_release(folder / "Release")), folder / "records", settings, workers=1
    )
    return folder


@pytest.fixture(scope="module")
def kinds(pool, small):
    return {kind: start(pool, __file__, kind, small / kind, small / "records") for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused_or_sound(kinds, kind):
    done = kinds[kind].result()
    said = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert done.returncode == 0, f"ended by {done.returncode} at its last case:\n{said}"
    # Libraries write to the same lines, so what follows the colon is not looked for there.
    assert done.stdout.count(f"{kind} ") >= KINDS[kind][0], said
    assert done.stdout.count("refused") >= KINDS[kind][0] // 4, said


# What longer runs found, by name.


@pytest.mark.parametrize(
    "fields",
    [
        {"colours": {"11": [1, 2]}},
        {"colours": {"11": [0, 0, 10**30]}},
        {"colours": {"342": [1, 2, 3]}},
        {"actors": "abcdefg"},
        {"actors": ["x", ""]},
        {"actors": ["x", 5]},
        {"codes": [11.5]},
        {"codes": [10**30]},
    ],
)
def test_label_spaces_with_odd_fields(tmp_path, fields):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({**json.loads(A2D.to_json()), **fields}))
    with pytest.raises(InputError, match="labels.json: label space: "):
        LabelSpace.from_json(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"clip_frames": None},
        {"clip_stride": 0},
        {"durations": {"x": 1}},
        {"durations": []},
        {"labels": {"actors": ["x"], "actions": ["y"], "colours": {"11": []}}},
        {"skipped": ["x"]},
        {"files": []},
        {"files": [{"name": "train-00000-of-00002.tfrecord"}]},
    ],
)
def test_manifests_with_odd_fields(small, tmp_path, fields):
    shutil.copytree(small / "records", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, **fields}))
    with pytest.raises(InputError, match="manifest.json: damaged manifest"):
        Manifest.load(tmp_path)
    manifest["files"][0]["split"] = "test"
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="the shards hold 1 records of split 'train'"):
        Manifest.load(tmp_path)


def test_archives_of_another_kind_and_boxes_beyond_float32(tmp_path):
    path = make_detections(tmp_path)
    whole = path.read_bytes()
    for place, value in ((6, 197), (8, 1)):  # a later version of zip; a password
        data = bytearray(whole)
        data[data.index(b"PK\1\2") + place] = value
        path.write_bytes(data)
        with pytest.raises(InputError, match="detections.npz: "):
            Detections.load(path)
    boxes = np.full((1, 7, 4), 1e300)
    np.savez(
        path,
        frames=["v/1"],
        roi_frame=[0],
        boxes=boxes,
        actor_scores=np.zeros((1, 7)),
        action_scores=np.zeros((1, 9)),
    )
    with pytest.raises(InputError, match="'boxes' holds NaN or infinity"):
        Detections.load(path)


def test_images_of_a_size_that_no_memory_holds(tmp_path):
    path = make_truth(tmp_path)
    truth = json.loads(path.read_text())
    truth["images"][0]["height"] = 10**12
    path.write_text(json.dumps(truth))
    with pytest.raises(InputError, match="truth.json: images.0. has .* pixels, more than"):
        Truth.load(path, A2D, with_masks=True)


def test_numbers_of_a_type_that_no_computer_has(tmp_path):
    path = make_mat(tmp_path)
    double = bytes.fromhex("11203f000800000000004000340b0034ff030000")
    assert double in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(double, double[:-1] + b"\x7f"))
    with pytest.raises(InputError, match="00004.mat: not a readable HDF5 file"):
        read_annotation(path)


COMMANDS = (  # tool or main, its arguments, the damaged file
    ("build_records", "--on_error=fail", "Release/Annotations/mat/-b/00008.mat"),
    ("build_records", "--on_error=skip", "Release/Annotations/mat/-b/00008.mat"),
    ("build_records", "--on_error=fail", "Release/clips320H/c.mp4"),
    ("build_records", "--on_error=skip", "Release/clips320H/c.mp4"),
    ("build_records", "--check", "Release/Annotations/mat/-b/00008.mat"),
    ("build_records", "--on_error=fail", "Release/videoset.csv"),
    ("build_records", "--labels=labels.json", "labels.json"),
    ("build_records", "--flagfile=flags.txt", "flags.txt"),
    ("inspect_records", "--json=list.json", "records/train-00000-of-00002.tfrecord"),
    ("inspect_records", "--draw=sheets", "records/train-00001-of-00002.tfrecord"),
    ("inspect_records", "--chart=chart.png", "records/manifest.json"),
    ("score", "segmentation", "predicted/v/00004.png"),
    ("score", "segmentation", "true/v/00004.png"),
    ("score", "segmentation", "labels.json"),
    ("score", "detection", "detections.npz"),
    ("score", "detection", "truth.json"),
    ("score", "results", "results.json"),
    ("score", "results", "truth.json"),
    ("train", "--records=absent", "flags.txt"),
    ("evaluate", "--records=records", "flags.txt"),
    ("export", "--output=model", "flags.txt"),
    ("predict", "--video=Release/clips320H/c.mp4", "Release/clips320H/c.mp4"),
    ("predict", "--video=images", "images/00001.png"),
    ("import_weights", "--source=torchvision", "w.pkl"),
)
MAINS = ("train", "evaluate", "export", "predict")
# Passes the peak memory of what it starts on.
LAUNCH = """import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=sys.stderr)
sys.exit(status)"""


def arguments_of(tool, argument):
    if tool == "build_records":
        return ["--release=Release", "--output=out", "--workers=1", argument]
    if tool == "inspect_records":
        return ["--records=records", argument]
    if tool == "predict":
        return ["--saved_model=images", "--output=out", argument]
    if tool in MAINS:
        return ["--workdir=absent", argument, "--flagfile=flags.txt"]
    if tool == "import_weights":
        return ["--input=w.pkl", "--output=w.h5", argument]
    kind = "detection" if argument == "results" else argument
    pairs = {
        "segmentation": ("true", "predicted"),
        "detection": ("truth.json", "detections.npz"),
        "results": ("truth.json", "results.json"),
    }
    truth, predicted = pairs[argument]
    return [
        kind,
        f"--truth={truth}",
        f"--predicted={predicted}",
        "--output=metrics.json",
        "--labels=labels.json",
    ]


@pytest.fixture(scope="module")
def commands(pool, small, tmp_path_factory):
    """Per command: (the damaged file, the folder it is in, the process)."""
    started = []
    for i, (tool, argument, name) in enumerate(COMMANDS):
        folder = tmp_path_factory.mktemp("command")
        for part in ("Release", "records"):
            shutil.copytree(small / part, folder / part)
        make_detections(folder), make_truth(folder), make_labels(folder)
        (folder / "flags.txt").write_text(
            "--flow_method=dis\n" if tool == "build_records" else "--precision=float32\n"
        )
        write_images(folder / "images", moving_frames(2, *SIZE, step=2))
        (folder / "w.pkl").write_bytes(pickle.dumps({"model": TENSORS}, 2))
        result = {"image_id": 1, "category_id": 16, "score": 0.5, "bbox": [3, 2, 9, 12]}
        (folder / "results.json").write_text(json.dumps([result]))
        for maps in ("true", "predicted"):
            (folder / maps).mkdir()
            make_png(folder / maps)
        path = folder / name
        path.write_bytes(spoil(path.read_bytes(), np.random.default_rng([2, i])))
        program = ["-m", f"a2d_tf.{tool}"] if tool in MAINS else [ROOT / "tools" / f"{tool}.py"]
        command = ("-c", LAUNCH, sys.executable, *program, *arguments_of(tool, argument))
        started.append((path, folder, start(pool, *command, cwd=folder)))
    return started


@pytest.mark.parametrize("i", range(len(COMMANDS)), ids=lambda i: "-".join(COMMANDS[i]))
def test_commands_end_in_one_clear_line_or_do_their_work(commands, i):
    path, folder, process = commands[i]
    done = process.result()
    said = done.stdout + done.stderr
    assert "Traceback" not in said and done.returncode in (0, 1), said
    assert int(done.stderr.split()[-1]) < PEAK
    if COMMANDS[i][1] == "--check":
        assert (path.name if done.returncode else "problems: 0") in done.stdout, said
    elif done.returncode == 1:
        (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
        # A main whose damaged file is sound stops at what is not there.
        missing = COMMANDS[i][0] in MAINS and ("absent" in line or "no saved_model.pb" in line)
        assert path.name in line or missing, said
        assert "--debug shows where" not in line, said
        assert not (folder / "out/manifest.json").exists()
    elif COMMANDS[i][1] == "--on_error=skip":
        manifest = json.loads((folder / "out/manifest.json").read_text())
        (item,) = manifest["skipped"]
        assert item["item"] in str(path) and path.name in item["reason"]


if __name__ == "__main__":
    sys.exit(work(sys.argv[1], pathlib.Path(sys.argv[2]), *map(int, sys.argv[4:])) > 0)
