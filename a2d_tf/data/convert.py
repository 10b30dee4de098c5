"""Convert annotated videos to records: shards built in parallel, then published together.

The videos come from a *source*: a `release.Release` or an `annotated_videos.AnnotatedVideos`.

An interrupted conversion resumes from the finished shards (`shards`), so that the records are
the same, byte for byte, as those of an uninterrupted one. Finally all shards move to OUTPUT, then
the manifest is written. Several processes may share the shards (`convert_task`).
"""

from __future__ import annotations

import collections
import contextlib
import functools
import hashlib
import json
import logging
import os
import pathlib
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Callable

import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.locks import locked
from a2d_tf.core.workers import ALONE, Task, imap
from a2d_tf.data import manifest as manifests
from a2d_tf.data.clips import ConversionSettings
from a2d_tf.data.flow import Flow
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.shards import (
    PARTIAL,
    QUALITY,
    Shard,
    build_shard,
    fingerprint,
    finished,
    plan,
    sidecar_path,
)

if TYPE_CHECKING:
    from a2d_tf.data.clips import Source

logger = logging.getLogger(__name__)

Builder = Callable[..., Iterable[tuple[str, dict]]]
ON_ERROR = ("fail", "skip")
_LOCK = "lock"  # of the process that publishes


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
                shutil.rmtree(output / PARTIAL, ignore_errors=True)  # made anew for the lock
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
    if not all(sidecar_path(output, shard).exists() for shard in others):
        return None  # without reading the files of every video
    for shard in others:
        inputs = fingerprint(source, settings, shard)
        own[shard.name] = finished(output, shard, inputs, on_error)
        if own[shard.name] is None:
            return None
    return [own[shard.name] for shard in shards]


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
            f"{output}: holds records of other annotations or videos, or of another release, "
            f"--labels or --shard_videos; {remedy}"
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
    """Call `build_shard` in a worker process, whose TensorFlow uses one core and no GPU."""
    import tensorflow as tf

    from a2d_tf.core import devices

    devices.hide_gpus()
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
    frames, still, warped = (sum(s["flow_quality"][name] for s in sidecars) for name in QUALITY)
    return {
        "frames": frames,
        "error_still": round(still / max(frames, 1), 4),
        "error_warped": round(warped / max(frames, 1), 4),
        "gain_percent": round(100 * (1 - warped / still), 2) if still else None,
    }


def _source(fingerprints):
    return hashlib.sha256("\n".join(fingerprints).encode()).hexdigest()
