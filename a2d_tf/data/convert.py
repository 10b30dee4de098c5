"""Convert annotated videos to records: shards built in parallel, then published
together.

A shard is a slice of the videos of one split. A finished one is renamed into
`OUTPUT/.partial` beside a JSON *sidecar* of its clips and a fingerprint of the settings
and of all files that it was made from; it is kept only as long as its fingerprint
matches. So an interrupted conversion resumes, and its records are the same, byte for
byte, as those of an uninterrupted one. Finally all shards move to OUTPUT, then the
manifest is written. Several processes may share the shards.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Callable

from a2d_tf.core import devices
from a2d_tf.core.checked_json import check_json, load_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, write_json
from a2d_tf.core.locks import locked
from a2d_tf.core.progress import progress_bar
from a2d_tf.core.workers import ALONE, Task, imap
from a2d_tf.data import manifest as manifests
from a2d_tf.data.flow import Flow
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.release import Video
from a2d_tf.data.sources import ClipRecord, ConversionSettings, Source, clips_of

ON_ERROR = ("fail", "skip")
PARTIAL = ".partial"
_LOCK = ".lock"  # of the process that publishes; not in PARTIAL, which that removes
_SIDECAR = {"fingerprint": str, "sha256": str, "skipped": list, "clips": list}


@dataclasses.dataclass(frozen=True)
class Shard:
    """A slice of the videos of one split."""

    name: str
    split: str
    videos: tuple[Video, ...]


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A source, its settings and its output, sent to the processes that build shards.

    Attributes:
      source: the annotated videos.
      output: folder of the records.
      settings: what the records contain.
      on_error: 'fail' stops at the first broken item; 'skip' leaves broken items out
        and lists them in the manifest.
    """

    source: Source
    output: pathlib.Path
    settings: ConversionSettings
    on_error: str = "fail"

    def shards(self) -> tuple[Shard, ...]:
        """Return the shards: train first, the videos in the source's order."""
        shards = []
        size = self.settings.shard_videos
        for split in manifests.SPLITS:
            videos = [video for video in self.source.videos if video.split == split]
            starts = range(0, len(videos), size)
            for number, start in enumerate(starts):
                name = f"{split}-{number:05d}-of-{len(starts):05d}.tfrecord"
                part = tuple(videos[start : start + size])
                shards.append(Shard(name, split, part))
        return tuple(shards)

    def build(self, shard: Shard) -> dict:
        """Build a shard in `output/.partial`, unless it is there already; return its
        sidecar.
        """
        from a2d_tf.data import clip_records  # late: only the workers need TensorFlow

        inputs = self.fingerprint(shard)
        if finished := self.finished(shard, inputs):
            return finished
        sidecar: dict = {
            "fingerprint": inputs,
            "clips": [],
            "skipped": [],
            "repaired": [],
        }

        def note(kind: str, path: pathlib.Path, **words: str) -> None:
            item = pathlib.Path(os.path.relpath(path, self.source.root)).as_posix()
            sidecar[kind].append({"item": item, **words})

        def skip(path: pathlib.Path, error: InputError) -> None:
            if self.on_error == "fail":
                raise error
            note("skipped", path, reason=str(error))

        def serialised() -> Iterator[bytes]:
            for video in shard.videos:
                for clip in clips_of(self.source, self.settings, video, skip):
                    sidecar["clips"].append(_facts(clip))
                    if clip.annotation.note:
                        path = self.source.annotation_path(clip.video, clip.frame)
                        note("repaired", path, note=clip.annotation.note)
                    yield clip_records.encode(clip)

        path = self.output / PARTIAL / shard.name
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            temporary = os.path.join(folder, shard.name)
            clip_records.write_shard(temporary, serialised())
            # Before another copy of this task can publish it.
            sidecar |= {
                "bytes": os.path.getsize(temporary),
                "sha256": file_digest(temporary),
            }
            os.replace(temporary, path)
        write_json(self.sidecar_path(shard), sidecar)
        return sidecar

    def build_in_worker(self, shard: Shard) -> dict:
        """Build a shard in a worker process, whose TensorFlow uses one core and no
        GPU.
        """
        import tensorflow as tf

        devices.hide_gpus()
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        return self.build(shard)

    def fingerprint(self, shard: Shard) -> str:
        """Return a hash of the settings and of all inputs of a shard, file contents
        included.
        """
        digest = hashlib.sha256()
        fields = dataclasses.asdict(self.settings)
        fields["label_space"] = self.source.label_space.to_json()
        digest.update(repr([manifests.SCHEMA, fields, shard]).encode())
        for video in shard.videos:
            digest.update(
                f"{video.vid} {self.source.annotation_text(video.vid)}\n".encode()
            )
            for path in self.source.files(video.vid):
                try:
                    content = file_digest(path)
                except OSError:
                    content = "unreadable"
                digest.update(f"{path.name} {content}\n".encode())
        return digest.hexdigest()

    def sidecar_path(self, shard: Shard) -> pathlib.Path:
        """Return the path of a shard's sidecar."""
        return self.output / PARTIAL / f"{shard.name}.json"

    def finished(self, shard: Shard, inputs: str) -> dict | None:
        """Return a shard's sidecar if it was built from `inputs`, a `fingerprint`;
        else None.
        """
        try:
            sidecar = load_json(self.sidecar_path(shard), _SIDECAR, "build the shard")
        except InputError:
            return None
        if sidecar["fingerprint"] != inputs or (
            sidecar["skipped"] and self.on_error == "fail"
        ):
            return None
        # It is in OUTPUT itself if publishing was interrupted.
        for path in (self.output / PARTIAL / shard.name, self.output / shard.name):
            # or another process has just moved it
            with contextlib.suppress(FileNotFoundError):
                if file_digest(path) == sidecar["sha256"]:
                    return sidecar
        return None


