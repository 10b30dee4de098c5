"""Convert annotated videos to records: shards built in parallel, published together.

Finished shards are kept, so an interrupted conversion resumes; its records equal those
of an uninterrupted one byte for byte. When all shards are finished, they move to the
output, and the manifest is written. Several processes may share the shards.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from a2d_tf.core.checked_json import check_json
from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.errors import InputError
from a2d_tf.core.folders import is_of_writing
from a2d_tf.core.machine.tasks import ALONE, Task
from a2d_tf.core.machine.workers import imap
from a2d_tf.data.conversion.clips import ConversionSettings
from a2d_tf.data.conversion.publishing import check_complete, publish_if_whole
from a2d_tf.data.conversion.shard_building import (
    PARTIAL,
    Conversion,
    MotionSettings,
    Shard,
)
from a2d_tf.data.conversion.sidecar import Sidecar
from a2d_tf.data.preparation.flow import Flow
from a2d_tf.data.record_folder import manifest as manifests
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.sources.source import Source

ON_ERROR = ("fail", "skip")

Builder = Callable[[Conversion, Sequence[Shard], int], Iterable["tuple[str, Sidecar]"]]


class ConversionResult(NamedTuple):
    """The result of `convert`.

    Attributes:
      manifest: manifest of the records; None while shards that other tasks build are
        missing.
      was_built: False if the records were complete before, or another process completed
        them; else True.
    """

    manifest: Manifest | None
    was_built: bool


def convert(
    source: Source,
    output: str | os.PathLike,
    settings: ConversionSettings,
    workers: int = 2,
    *,
    on_error: str = "fail",
    task: Task = ALONE,
    builder: Builder | None = None,
    motion: MotionSettings | None = None,
) -> ConversionResult:
    """Build the records of annotated videos in a folder, or finish building them.

    Several tasks may share the work, in any order or at the same time, on machines that
    share the disk of `output`. Each task builds its own shards in `output`/.partial.
    The task that finishes the last shard publishes the records: it moves all shards to
    `output` and writes manifest.json.

    Args:
      source: the annotated videos.
      output: folder of the records.
      settings: contents of the records.
      workers: number of processes.
      on_error: 'fail' stops at the first broken video or annotation; 'skip' leaves
        broken ones out and lists them in the manifest.
      task: this task's number and the number of tasks, which determine its shards.
      builder: function that builds the shards, called as `build_all` is; None for
        `build_all`.
      motion: motion maps of the records; None for records without motion maps.

    Raises:
      InputError: a video or annotation is missing or broken and `on_error` is 'fail';
        or a setting is out of range; or `output` holds other records or cannot be
        written.
    """
    Flow(settings.flow_method)  # raises now if the method is not installed
    try:  # what a manifest may say
        check_json(dataclasses.asdict(settings), manifests.INPUT_SETTINGS)
    except ValueError as error:
        raise InputError(f"--{error}") from None
    _check_missing(source, on_error)
    conversion = Conversion(source, pathlib.Path(output), settings, on_error, motion)
    shards = conversion.shards()
    manifest_path = conversion.output / manifests.NAME
    if manifest_path.exists():
        return ConversionResult(check_complete(conversion, shards), was_built=False)
    build = builder or build_all
    try:
        (conversion.output / PARTIAL).mkdir(parents=True, exist_ok=True)
        built = dict(build(conversion, task.share(shards), workers))
        manifest = publish_if_whole(conversion, shards, built)
        return ConversionResult(manifest, was_built=True)
    except OSError as error:
        if manifest_path.exists():  # by another process, which then removed PARTIAL
            manifest = check_complete(conversion, shards)
            return ConversionResult(manifest, was_built=False)
        if is_of_writing(error, str(output)):
            problem = f"{output}: cannot be written ({error})"
        elif error.filename:
            problem = f"{error.filename}: {error.strerror or error}"
        else:
            problem = error.strerror or str(error)
        raise InputError(f"{problem}; fix it and run again") from error


def build_all(
    conversion: Conversion, shards: Sequence[Shard], workers: int
) -> Iterable[tuple[str, Sidecar]]:
    """Build shards in several processes, and yield each when it is finished.

    It is the default builder of `convert`, and shows a progress bar.

    Args:
      conversion: the conversion that the shards belong to.
      shards: the shards to build.
      workers: largest number of processes.

    Yields:
      (name of the shard, its sidecar, which describes it), in the order of `shards`.
    """
    workers = min(workers, len(shards))
    build = conversion.build
    if workers > 1:
        build = conversion.build_in_worker
    total = sum(len(shard.videos) for shard in shards)
    with progress_bar(total=total, desc="Building records", unit="video") as bar:
        for shard, sidecar in zip(shards, imap(build, shards, workers)):
            yield shard.name, sidecar
            bar.update(len(shard.videos))


def _check_missing(source: Source, on_error: str) -> None:
    """Raise InputError if `on_error` is 'fail' and videos are missing."""
    paths = [source.frames_path(video.vid) for video in source.videos]
    missing = [str(path) for path in paths if not path.exists()]
    if missing and on_error == "fail":
        raise InputError(
            f"{source.root}: {len(missing)} of {len(paths)} videos are missing, such as"
            f" {', '.join(missing[:3])}; restore them, or skip them with"
            " --on_error=skip"
        )
