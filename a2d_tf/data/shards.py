"""Shards of records, each a slice of the videos of one split, and how one is built.

A finished shard is renamed into `OUTPUT/.partial` beside a JSON *sidecar* of its counts and a
fingerprint of the settings and of all files that it was made from. It is kept only as long as its
fingerprint matches.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import os
import pathlib
import secrets
from typing import TYPE_CHECKING

from a2d_tf.core.files import file_digest, read_json, write_json
from a2d_tf.data import manifest as manifests
from a2d_tf.data.clips import ConversionSettings, clips_of
from a2d_tf.data.release import Video

if TYPE_CHECKING:
    from a2d_tf.data.clips import Source
    from a2d_tf.data.records import ClipRecord

PARTIAL = ".partial"
QUALITY = ("frames", "error_still", "error_warped")


@dataclasses.dataclass(frozen=True)
class Shard:
    """A slice of the videos of one split."""

    name: str
    split: str
    videos: tuple[Video, ...]


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
      source, settings, shard, on_error: what to build, and how; see `convert.convert`.
      output: folder of the records.

    Returns:
      The sidecar: `fingerprint`, `records`, `bytes`, `sha256`, `videos`, `instances`, `pairs`,
      `sizes`, `native_sizes`, `durations`, `flow_quality` (sums), `skipped`, `mended`.
    """
    # Only the workers need TensorFlow, which takes seconds to import.
    from a2d_tf.data import records
    from a2d_tf.data.flow_quality import photometric_errors

    inputs = fingerprint(source, settings, shard)
    sidecar = finished(output, shard, inputs, on_error)
    if sidecar is not None:
        return sidecar
    tally, skipped = _Tally(source, photometric_errors), []

    def skip(path, error):
        if on_error == "fail":
            raise error
        skipped.append({"item": _item(source, path), "reason": str(error)})

    def serialised():
        for video in shard.videos:
            for clip in clips_of(source, settings, video, skip):
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
        "sha256": file_digest(path),
        **tally.counts,
        "flow_quality": tally.flow_quality,
        "skipped": skipped,
        "mended": tally.mended,
    }
    write_json(sidecar_path(output, shard), {**sidecar, "checksum": _checksum(sidecar)})
    return sidecar


class _Tally:
    """Statistics of a shard's clips for its sidecar; a video's clips are added consecutively."""

    def __init__(self, source, photometric_errors):
        self._source, self._photometric_errors = source, photometric_errors
        self._video, self._measured = None, False
        self.counts = {"videos": 0, "records": 0, "instances": 0}
        for name in ("pairs", "sizes", "native_sizes", "durations"):
            self.counts[name] = collections.Counter()
        self.flow_quality = dict.fromkeys(QUALITY, 0)
        self.mended = []

    def add(self, clip: ClipRecord) -> None:
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
            for name, value in zip(QUALITY, (1, *errors)):
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
                content = file_digest(path)
            except OSError:
                content = "unreadable"
            digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def _item(source, path):
    """Return the name of a file in reports: its path relative to the source's folder."""
    return pathlib.Path(os.path.relpath(path, source.root)).as_posix()


def sidecar_path(output: pathlib.Path, shard: Shard) -> pathlib.Path:
    """Return the path of a shard's sidecar."""
    return output / PARTIAL / f"{shard.name}.json"


def finished(output: pathlib.Path, shard: Shard, inputs: str, on_error: str) -> dict | None:
    """Return the sidecar of a shard that is built from `inputs`, a `fingerprint`, or None."""
    try:
        sidecar = read_json(sidecar_path(output, shard))
        if sidecar.pop("checksum") != _checksum(sidecar) or sidecar["fingerprint"] != inputs:
            return None
        if sidecar["skipped"] and on_error == "fail":
            return None
        # It is in OUTPUT itself if publishing was interrupted.
        for path in (output / PARTIAL / shard.name, output / shard.name):
            if path.is_file() and file_digest(path) == sidecar["sha256"]:
                return sidecar
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # no sidecar, or a damaged one: build the shard
    return None


def _checksum(sidecar):
    return hashlib.sha256(json.dumps(sidecar, sort_keys=True).encode()).hexdigest()
