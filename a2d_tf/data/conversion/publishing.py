"""Publish records: move finished shards to the output, then write the manifest."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.errors import InputError
from a2d_tf.core.locks import locked
from a2d_tf.data.conversion.shard_building import (
    PARTIAL,
    Conversion,
    MotionSettings,
    Shard,
)
from a2d_tf.data.conversion.sidecar import ClipSummary, Sidecar
from a2d_tf.data.record_folder import manifest as manifests
from a2d_tf.data.record_folder.manifest import (
    Manifest,
    RepairedItem,
    ShardEntry,
    SkippedItem,
    SplitCounts,
)
from a2d_tf.data.record_folder.motion_facts import NO_MOTION, MotionFacts

# The lock of the process that publishes. It is not in PARTIAL, which is removed.
_LOCK = ".lock"


def publish_if_whole(
    conversion: Conversion, shards: Sequence[Shard], built: Mapping[str, Sidecar]
) -> Manifest | None:
    """Publish the records if all shards are finished, also those of other tasks.

    Publishing moves the shards from `.partial` to the output and writes manifest.json.
    If another task is publishing, this waits for it and returns its manifest.

    Args:
      conversion: the conversion.
      shards: all shards of the conversion.
      built: {name of a shard: its sidecar}, the shards that this task has built.

    Returns:
      the manifest; None if a shard is not yet finished.

    Raises:
      InputError: the output has records of other settings, or there are no clips.
    """
    # If another task is publishing, this waits; then there is a manifest.
    with locked(conversion.output / _LOCK):
        if (conversion.output / manifests.NAME).exists():
            return check_complete(conversion, shards)
        sidecars = _all_sidecars(conversion, shards, built)
        if sidecars is None:
            return None
        return _publish(conversion, shards, sidecars)


def _all_sidecars(
    conversion: Conversion, shards: Sequence[Shard], built: Mapping[str, Sidecar]
) -> list[Sidecar] | None:
    """Return the sidecars of all shards, in order; None if a shard is missing."""
    # This test comes first, because a fingerprint reads the files of all videos.
    for shard in shards:
        if shard.name not in built and not conversion.sidecar_path(shard).exists():
            return None
    sidecars = []
    for shard in shards:
        sidecar = built.get(shard.name)
        if sidecar is None:
            sidecar = conversion.finished(shard, conversion.fingerprint(shard))
        if sidecar is None:
            return None
        sidecars.append(sidecar)
    return sidecars


def check_complete(conversion: Conversion, shards: Sequence[Shard]) -> Manifest:
    """Check that published records are those of a conversion; return the manifest.

    All files of the source are read for that. The folder `.partial` is removed.

    Args:
      conversion: the conversion that was asked for.
      shards: all shards of the conversion.

    Raises:
      InputError: the records in the output have other settings, or are of another
        source.
    """
    output = conversion.output
    manifest = Manifest.load(output)
    differing = []
    for name, value in dataclasses.asdict(conversion.settings).items():
        # A setting that is not in the manifest is compared by the digest below.
        if getattr(manifest, name, value) != value:
            differing.append(f"--{name}")
    differing.extend(_differing_motion(conversion.motion, manifest.motion))
    splits = {video.vid: video.split for video in conversion.source.videos}
    split_of = manifest.split_of
    if splits != split_of and splits.keys() == split_of.keys():
        differing.append("split of these videos (see --split_of and --test_videos)")
    is_same = False
    if not differing:
        bar = progress_bar(shards, "Comparing with the source", unit="shard")
        fingerprints = [conversion.fingerprint(shard) for shard in bar]
        is_same = manifest.source == _digest_of(fingerprints)
    if not is_same:
        other = " ".join(differing) or "source, --labels or --shard_videos"
        raise InputError(
            f"{output}: contains records of another {other}; use another --output, or"
            " delete this one to rebuild it"
        )
    shutil.rmtree(output / PARTIAL, ignore_errors=True)
    return manifest


def _differing_motion(
    settings: MotionSettings | None, facts: MotionFacts | None
) -> list[str]:
    """Return the settings in which motion maps differ from those of the records.

    Args:
      settings: the motion maps that were asked for; None for none.
      facts: the motion maps of the records; None for none.
    """
    wanted = settings.facts if settings else NO_MOTION
    existing = facts or NO_MOTION
    differing = []
    if wanted.action_backbone != existing.action_backbone:
        differing.append("--action_backbone")
    elif wanted.sha256 != existing.sha256:
        differing.append("file of weights of the --action_backbone")
    if wanted.flow_histograms != existing.flow_histograms:
        differing.append("--flow_histograms")
    return differing


def _publish(
    conversion: Conversion, shards: Sequence[Shard], sidecars: Sequence[Sidecar]
) -> Manifest:
    """Move the shards to the output, then write the manifest; return it.

    Raises:
      InputError: there are no clips.
    """
    source = conversion.source
    output = conversion.output
    clips: list[ClipSummary] = []
    files = []
    skipped: list[SkippedItem] = []
    repaired: list[RepairedItem] = []
    for reason in source.skipped:
        skipped.append({"item": source.listing, "reason": reason})
    for shard, sidecar in zip(shards, sidecars):
        clips += sidecar.clips
        skipped += sidecar.skipped
        repaired += sidecar.repaired
        entry = ShardEntry(
            name=shard.name,
            split=shard.split,
            records=len(sidecar.clips),
            bytes=sidecar.bytes,
            sha256=sidecar.sha256,
            videos=[video.vid for video in shard.videos],
        )
        files.append(entry)
    if not clips:
        raise InputError(f"{output}: no annotated frame could be used")
    for shard in shards:
        with contextlib.suppress(FileNotFoundError):  # it was moved before
            os.replace(output / PARTIAL / shard.name, output / shard.name)
    settings = dataclasses.asdict(conversion.settings)
    del settings["shard_videos"]
    native_size_of = {clip.video: clip.native_size for clip in clips}
    manifest = Manifest(
        **settings,
        counts={split: _counts_of_split(clips, split) for split in manifests.SPLITS},
        sizes=_count(clip.size for clip in clips),
        native_sizes=_count(native_size_of.values()),
        files=files,
        skipped=skipped,
        repaired=repaired,
        labels=json.loads(source.label_space.to_json()),
        source=_digest_of([sidecar.fingerprint for sidecar in sidecars]),
        motion=conversion.motion.facts if conversion.motion else None,
        bout_seconds=dict(source.bout_seconds),
    )
    manifest.save(output)
    # Errors are ignored, because another copy of a task may still write there.
    shutil.rmtree(output / PARTIAL, ignore_errors=True)
    return Manifest.load(output)


def _counts_of_split(clips: Iterable[ClipSummary], split: str) -> SplitCounts:
    """Return the manifest's `counts` of a split."""
    videos = set()
    records = 0
    codes = []
    boxes_only = 0
    for clip in clips:
        if clip.split == split:
            videos.add(clip.video)
            records += 1
            codes += clip.codes
            boxes_only += clip.boxes_only
    pairs = {str(code): number for code, number in _count(codes).items()}
    if not boxes_only:
        return SplitCounts(
            videos=len(videos), records=records, instances=len(codes), pairs=pairs
        )
    # The file has the fields in this order.
    return SplitCounts(
        videos=len(videos),
        records=records,
        instances=len(codes),
        boxes_only=boxes_only,
        pairs=pairs,
    )


def _count(values: Iterable[Any]) -> dict[Any, int]:
    """Return {value: its number of occurrences}, ordered by value."""
    return dict(sorted(collections.Counter(values).items()))


def _digest_of(fingerprints: Iterable[str]) -> str:
    """Return the digest of all shards' fingerprints, the manifest's `source`."""
    return hashlib.sha256("\n".join(fingerprints).encode()).hexdigest()