Builder = Callable[[Conversion, Sequence[Shard], int], Iterable["tuple[str, dict]"]]


def convert(
    source: Source,
    output: str | os.PathLike,
    settings: ConversionSettings,
    workers: int = 2,
    *,
    on_error: str = "fail",
    task: Task = ALONE,
    builder: Builder | None = None,
) -> tuple[Manifest | None, bool]:
    """Build the records of a source, or finish building them.

    Tasks may run in any order and at once, on machines that share the disk of `output`.
    Each builds its share of the shards, and publishes the records if now every shard is
    whole.

    Args:
      source, output, settings, on_error: as of `Conversion`.
      workers: number of processes.
      task: which shards to build.
      builder: builds them in place of `build_all`, whose arguments it takes.

    Returns:
      (the manifest, or None while other tasks' shards are missing; whether anything was
      built).

    Raises:
      InputError: a missing or broken item (with 'fail', which publishes nothing), or an
        `output` that holds other records or cannot be written.
    """
    Flow(settings.flow_method)  # fail early if the method is not installed
    try:  # what a manifest may say
        check_json(dataclasses.asdict(settings), manifests.FACTS)
    except ValueError as error:
        raise InputError(f"--{error}") from None
    _check_missing(source, on_error)
    conversion = Conversion(source, pathlib.Path(output), settings, on_error)
    shards, published = conversion.shards(), conversion.output / manifests.NAME
    if published.exists():
        return _check_complete(conversion, shards), False
    try:
        (conversion.output / PARTIAL).mkdir(parents=True, exist_ok=True)
        own = dict((builder or build_all)(conversion, task.share(shards), workers))
        # Waits for a task that publishes now, after which there is a manifest, and no
        # PARTIAL.
        with locked(conversion.output / _LOCK):
            if published.exists():
                return _check_complete(conversion, shards), True
            sidecars = _all_sidecars(conversion, shards, own)
            return (_publish(conversion, shards, sidecars) if sidecars else None), True
    except OSError as error:
        if published.exists():  # by another process, which then removed PARTIAL
            return _check_complete(conversion, shards), False
        raise InputError(
            f"{output}: cannot be written ({error}); fix it and run again"
        ) from error


def build_all(
    conversion: Conversion, shards: Sequence[Shard], workers: int
) -> Iterable[tuple[str, dict]]:
    """Build shards in `workers` processes; yield (name, sidecar) of each."""
    workers = min(workers, len(shards))
    build = conversion.build_in_worker if workers > 1 else conversion.build
    total = sum(len(shard.videos) for shard in shards)
    with progress_bar(total=total, desc="Building records", unit="video") as bar:
        for shard, sidecar in zip(shards, imap(build, shards, workers)):
            yield shard.name, sidecar
            bar.update(len(shard.videos))


def _all_sidecars(conversion, shards, own):
    """Return the sidecars of all shards, in order, `own` among them; None if a shard
    is missing.
    """
    others = [shard for shard in shards if shard.name not in own]
    # First by existence: fingerprints read the files of every video.
    if all(conversion.sidecar_path(shard).exists() for shard in others):
        for shard in others:
            own[shard.name] = conversion.finished(shard, conversion.fingerprint(shard))
    sidecars = [own.get(shard.name) for shard in shards]
    return None if None in sidecars else sidecars


