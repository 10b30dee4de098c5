"""Convert annotated videos to records: shards built in parallel, each a slice of one split.

The videos come from a *source*: a `release.Release` or an `annotated_videos.AnnotatedVideos`.

A finished shard is renamed into `OUTPUT/.partial` beside a JSON *sidecar* of its counts and a
fingerprint of the settings and of all files that it was made from. An interrupted conversion
resumes from there; a shard is kept only if its fingerprint still matches, so that the records are
the same, byte for byte, as those of an uninterrupted conversion. Finally all shards move to OUTPUT,
then the manifest is written. Several processes may share the shards (`convert_task`).
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Callable, Union

import numpy as np
import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json
from a2d_tf.core.sharing.locks import locked
from a2d_tf.core.sharing.tasks import ALONE, Task
from a2d_tf.data import manifest as manifests
from a2d_tf.data.flow import METHODS, Flow, fit, resize_frame
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.sources.release import Release, Video, check_number
from a2d_tf.data.workers import imap

if TYPE_CHECKING:
    from a2d_tf.data.sources.annotated_videos import AnnotatedVideos

    Source = Union[Release, AnnotatedVideos]

logger = logging.getLogger(__name__)

Builder = Callable[..., Iterable[tuple[str, dict]]]
ON_ERROR = ("fail", "skip")
PARTIAL = ".partial"
_LOCK = "lock"  # of the process that publishes
_QUALITY = ("frames", "error_still", "error_warped")


@dataclasses.dataclass(frozen=True)
class ConversionSettings:
    """Settings that determine the contents of the records.

    Attributes:
      flow_method: one of `flow.METHODS`.
      image_height, image_width: size that frames are resized to fit into, keeping their aspect.
      clip_frames: T, odd.
      clip_stride: source frames from one clip frame to the next; flow always spans one.
      shard_videos: videos per shard.
    """

    flow_method: str = "dis"
    image_height: int = 256
    image_width: int = 256
    clip_frames: int = 5
    clip_stride: int = 1
    shard_videos: int = 32

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
    videos: tuple[Video, ...]


def convert(
    source: Source,
    output: str | os.PathLike,
    settings: ConversionSettings,
    workers: int = 2,
    *,
    on_error: str = "fail",
) -> tuple[Manifest, bool]:
    """Build the records of a source, or finish building them.

    Args:
      source: the annotated videos.
      output: folder of the records; created if missing.
      settings: what the records contain.
      workers: number of processes.
      on_error: 'fail' stops at the first broken item and publishes nothing; 'skip' leaves broken
        items out and lists them in the manifest.

    Returns:
      (the manifest, whether anything was built).

    Raises:
      InputError: a missing or broken item (with 'fail'), or an `output` that holds other records or
        cannot be written.
    """
    manifest, built = convert_task(source, output, settings, ALONE, workers, on_error=on_error)
    assert manifest is not None  # a task that is alone has built every shard
    return manifest, built


def convert_task(
    source: Source,
    output: str | os.PathLike,
    settings: ConversionSettings,
    task: Task,
    workers: int = 2,
    *,
    on_error: str = "fail",
    builder: Builder | None = None,
) -> tuple[Manifest | None, bool]:
    """Build a task's share of the shards; publish the records if now every shard is whole.

    The tasks may run in any order and at once, on machines that share the disk of `output`.

    Args:
      source, output, settings, workers, on_error: as for `convert`.
      task: which shards to build.
      builder: builds them in place of `build_all`, whose arguments it takes.

    Returns:
      (the manifest, or None while other tasks' shards are missing; whether anything was built).

    Raises:
      InputError: as of `convert`.
    """
    _check_options(workers, on_error)
    Flow(settings.flow_method)  # fail early if the method is not installed
    _check_missing(source, on_error)
    output = pathlib.Path(output)
    shards = plan(source, settings)

    def complete():
        return _check_complete(source, output, settings, shards, on_error)

    if (output / manifests.NAME).exists():
        return complete(), False
    if (output / PARTIAL).is_symlink():  # its contents would be deleted
        raise InputError(f"{output / PARTIAL}: a link; remove it, or choose another --output")
    try:
        (output / PARTIAL).mkdir(parents=True, exist_ok=True)
        _tidy(output / PARTIAL, shards, task)
        build = builder or build_all
        own = dict(build(source, output, settings, task.share(shards), workers, on_error))
        # Waits for a task that publishes now, after which there is a manifest, and no PARTIAL.
        with locked(output / PARTIAL / _LOCK):
            if (output / manifests.NAME).exists():
                return complete(), True
            sidecars = _all_sidecars(source, output, settings, shards, own, on_error)
            if sidecars is None:
                return None, True
            return _publish(source, output, settings, shards, sidecars), True
    except (OSError, InputError) as error:
        if (output / manifests.NAME).exists():  # another copy of this task was faster
            return complete(), True
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{output}: cannot be written ({error}); mend that and run again"
        ) from error


def _check_options(workers, on_error):
    if workers < 1:
        raise InputError(f"--workers must be at least 1, got {workers}")
    if on_error not in ON_ERROR:
        raise InputError(f"--on_error '{on_error}' is not one of {ON_ERROR}")


def _all_sidecars(source, output, settings, shards, own, on_error):
    """The sidecars of all shards, in order, `own` among them; None where a shard is missing."""
    others = [shard for shard in shards if shard.name not in own]
    if not all(_sidecar_path(output, shard).exists() for shard in others):
        return None  # without reading the files of every video
    for shard in others:
        inputs = fingerprint(source, settings, shard)
        own[shard.name] = _finished(output, shard, inputs, on_error)
        if own[shard.name] is None:
            return None
    return [own[shard.name] for shard in shards]


def plan(source: Source, settings: ConversionSettings) -> tuple[Shard, ...]:
    """Return the shards of a source: train first, the videos in the source's order."""
    shards = []
    for split in manifests.SPLITS:
        videos = [video for video in source.videos if source.split(video) == split]
        slices = [
            tuple(videos[start : start + settings.shard_videos])
            for start in range(0, len(videos), settings.shard_videos)
        ]
        shards += [
            Shard(f"{split}-{i:05d}-of-{len(slices):05d}.tfrecord", split, part)
            for i, part in enumerate(slices)
        ]
    return tuple(shards)


def clip_sources(
    key: int, count: int, stride: int, length: int
) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return the source frames of a clip, and which of them are clamped.

    Args:
      key: 1-based key frame.
      count: T.
      stride: source frames from one clip frame to the next.
      length: frames of the video.

    Returns:
      (T source frames within 1..length; T booleans, true if the nearest frame replaces one beyond
      an end of the video, with zero flow).
    """
    unclamped = [key + (i - count // 2) * stride for i in range(count)]
    sources = tuple(min(max(frame, 1), length) for frame in unclamped)
    return sources, tuple(frame != source for frame, source in zip(unclamped, sources))


def build_shard(
    source: Source,
    output: pathlib.Path,
    settings: ConversionSettings,
    shard: Shard,
    *,
    on_error: str,
) -> dict:
    """Build a shard in `output/.partial`, unless it is there already.

    Args:
      source, settings, shard, on_error: what to build, and how; see `convert`.
      output: folder of the records.

    Returns:
      The sidecar: `fingerprint`, `records`, `bytes`, `sha256`, `videos`, `instances`, `pairs`,
      `sizes`, `native_sizes`, `durations`, `flow_quality` (sums), `skipped`, `mended`.
    """
    # Only the workers need TensorFlow, which takes seconds to import.
    from a2d_tf.data import records
    from a2d_tf.data.flow_quality import photometric_errors

    inputs = fingerprint(source, settings, shard)
    sidecar = _finished(output, shard, inputs, on_error)
    if sidecar is not None:
        return sidecar
    tally, skipped = _Tally(source, photometric_errors), []

    def skip(path, error):
        if on_error == "fail":
            raise error
        skipped.append({"item": _item(source, path), "reason": str(error)})

    def serialised():
        for video in shard.videos:
            for clip in _clips(source, settings, video, skip):
                tally.add(clip)
                yield records.encode(clip)

    path = output / PARTIAL / shard.name
    # Process numbers alone may be the same on two machines that share a disk.
    temporary = path.with_name(f"{shard.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        records.write_shard(temporary, serialised())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sidecar = {
        "fingerprint": inputs,
        "bytes": path.stat().st_size,
        "sha256": manifests.file_digest(path),
        **tally.counts,
        "flow_quality": tally.flow_quality,
        "skipped": skipped,
        "mended": tally.mended,
    }
    write_json(_sidecar_path(output, shard), {**sidecar, "checksum": _checksum(sidecar)})
    return sidecar


class _Tally:
    """Statistics of a shard's clips for its sidecar; a video's clips are added consecutively."""

    def __init__(self, source, photometric_errors):
        self._source, self._photometric_errors = source, photometric_errors
        self._video, self._measured = None, False
        self.counts = {"videos": 0, "records": 0, "instances": 0}
        for name in ("pairs", "sizes", "native_sizes", "durations"):
            self.counts[name] = collections.Counter()
        self.flow_quality = dict.fromkeys(_QUALITY, 0)
        self.mended = []

    def add(self, clip):
        annotation, counts = clip.annotation, self.counts
        if clip.video != self._video:
            self._video, self._measured = clip.video, False
            counts["videos"] += 1
            counts["native_sizes"]["{}x{}".format(*annotation.label_map.shape)] += 1
            counts["durations"][str(self._source.length(clip.video))] += 1
        counts["records"] += 1
        counts["instances"] += len(annotation.codes)
        counts["pairs"].update(map(str, annotation.codes))
        counts["sizes"]["{}x{}".format(*clip.rgb[0].shape)] += 1
        if annotation.note:
            path = self._source.annotation_path(clip.video, clip.frame)
            self.mended.append({"item": _item(self._source, path), "note": annotation.note})
        # Warping needs two rows and two columns.
        if not self._measured and clip.previous is not None and min(clip.previous.shape[:2]) > 1:
            self._measured, key = True, len(clip.rgb) // 2
            errors = self._photometric_errors(clip.previous, clip.rgb[key], clip.flow[key])
            for name, value in zip(_QUALITY, (1, *errors)):
                self.flow_quality[name] += value


def fingerprint(source: Source, settings: ConversionSettings, shard: Shard) -> str:
    """Return a hash of the settings and of all inputs of a shard, file contents included."""
    digest = hashlib.sha256()
    fields = dataclasses.asdict(settings)
    fields["label_space"] = source.label_space.to_json()
    digest.update(repr([manifests.SCHEMA, fields, shard]).encode())
    for video in shard.videos:
        digest.update(f"{video.vid} {source.facts(video.vid)}\n".encode())
        for path in source.files(video.vid):
            try:
                content = manifests.file_digest(path)
            except OSError:
                content = "unreadable"
            digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def _clips(source, settings, video, skip):
    """Yield the ClipRecords of a video, which is decoded once."""
    from a2d_tf.data.records import ClipRecord

    keys = ()
    try:
        keys = source.annotated_frames(video.vid)
        check_number(source, video, keys)  # the annotations that exist are used nevertheless
    except InputError as error:
        skip(source.annotation_folder(video.vid), error)
    if not keys:
        return
    try:
        length, size = source.length(video.vid), (settings.clip_frames, settings.clip_stride)
        clips = {key: clip_sources(key, *size, length) for key in keys}
        frames, flows, native_size = _decode(source, settings, video, clips)
    except InputError as error:
        skip(source.frames_path(video.vid), error)
        return
    for key, (sources, clamped) in clips.items():
        try:
            annotation = source.read_annotation(video.vid, key, native_size)
        except InputError as error:
            skip(source.annotation_path(video.vid, key), error)
            continue
        zero = np.zeros((*frames[key].shape[:2], 2), np.float32)
        yield ClipRecord(
            video=video.vid,
            frame=key,
            split=source.split(video),
            clip_frames=sources,
            rgb=[frames[number] for number in sources],
            flow=[
                zero if missing else flows.get(number, zero)
                for number, missing in zip(sources, clamped)
            ],
            annotation=annotation,
            previous=frames[key - 1] if key in flows else None,
        )


def _decode(source, settings, video, clips):
    """Decode the frames that a video's clips need and compute their flow.

    Returns:
      ({number: frame at the stored size}, {number: flow from the frame before}, native size).
    """
    with_flow = {
        number
        for sources, clamped in clips.values()
        for number, missing in zip(sources, clamped)
        if number > 1 and not missing
    }
    needed = {number for sources, _ in clips.values() for number in sources}
    frames, flows, flow, native_size = {}, {}, Flow(settings.flow_method), None
    for number, frame in source.read_frames(video.vid, needed | {n - 1 for n in with_flow}):
        native_size = frame.shape[:2]
        size = fit(*native_size, settings.image_height, settings.image_width)
        frames[number] = resize_frame(frame, *size)
        if number in with_flow:
            try:
                flows[number] = flow(frames[number - 1], frames[number])
            except InputError as error:
                raise InputError(f"{source.frames_path(video.vid)}: {error}") from error
    return frames, flows, native_size


def _item(source, path):
    """Return the name of a file in reports: its path relative to the source's folder."""
    return pathlib.Path(os.path.relpath(path, source.root)).as_posix()


def _sidecar_path(output, shard):
    return output / PARTIAL / f"{shard.name}.json"


def _finished(output, shard, inputs, on_error):
    """Return the sidecar of a shard that is built and up to date, or None."""
    try:
        sidecar = read_json(_sidecar_path(output, shard))
        if sidecar.pop("checksum") != _checksum(sidecar) or sidecar["fingerprint"] != inputs:
            return None
        if sidecar["skipped"] and on_error == "fail":
            return None
        # It is in OUTPUT itself if publishing was interrupted.
        for path in (output / PARTIAL / shard.name, output / shard.name):
            if path.is_file() and manifests.file_digest(path) == sidecar["sha256"]:
                return sidecar
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # no sidecar, or a damaged one: build the shard
    return None


def _checksum(sidecar):
    return hashlib.sha256(json.dumps(sidecar, sort_keys=True).encode()).hexdigest()


def _tidy(partial, shards, task):
    """Remove files that an interrupted run, or one with other settings, left behind.

    Temporary files of a shard stay where other tasks may be writing them.
    """
    known = {_LOCK, *(name for shard in shards for name in (shard.name, f"{shard.name}.json"))}
    names = tuple(shard.name for shard in shards) if task.count > 1 else ()
    for path in partial.iterdir():
        if path.name not in known and not path.name.startswith(names):
            path.unlink(missing_ok=True)


def _check_missing(source, on_error):
    """Report missing files before any work: as an InputError with 'fail', else in the log."""
    missing = source.missing()
    if not missing:
        return
    first = ", ".join(str(path) for _, path in missing[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    videos = len({vid for vid, _ in missing})
    problem = f"{source.root}: {videos} of {len(source.videos)} videos lack files: {first}{more}"
    if on_error == "fail":
        raise InputError(
            f"{problem}; restore them, pass --on_error skip to leave them out, or, of a release, "
            "name the videos that you have by --videos LIST"
        )
    logger.info("%s; they are left out", problem)


def _check_complete(source, output, settings, shards, on_error):
    """Return the manifest of complete records if they are those asked for."""
    manifest = Manifest.load(output)
    remedy = "choose another --output, or delete this one to build it again"
    for field in ("flow_method", "image_height", "image_width", "clip_frames", "clip_stride"):
        built, asked = getattr(manifest, field), getattr(settings, field)
        if built != asked:
            raise InputError(f"{output}: holds records of --{field} {built}, not {asked}; {remedy}")
    bar = tqdm.tqdm(shards, "Comparing with the source", unit="shard")
    if manifest.source != _source(fingerprint(source, settings, shard) for shard in bar):
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


def build_all(
    source: Source,
    output: pathlib.Path,
    settings: ConversionSettings,
    shards: Sequence[Shard],
    workers: int,
    on_error: str,
) -> Iterator[tuple[str, dict]]:
    """Build shards in `workers` processes; yield (name, sidecar) of each."""
    build = functools.partial(build_shard, source, output, settings, on_error=on_error)
    workers = min(workers, len(shards))
    if workers > 1:
        build = functools.partial(build_in_worker, source, output, settings, on_error=on_error)
    total = sum(len(shard.videos) for shard in shards)
    with tqdm.tqdm(total=total, desc="Building records", unit="video") as bar:
        for shard, sidecar in zip(shards, imap(build, shards, workers)):
            yield shard.name, sidecar
            bar.update(len(shard.videos))


def build_in_worker(*arguments: Any, **options: Any) -> dict:
    """Call `build_shard` in a worker process, whose TensorFlow uses one core."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return build_shard(*arguments, **options)


def _publish(source, output, settings, shards, sidecars):
    """Move the shards into OUTPUT, then write the manifest; return it."""
    counts = {}
    for split in manifests.SPLITS:
        of_split = [s for shard, s in zip(shards, sidecars) if shard.split == split]
        counts[split] = {
            **{
                field: sum(s[field] for s in of_split)
                for field in ("videos", "records", "instances")
            },
            "pairs": _total(of_split, "pairs", key=int),
        }
    sizes = _total(sidecars, "sizes")
    if not sizes:
        raise InputError(f"{output}: not one annotated frame of the release could be used")

    names = {shard.name for shard in shards}
    for path in output.glob("*.tfrecord"):
        if path.name not in names and re.fullmatch(r"(train|test)-\d+-of-\d+\.tfrecord", path.name):
            path.unlink()  # published by an interrupted run with other settings
    for path in output.glob(f"{manifests.NAME}.*.tmp"):
        path.unlink()  # of a run that was killed while writing the manifest
    for shard in shards:
        with contextlib.suppress(FileNotFoundError):  # an interrupted run moved it
            os.replace(output / PARTIAL / shard.name, output / shard.name)
    Manifest(
        schema=manifests.SCHEMA,
        flow_method=settings.flow_method,
        image_height=settings.image_height,
        image_width=settings.image_width,
        clip_frames=settings.clip_frames,
        clip_stride=settings.clip_stride,
        counts=counts,
        sizes=sizes,
        native_sizes=_total(sidecars, "native_sizes"),
        durations=_total(sidecars, "durations", key=int),
        flow_quality=_flow_quality(sidecars),
        files=[
            {"name": shard.name, "split": shard.split}
            | {field: sidecar[field] for field in ("records", "bytes", "sha256")}
            for shard, sidecar in zip(shards, sidecars)
        ],
        skipped=[*source.skipped, *(item for sidecar in sidecars for item in sidecar["skipped"])],
        mended=[item for sidecar in sidecars for item in sidecar["mended"]],
        labels=json.loads(source.label_space.to_json()),
        source=_source(sidecar["fingerprint"] for sidecar in sidecars),
    ).save(output)
    shutil.rmtree(output / PARTIAL, ignore_errors=True)  # another copy of a task may write there
    return Manifest.load(output)


def _total(sidecars, tally, key=None):
    """Sum counts over shards; return them as a dict ordered by key."""
    total = sum((collections.Counter(s[tally]) for s in sidecars), collections.Counter())
    return {name: total[name] for name in sorted(total, key=key)}


def _flow_quality(sidecars):
    """Return the manifest's `flow_quality` from the sums of the shards."""
    frames, still, warped = (sum(s["flow_quality"][name] for s in sidecars) for name in _QUALITY)
    return {
        "frames": frames,
        "error_still": round(still / max(frames, 1), 4),
        "error_warped": round(warped / max(frames, 1), 4),
        "gain_percent": round(100 * (1 - warped / still), 2) if still else None,
    }


def _source(fingerprints):
    return hashlib.sha256("\n".join(fingerprints).encode()).hexdigest()
