"""Suite `data`: conversion, the records' size and error, the input pipeline, the flow methods."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import pathlib
import statistics
import tempfile
import time
import zlib

import cv2
import numpy as np
import tensorflow as tf
from pycocotools import mask as mask_tools

from a2d_tf.core import devices
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.data import clips, convert, flow_quality, records
from a2d_tf.data import mini as synthetic
from a2d_tf.data.flow import METHODS, Flow, fit, resize_frame
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.release import Release
from a2d_tf.model.network import Network
from a2d_tf.ops import canvas as canvas_ops
from tools.benchmarks import measure, setups

PAPER = convert.ConversionSettings(shard_videos=4)
MINI = convert.ConversionSettings(image_height=128, image_width=160, clip_frames=3, shard_videos=4)
FEED = convert.ConversionSettings(image_height=256, image_width=320, clip_frames=9, shard_videos=4)
_FEED_CANVAS = (192, 256)
_FEED_GOALS = {
    "decoded": 150.0,
    "decoded, resized in the graph": 60.0,
}  # clips of 8 frames a second
_LIMIT = 20.0  # pixels: the fixed range of the other ways to store flow
_STEPS = 20  # timed, of training


def run(options: dict) -> tuple[list[dict], dict]:
    """All parts, on a mini A2D made for it or on `options['release']`."""
    cv2.setNumThreads(1)  # one core's work is what the workers' is compared with
    config = setups.read("mini")
    devices.prepare(deterministic=config.learning.deterministic)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        root = options["release"] or synthetic.make_release(
            folder, options["videos"], seed=0, workers=options["workers"]
        )
        source, rounds = Release(root), options["rounds"]
        paper, rows, details = conversion(source, folder, options["workers"], rounds)
        clips = list(_clips(source, PAPER, limit=options["clips"]))
        details["bytes_per_clip"] = bytes_per_clip(paper)
        details["flow_storage"] = flow_storage(clips, rounds)
        details["flow_methods"] = flow_methods(clips)
        mini = convert.convert(source, folder / "mini", MINI, options["workers"])[0]
        rows += pipelines(mini, paper, config, options)
        feed = convert.convert(source, folder / "feed", FEED, options["workers"])[0]
        rows += feeding(feed, options)
    for part, size in details["bytes_per_clip"].items():
        rows.append(measure.row(f"record: {part}", "bytes per clip", size))
    ways = details["flow_storage"]
    for name, field in itertools.product(ways, ("mean_error", "p99_error", "bytes", "decode_ms")):
        unit = {"bytes": "bytes", "decode_ms": "ms"}.get(field, "pixels")
        peer = None if name == "ours" else ways[name][field]
        label = f"flow stored, {name}: {field}"
        rows.append(measure.row(label, unit, ways["ours"][field], peer, higher_is_better=False))
    for name, figures in details["flow_methods"].items():
        rows.append(measure.row(f"flow by {name}: photometric gain", "%", figures["gain_percent"]))
        rows.append(measure.row(f"flow by {name}: a pair of frames", "ms", figures["ms"]))
    return rows, details


def conversion(
    source: Release, folder: pathlib.Path, workers: int, rounds: int
) -> tuple[Manifest, list[dict], dict]:
    """Records by all workers, against the bare work of one process, as often as there are workers.

    That is the work on the same frames, once without and once with that on their truth. The start
    of the workers (TensorFlow takes seconds to load) counts as what it takes to convert one short
    shard per worker, less the work in it; a large data set does not feel it.

    Returns:
      (`Manifest` of the records, rows, details).
    """
    few = _Part(source, source.videos[:: max(len(source.videos) // workers, 1)][:workers])
    single = dataclasses.replace(PAPER, shard_videos=1)
    counter = itertools.count()

    def records_of(part, settings):
        output = folder / f"records{next(counter)}"
        before, began = _processor_seconds(), time.perf_counter()
        convert.convert(part, output, settings, workers)
        return time.perf_counter() - began, _processor_seconds() - before, output

    def bare_work(part, truth=True):
        before, began = _processor_seconds(), time.perf_counter()
        frames = _bare_work(part, PAPER, truth)
        return time.perf_counter() - began, _processor_seconds() - before, frames

    results = measure.alternate(
        rounds,
        {
            "frames": lambda: bare_work(source, truth=False),
            "bare": lambda: bare_work(source),
            "ours": lambda: records_of(source, PAPER),
            "bare few": lambda: bare_work(few),
            "ours few": lambda: records_of(few, single),
        },
    )
    rows, details = _conversion_rows(results, len(few.videos), workers)
    return Manifest.load(results["ours"][-1][2]), rows, details


def _conversion_rows(results, few, workers):
    """Rows and details of `conversion`.

    Args:
      results: {way: [(seconds, processor seconds, frames or folder), ...]}.
      few: number of short shards, one a worker.
    """
    frames = results["bare"][0][2]
    only_frames, bare, ours, bare_few, ours_few = (
        np.array([result[:2] for result in rounds_of]) for rounds_of in results.values()
    )
    start = ours_few - bare_few / [few, 1]
    working = np.maximum(ours - start, 1e-9)
    rows = []
    for what, peer in (("frames", only_frames), ("frames and truth", bare)):
        label = f"conversion / {what}"
        rates = [(frames / s).tolist() for s in (working[:, 0], peer[:, 0] / workers)]
        costs = [(1e3 / frames * s[:, 1]).tolist() for s in (working, peer)]
        cheaper = {"higher_is_better": False, "goal": 0.9}
        rows += [
            measure.row(f"{label}, {workers} workers", "frames/s", *rates, goal=0.9),
            measure.row(f"{label}, processor time", "ms per frame", *costs, **cheaper),
        ]
    rows.append(measure.row("start of the workers", "s", start[:, 0].tolist()))
    details = {
        "frames": frames,
        "workers": workers,
        "bare_seconds": bare[:, 0].tolist(),
        "seconds": ours[:, 0].tolist(),
        "start_seconds": start[:, 0].tolist(),
    }
    return rows, {"conversion": details}


class _Part:
    """A source of some of another source's videos."""

    def __init__(self, source, videos):
        self._source, self.videos = source, videos

    def __getattr__(self, name):
        if name.startswith("_"):  # while it is unpickled, it has no source yet
            raise AttributeError(name)
        return getattr(self._source, name)