def _check_missing(source: Source, on_error: str) -> None:
    """With 'fail', raise an InputError about missing videos before any work."""
    paths = [source.frames_path(video.vid) for video in source.videos]
    missing = [str(path) for path in paths if not path.exists()]
    if missing and on_error == "fail":
        raise InputError(
            f"{source.root}: {len(missing)} of {len(paths)} videos are missing, such as"
            f" {', '.join(missing[:3])}; restore them, or skip them with"
            " --on_error=skip"
        )


def _check_complete(conversion, shards):
    """Return the manifest of complete records if they are those asked for."""
    output = conversion.output
    manifest = Manifest.load(output)
    asked = dataclasses.asdict(conversion.settings).items()
    differing = [
        f"--{name}" for name, value in asked if getattr(manifest, name, value) != value
    ]
    splits = {video.vid: video.split for video in conversion.source.videos}
    if splits != manifest.split_of and splits.keys() == manifest.split_of.keys():
        differing.append("split of these videos (see --split_of and --test_videos)")
    bar = progress_bar(shards, "Comparing with the source", unit="shard")
    if differing or manifest.source != _digest_of(map(conversion.fingerprint, bar)):
        other = " ".join(differing) or "source, --labels or --shard_videos"
        raise InputError(
            f"{output}: contains records of another {other}; use another --output, or"
            " delete this one to rebuild it"
        )
    shutil.rmtree(output / PARTIAL, ignore_errors=True)
    return manifest


def _publish(conversion, shards, sidecars):
    """Move the shards into OUTPUT, then write the manifest; return it."""
    source = conversion.source
    output = conversion.output
    clips = []
    files = []
    skipped = []
    repaired = []
    for reason in source.skipped:
        skipped.append({"item": source.listing, "reason": reason})
    for shard, sidecar in zip(shards, sidecars):
        clips += sidecar["clips"]
        skipped += sidecar["skipped"]
        repaired += sidecar["repaired"]
        files.append(
            {
                "name": shard.name,
                "split": shard.split,
                "records": len(sidecar["clips"]),
                "bytes": sidecar["bytes"],
                "sha256": sidecar["sha256"],
                "videos": [video.vid for video in shard.videos],
            }
        )
    if not clips:
        raise InputError(f"{output}: no annotated frame of the release could be used")
    for shard in shards:
        with contextlib.suppress(FileNotFoundError):  # an interrupted run moved it
            os.replace(output / PARTIAL / shard.name, output / shard.name)
    settings = dataclasses.asdict(conversion.settings)
    del settings["shard_videos"]
    native_size_of = {clip["video"]: clip["native_size"] for clip in clips}
    manifest = Manifest(
        **settings,
        counts={split: _counts(clips, split) for split in manifests.SPLITS},
        sizes=_count(clip["size"] for clip in clips),
        native_sizes=_count(native_size_of.values()),
        files=files,
        skipped=skipped,
        repaired=repaired,
        labels=json.loads(source.label_space.to_json()),
        source=_digest_of(sidecar["fingerprint"] for sidecar in sidecars),
    )
    manifest.save(output)
    # Another copy of a task may write there.
    shutil.rmtree(output / PARTIAL, ignore_errors=True)
    return Manifest.load(output)


def _facts(clip: ClipRecord) -> dict:
    """Return what the manifest counts of a clip."""
    return {
        "video": clip.video,
        "split": clip.split,
        "size": "{}x{}".format(*clip.rgb[0].shape),
        "native_size": "{}x{}".format(*clip.annotation.label_map.shape),
        "codes": clip.annotation.codes.tolist(),
        "boxes_only": int((~clip.annotation.has_mask).sum()),
    }


def _counts(clips, split):
    """Return the manifest's `counts` of a split."""
    clips = [clip for clip in clips if clip["split"] == split]
    codes = [code for clip in clips for code in clip["codes"]]
    counts: dict = {"videos": len({clip["video"] for clip in clips})}
    counts |= {"records": len(clips), "instances": len(codes)}
    if boxes_only := sum(clip["boxes_only"] for clip in clips):
        counts["boxes_only"] = boxes_only
    return {
        **counts,
        "pairs": {str(code): count for code, count in _count(codes).items()},
    }


def _count(values):
    """Return {value: how often it occurs}, ordered by value."""
    return dict(sorted(collections.Counter(values).items()))


def _digest_of(fingerprints):
    return hashlib.sha256("\n".join(fingerprints).encode()).hexdigest()
