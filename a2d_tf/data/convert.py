"""Turns a release into records: shards built side by side, each a fixed slice of one split.

A finished shard is renamed into `OUTPUT/.partial` with a JSON *sidecar* that holds its counts and
a fingerprint of the settings and of every file that went into it. A run that was interrupted goes
on from there: a shard is kept only if its fingerprint is still the same, so that the result is the
same, byte for byte, as an undisturbed run's. When all are there they move to OUTPUT, the manifest
last.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import threading
import time
from concurrent.futures.process import BrokenProcessPool

import cv2
import numpy as np
import tqdm

from a2d_tf.data import manifest as manifests
from a2d_tf.data.flow import METHODS, Flow, fit, resize_frame
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.release import Release
from a2d_tf.errors import InputError
from a2d_tf.files import write_json
from a2d_tf.labels import A2D, LabelSpace

ON_ERROR = ("fail", "skip")
PARTIAL = ".partial"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the contents of the records.

    Attributes:
      flow_method: one of `flow.METHODS`.
      image_height, image_width: limits that the frames are fitted into, up or down.
      clip_frames: T, odd.
      clip_stride: source frames from one clip frame to the next; flow always spans one.
      shard_videos: videos per shard.
      label_space: what the codes mean.
    """

    flow_method: str = "dis"
    image_height: int = 256
    image_width: int = 256
    clip_frames: int = 5
    clip_stride: int = 1
    shard_videos: int = 32
    label_space: LabelSpace = A2D

    def __post_init__(self):
        if self.flow_method not in METHODS:
            raise InputError(f"--flow_method '{self.flow_method}' is not one of {METHODS}")
        for name in ("image_height", "image_width", "clip_frames", "clip_stride", "shard_videos"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if self.clip_frames % 2 == 0:
            raise InputError(
                f"--clip_frames must be odd, for the key frame is the middle one; got "
                f"{self.clip_frames}"
            )


@dataclasses.dataclass(frozen=True)
class Shard:
    """A slice of the videos of one split."""

    name: str
    split: str
    videos: tuple


def convert(release_dir, output, settings, workers=2, on_error="fail"):
    """Build the records of a release in `output`, or finish building them.

    Args:
      release_dir: the release.
      output: folder of the records; made if missing.
      settings: `Settings`.
      workers: processes.
      on_error: 'fail' ends at the first broken item, with nothing published; 'skip' leaves broken
        items out and lists them in the manifest.

    Returns:
      (`Manifest`, whether anything was built).

    Raises:
      InputError: a broken item (with 'fail'), or an `output` that holds other records.
    """
    if workers < 1:
        raise InputError(f"--workers must be at least 1, got {workers}")
    if on_error not in ON_ERROR:
        raise InputError(f"--on_error '{on_error}' is not one of {ON_ERROR}")
    Flow(settings.flow_method)  # so that a method that is not installed is known at once
    release = Release(release_dir, settings.label_space)
    output = pathlib.Path(output)
    shards = plan(release, settings)
    if (output / manifests.NAME).exists():
        return _check_complete(release, output, settings, shards, on_error), False

    try:
        (output / PARTIAL).mkdir(parents=True, exist_ok=True)
        _tidy(output / PARTIAL, shards)
        sidecars = _build_all(release, output, settings, shards, workers, on_error)
        return _publish(output, settings, shards, sidecars), True
    except OSError as error:  # those of the release are InputErrors already
        raise InputError(
            f"{output}: cannot be written ({error}); mend that and run again"
        ) from error


def plan(release, settings):
    """The shards of a release: tuple of `Shard`, train first, in the order of videoset.csv."""
    shards = []
    for split in manifests.SPLITS:
        videos = [video for video in release.videos if release.split(video) == split]
        slices = [
            tuple(videos[start : start + settings.shard_videos])
            for start in range(0, len(videos), settings.shard_videos)
        ]
        shards += [
            Shard(f"{split}-{i:05d}-of-{len(slices):05d}.tfrecord", split, part)
            for i, part in enumerate(slices)
        ]
    return tuple(shards)


def clip_sources(key, count, stride, length):
    """The source frames of a clip, and which of them were clamped.

    Args:
      key: 1-based key frame.
      count: T.
      stride: source frames from one clip frame to the next.
      length: frames of the video.

    Returns:
      (tuple of T source frames within 1..length, tuple of T bools: the neighbour is missing and the
      nearest frame stands in for it, with zero flow).
    """
    wanted = [key + (i - count // 2) * stride for i in range(count)]
    sources = tuple(min(max(frame, 1), length) for frame in wanted)
    return sources, tuple(frame != source for frame, source in zip(wanted, sources))


def build_shard(release, output, settings, shard, on_error, advance):
    """Build one shard in `output/.partial`, unless it is there already.

    Args:
      release, settings, shard, on_error: what to build, and how.
      output: folder of the records.
      advance: called after each video; may raise to give up.

    Returns:
      The sidecar: dict of `fingerprint`, `records`, `bytes`, `sha256`, `videos`, `instances`,
      `pairs`, `sizes`, `skipped`.
    """
    # TensorFlow takes seconds to import and only the workers need it.
    from a2d_tf.data import records

    mark = fingerprint(release, settings, shard)
    sidecar = _finished(output, shard, mark, on_error)
    if sidecar is not None:
        for _ in shard.videos:
            advance()
        return sidecar

    counts = {"videos": 0, "records": 0, "instances": 0}
    pairs, sizes, skipped = collections.Counter(), collections.Counter(), []

    def skip(item, error):
        if on_error == "fail":
            raise error
        skipped.append({"item": item.relative_to(release.root).as_posix(), "reason": str(error)})

    def serialised():
        for video in shard.videos:
            before = counts["records"]
            for clip in _clips(release, settings, video, skip):
                counts["records"] += 1
                counts["instances"] += len(clip.annotation.codes)
                pairs.update(str(code) for code in clip.annotation.codes)
                sizes[f"{clip.rgb.shape[1]}x{clip.rgb.shape[2]}"] += 1
                yield records.encode(clip)
            counts["videos"] += counts["records"] > before
            advance()

    path = output / PARTIAL / shard.name
    temporary = path.with_name(f"{shard.name}.{os.getpid()}.tmp")
    try:
        records.write_shard(temporary, serialised())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sidecar = {
        "fingerprint": mark,
        **counts,
        "bytes": path.stat().st_size,
        "sha256": manifests.file_digest(path),
        "pairs": dict(pairs),
        "sizes": dict(sizes),
        "skipped": skipped,
    }
    write_json(_sidecar_path(output, shard), sidecar)
    return sidecar


def fingerprint(release, settings, shard):
    """Hash of the settings and of the contents of every file that goes into a shard."""
    digest = hashlib.sha256()
    fields = dataclasses.asdict(settings)
    fields["label_space"] = settings.label_space.to_json()
    digest.update(repr([manifests.SCHEMA, fields, shard]).encode())
    for video in shard.videos:
        folder = release.annotation_folder(video.vid)
        for path in [release.video_path(video.vid), *sorted(folder.glob("*.mat"))]:
            try:
                content = manifests.file_digest(path)
            except OSError:
                content = "unreadable"
            digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def _clips(release, settings, video, skip):
    """Yield the ClipRecords of a video; it is decoded once, and only what clips need is kept."""
    from a2d_tf.data.records import ClipRecord

    try:
        clips = {
            key: clip_sources(key, settings.clip_frames, settings.clip_stride, video.frames)
            for key in release.annotated_frames(video.vid)
        }
    except InputError as error:
        skip(release.annotation_folder(video.vid), error)
        return
    if not clips:
        return
    # The frames whose flow is wanted; the first frame of a video has no previous one.
    moving = {
        source
        for sources, clamped in clips.values()
        for source, missing in zip(sources, clamped)
        if source > 1 and not missing
    }
    wanted = {source for sources, _ in clips.values() for source in sources}
    frames, flows, flow, native = {}, {}, Flow(settings.flow_method), None
    try:
        for number, frame in release.read_frames(video.vid, wanted | {f - 1 for f in moving}):
            native = frame.shape[:2]
            size = fit(*native, settings.image_height, settings.image_width)
            frames[number] = resize_frame(frame, *size)
            if number in moving:
                flows[number] = flow(frames[number - 1], frames[number])
    except InputError as error:
        skip(release.video_path(video.vid), error)
        return

    for key, (sources, clamped) in clips.items():
        try:
            annotation = release.read_annotation(video.vid, key, native)
        except InputError as error:
            skip(release.annotation_path(video.vid, key), error)
            continue
        still = np.zeros((*frames[key].shape[:2], 2), np.float32)
        yield ClipRecord(
            video=video.vid,
            frame=key,
            split=release.split(video),
            clip_frames=sources,
            rgb=np.stack([frames[source] for source in sources]),
            flow=np.stack([
                still if missing else flows.get(source, still)
                for source, missing in zip(sources, clamped)
            ]),
            annotation=annotation,
        )  # fmt: skip


def _sidecar_path(output, shard):
    return output / PARTIAL / f"{shard.name}.json"


def _finished(output, shard, mark, on_error):
    """The sidecar of a shard that is there already and still right, or None."""
    try:
        sidecar = json.loads(_sidecar_path(output, shard).read_text(encoding="utf-8"))
        if sidecar["fingerprint"] != mark or (sidecar["skipped"] and on_error == "fail"):
            return None
        # It is in OUTPUT itself if the run was interrupted while it published.
        for path in (output / PARTIAL / shard.name, output / shard.name):
            if path.is_file() and manifests.file_digest(path) == sidecar["sha256"]:
                return sidecar
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no sidecar, or one that is not ours: the shard is built
    return None


def _tidy(partial, shards):
    """Remove what an interrupted run, or one with other settings, left half done."""
    known = {name for shard in shards for name in (shard.name, f"{shard.name}.json")}
    for path in partial.iterdir():
        if path.name not in known:
            path.unlink()


def _check_complete(release, output, settings, shards, on_error):
    """The manifest of records that are complete already, if they are the ones asked for."""
    manifest = Manifest.load(output)
    remedy = "choose another --output, or delete this one to build it again"
    for field in ("flow_method", "image_height", "image_width", "clip_frames", "clip_stride"):
        built, asked = getattr(manifest, field), getattr(settings, field)
        if built != asked:
            raise InputError(f"{output}: holds records of --{field} {built}, not {asked}; {remedy}")
    marks = [
        fingerprint(release, settings, shard)
        for shard in tqdm.tqdm(shards, "Comparing with the release", unit="shard")
    ]
    if manifest.source != _source(marks):
        raise InputError(
            f"{output}: holds records of another release, --labels or --shard_videos; {remedy}"
        )
    if manifest.skipped and on_error == "fail":
        raise InputError(
            f"{output}: complete but for {len(manifest.skipped)} broken items that were skipped, "
            f"the first {manifest.skipped[0]['item']}; pass --on_error skip to accept that, or "
            "mend them and build into another --output"
        )
    shutil.rmtree(output / PARTIAL, ignore_errors=True)
    return manifest


def _build_all(release, output, settings, shards, workers, on_error):
    """Build the shards by `workers` processes; returns their sidecars, in order."""
    build = functools.partial(build_shard, release, output, settings, on_error=on_error)
    total = sum(len(shard.videos) for shard in shards)
    with tqdm.tqdm(total=total, desc="Building records", unit="video") as bar:
        if workers == 1:
            return [build(shard, advance=bar.update) for shard in shards]
        # Not forked: TensorFlow and OpenCV do not survive a fork once they have started threads.
        context = multiprocessing.get_context("spawn")
        done, stop = context.Value("i", 0), context.Event()
        executor = concurrent.futures.ProcessPoolExecutor(
            min(workers, len(shards)), context, _start_worker, (build, done, stop, os.getpid())
        )
        try:
            pending = {executor.submit(_build_in_worker, shard): shard for shard in shards}
            sidecars = {}
            while pending:
                finished, _ = concurrent.futures.wait(
                    pending, timeout=0.2, return_when=concurrent.futures.FIRST_COMPLETED
                )
                if done.value > bar.n:
                    bar.update(done.value - bar.n)
                for future in finished:
                    sidecars[pending.pop(future)] = future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "a worker process was killed, perhaps for want of memory; run again with fewer "
                "--workers, it goes on from the finished shards"
            ) from error
        finally:
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)
    return [sidecars[shard] for shard in shards]


_build = _done = _stop = None  # of a worker process


def _start_worker(build, done, stop, parent):
    global _build, _done, _stop
    _build, _done, _stop = build, done, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops its workers itself
    cv2.setNumThreads(1)  # the workers share the cores by being many
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent):
    """End this process when its parent was killed, lest it works on beside the next run."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _build_in_worker(shard):
    return _build(shard, advance=_advance)


def _advance():
    with _done.get_lock():
        _done.value += 1
    if _stop.is_set():
        raise concurrent.futures.CancelledError


def _publish(output, settings, shards, sidecars):
    """Move the shards into OUTPUT, then write the manifest; returns it."""
    counts, sizes = {}, collections.Counter()
    for split in manifests.SPLITS:
        own = [s for shard, s in zip(shards, sidecars) if shard.split == split]
        pairs = sum((collections.Counter(s["pairs"]) for s in own), collections.Counter())
        counts[split] = {
            **{field: sum(s[field] for s in own) for field in ("videos", "records", "instances")},
            "pairs": {code: pairs[code] for code in sorted(pairs, key=int)},
        }
        sizes.update(sum((collections.Counter(s["sizes"]) for s in own), collections.Counter()))
    if not sizes:
        raise InputError(f"{output}: not one annotated frame of the release could be used")

    names = {shard.name for shard in shards}
    for path in output.glob("*.tfrecord"):
        if path.name not in names and re.fullmatch(r"(train|test)-\d+-of-\d+\.tfrecord", path.name):
            path.unlink()  # published by an interrupted run with other settings
    for shard in shards:
        if (output / PARTIAL / shard.name).exists():
            os.replace(output / PARTIAL / shard.name, output / shard.name)
    Manifest(
        schema=manifests.SCHEMA,
        flow_method=settings.flow_method,
        image_height=settings.image_height,
        image_width=settings.image_width,
        clip_frames=settings.clip_frames,
        clip_stride=settings.clip_stride,
        counts=counts,
        sizes={size: sizes[size] for size in sorted(sizes)},
        files=[
            {"name": shard.name, "split": shard.split}
            | {field: sidecar[field] for field in ("records", "bytes", "sha256")}
            for shard, sidecar in zip(shards, sidecars)
        ],
        skipped=[item for sidecar in sidecars for item in sidecar["skipped"]],
        labels=json.loads(settings.label_space.to_json()),
        source=_source(sidecar["fingerprint"] for sidecar in sidecars),
    ).save(output)
    shutil.rmtree(output / PARTIAL)
    return Manifest.load(output)


def _source(marks):
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()