def _processor_seconds():
    """Processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _bare_work(source, settings, truth):
    """What any converter must do, in order and with no record; returns the frames encoded.

    Frames are decoded, resized, given their flow and encoded; with `truth` the annotations, too,
    are read, resized and encoded.
    """
    flow, encoded = Flow(settings.flow_method), 0
    for video in source.videos:
        length = source.length(video.vid)
        spans = {
            key: clips.clip_sources(key, settings.clip_frames, settings.clip_stride, length)
            for key in source.annotated_frames(video.vid)
        }
        moving = {
            n for clip in spans.values() for n, missing in zip(*clip) if n > 1 and not missing
        }
        wanted = {n for numbers, _ in spans.values() for n in numbers} | {n - 1 for n in moving}
        frames, flows, native, size = {}, {}, None, None
        for number, frame in source.read_frames(video.vid, wanted):
            native = frame.shape[:2]
            size = fit(*native, settings.image_height, settings.image_width)
            frames[number] = resize_frame(frame, *size)
            if number in moving:
                flows[number] = flow(frames[number - 1], frames[number])
        for key, (numbers, _) in spans.items():
            for number in numbers:
                records.encode_rgb(frames[number])
                if number in flows:
                    records.encode_flow(flows[number])
            encoded += len(numbers)
            if truth:
                _encode_truth(source.read_annotation(video.vid, key, native), size)
    return encoded


def _encode_truth(annotation, size):
    cv2.imencode(".png", annotation.label_map)
    if len(annotation.masks):
        small = [records.resize_mask(mask, *size) for mask in annotation.masks]
        cv2.imencode(".png", np.concatenate(small).astype(np.uint8) * 255)
        mask_tools.encode(np.asfortranarray(annotation.masks.transpose(1, 2, 0).view(np.uint8)))


def _clips(source, settings, limit):
    """(previous frame, current frame, flow) of key frames, up to a number of them."""
    flow, made = Flow(settings.flow_method), 0
    for video in source.videos:
        keys = [key for key in source.annotated_frames(video.vid) if key > 1]
        frames = {}
        for number, frame in source.read_frames(video.vid, {n for k in keys for n in (k - 1, k)}):
            size = fit(*frame.shape[:2], settings.image_height, settings.image_width)
            frames[number] = resize_frame(frame, *size)
        for key in keys:
            yield frames[key - 1], frames[key], flow(frames[key - 1], frames[key])
            made += 1
            if made == limit:
                return


def bytes_per_clip(manifest: Manifest) -> dict[str, float]:
    """{part of a record: mean bytes}."""
    parts, total, count = dict.fromkeys(("rgb", "flow", "masks", "label_map", "mask_rle"), 0), 0, 0
    for split in manifest.splits:
        for shard in manifest.shards(split):
            for serialized in records.read_shard(shard):
                feature = tf.train.Example.FromString(serialized).features.feature
                for part in parts:
                    parts[part] += sum(map(len, feature[part].bytes_list.value))
                total, count = total + len(serialized), count + 1
    return {part: size / count for part, size in {**parts, "all": total}.items()}


def _stacked(flow):
    return np.concatenate([flow[..., 0], flow[..., 1]])


def _unstacked(pixels):
    return np.stack(np.split(pixels.astype(np.float32), 2), axis=-1)


def _image(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def _fixed(suffix, *flags):
    """Eight bits over a fixed range, as an image."""

    def encode(flow):
        pixels = np.round(127.5 + np.clip(_stacked(flow), -_LIMIT, _LIMIT) * (127.5 / _LIMIT))
        return cv2.imencode(suffix, pixels.astype(np.uint8), flags)[1].tobytes()

    return encode, lambda data, shape: (_unstacked(_image(data)) - 127.5) * (_LIMIT / 127.5)


def _own(encode):
    """Eight bits over the frame's own range: what encodes it to (image, range), as one string."""

    def encoded(flow):
        image, scale = encode(flow)
        return image + scale.tobytes()

    def restored(data, _):
        (scale,) = np.frombuffer(data[-4:], np.float32)
        return (_unstacked(_image(data[:-4])) - 127) * (scale / 127)

    return encoded, restored


def _lossless(flow):
    pixels, scale = records.quantise(flow)
    return cv2.imencode(".png", pixels)[1].tobytes(), scale


def _deep(flow):
    pixels = np.clip(np.round(_stacked(flow) * 64) + 32768, 0, 65535).astype(np.uint16)
    return cv2.imencode(".png", pixels)[1].tobytes()


STORAGE = {
    "ours": _own(records.encode_flow),
    "PNG 8 bit": _own(_lossless),
    "PNG 8 bit +-20": _fixed(".png"),
    "JPEG q95 +-20": _fixed(".jpg", cv2.IMWRITE_JPEG_QUALITY, 95),
    "PNG 16 bit x64": (_deep, lambda data, shape: (_unstacked(_image(data)) - 32768) / 64),
    "float16 zlib": (
        lambda flow: zlib.compress(flow.astype(np.float16).tobytes()),
        lambda data, shape: np.frombuffer(zlib.decompress(data), np.float16)
        .reshape(shape)
        .astype(np.float32),
    ),
}
"""Ways to store flow: name -> (flow [h, w, 2] -> bytes, (bytes, shape) -> flow)."""


def flow_storage(clips: list[tuple], rounds: int) -> dict[str, dict]:
    """{way: `bytes` per frame, `mean_error` and `p99_error` of u and v in pixels, `decode_ms`}."""
    flows = [flow for _, _, flow in clips]
    stored = {name: [encode(flow) for flow in flows] for name, (encode, _) in STORAGE.items()}

    def decode(name):
        began = time.perf_counter()
        for data, flow in zip(stored[name], flows):
            STORAGE[name][1](data, flow.shape)
        return 1e3 * (time.perf_counter() - began) / len(flows)

    times = measure.alternate(rounds, {name: lambda name=name: decode(name) for name in STORAGE})
    report = {}
    for name, (_, restore) in STORAGE.items():
        errors = np.concatenate(
            [
                np.abs(restore(data, flow.shape) - flow).ravel()
                for data, flow in zip(stored[name], flows)
            ]
        )
        report[name] = {
            "bytes": float(np.mean([len(data) for data in stored[name]])),
            "mean_error": float(errors.mean()),
            "p99_error": float(np.percentile(errors, 99)),
            "decode_ms": statistics.median(times[name]),
        }
    return report


def flow_methods(clips: list[tuple]) -> dict[str, dict]:
    """{method that is installed: `gain_percent` (see `flow_quality`), `ms` a pair}."""
    report = {}
    for name in METHODS:
        with contextlib.suppress(InputError):  # not installed
            method, seconds, errors = Flow(name), 0.0, []
            for previous, current, _ in clips:
                began = time.perf_counter()
                flow = method(previous, current)
                seconds += time.perf_counter() - began
                errors.append(flow_quality.photometric_errors(previous, current, flow))
            still, warped = np.sum(errors, axis=0)
            report[name] = {
                "gain_percent": 100 * (1 - warped / still) if still else 0.0,
                "ms": 1e3 * seconds / len(clips),
            }
    return report


def pipelines(mini: Manifest, paper: Manifest, config: Config, options: dict) -> list[dict]:
    """Rows of clips a second: read, decoded, and as training gets them."""
    step_rate = options["step_clips_per_second"] or _step_rate(mini, config)
    rounds = options["rounds"]
    rows = []
    for name, manifest, canvas in (
        ("mini", mini, (MINI.image_height, MINI.image_width)),
        ("paper", paper, (PAPER.image_height, PAPER.image_width)),
    ):
        batch = config.learning.batch_size
        serialized = tf.data.TFRecordDataset(manifest.shards("train")).repeat()
        stages = {
            "read": (serialized, 1),
            "decoded": (serialized.map(records.parse, os.cpu_count()), 1),
            "training batches": (
                setups.batches(manifest, config, canvas, manifest.clip_frames),
                batch,
            ),
        }
        rates = measure.alternate(
            rounds,
            {
                stage: lambda data=data, size=size: _rate(data, size, options["clips"])
                for stage, (data, size) in stages.items()
            },
        )
        for stage, rate in rates.items():
            fed = name == "mini" and stage == "training batches"
            label = f"{name} pipeline ({canvas[0]}x{canvas[1]}, T={manifest.clip_frames}): {stage}"
            rows.append(
                measure.row(label, "clips/s", rate, [step_rate] * rounds, goal=2.0)
                if fed
                else measure.row(label, "clips/s", rate)
            )
    return rows


def feeding(manifest: Manifest, options: dict) -> list[dict]:
    """Rows of clips a second, counted as if they had 8 frames, against what should be."""
    decoded = tf.data.TFRecordDataset(manifest.shards("train")).repeat()
    decoded = decoded.map(records.parse, os.cpu_count())
    resized = decoded.map(
        lambda clip: canvas_ops.place(clip["rgb"], clip["flow"], _FEED_CANVAS), os.cpu_count()
    )
    eighths = manifest.clip_frames / 8
    rates = measure.alternate(
        options["rounds"],
        {
            stage: lambda data=data: eighths * _rate(data, 1, options["clips"])
            for stage, data in zip(_FEED_GOALS, (decoded, resized))
        },
    )
    size = f"{FEED.image_height}x{FEED.image_width}"
    return [
        measure.row(
            f"clips of 8 frames ({size}): {stage}",
            "clips/s",
            rate,
            [_FEED_GOALS[stage]] * len(rate),
            goal=1.0,
        )
        for stage, rate in rates.items()
    ]


def _rate(dataset, size, clips):
    """Elements x size a second, after a first batch that pays for what is done once."""
    stream = iter(dataset)
    next(stream)
    count = max(clips // size, 1)
    began = time.perf_counter()
    for _ in range(count):
        next(stream)
    return count * size / (time.perf_counter() - began)


def _step_rate(manifest, config):
    """Clips a second that the training step of configs/mini.flags takes."""
    network = Network(config.model, manifest.label_space, config.compute)
    step = setups.make_step(network, config.learning)[1]
    stream = iter(setups.batches(manifest, config))
    seconds = []
    for number in range(2 + _STEPS):
        batch = next(stream)
        began = time.perf_counter()
        float(step(batch, tf.constant(number, tf.int64))["total"])
        seconds.append(time.perf_counter() - began)
    return config.learning.batch_size / statistics.median(seconds[2:])  # the first two trace
