"""A conversion of annotated videos to records, and the building of its shards.

A shard holds the records of some videos of one split. A finished shard lies in
`OUTPUT/.partial`, beside a JSON file, its *sidecar*. The sidecar describes the shard's
clips and has a fingerprint of the settings and of all files that the shard was made
from. If the fingerprint no longer matches, the shard is built again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from a2d_tf.core.errors import InputError
from a2d_tf.core.file_format import SCHEMA
from a2d_tf.core.files import file_digest
from a2d_tf.core.machine import devices
from a2d_tf.data.conversion.clips import ConversionSettings, clips_of
from a2d_tf.data.conversion.sidecar import ClipSummary, Sidecar
from a2d_tf.data.preparation.motion_stream import BlockFunction, MotionStream
from a2d_tf.data.record_folder import manifest as manifests
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.data.sources.source import Source
from a2d_tf.data.sources.video_list import Video

PARTIAL = ".partial"
"""Folder in the output that holds finished shards until all are published."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """A slice of the videos of one split, whose records are in one file.

    Attributes:
      name: name of the file, such as 'train-00000-of-00012.tfrecord'.
      split: 'train' or 'test'.
      videos: the videos, in the order of the source.
    """

    name: str
    split: str
    videos: tuple[Video, ...]


@dataclasses.dataclass(frozen=True)
class MotionSettings:
    """The motion maps that records hold, and the function that computes them.

    Attributes:
      facts: description of the maps for the manifest.
      block_function: computes the maps of the action backbone; None if there is none.
        It is pickled for other processes.
    """

    facts: MotionFacts
    block_function: BlockFunction | None = None

    def stream(self) -> MotionStream:
        """Return a new motion stream with these settings; each video needs its own."""
        return MotionStream(self.block_function, self.facts.flow_histograms)


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A conversion of annotated videos to records.

    It is pickled for the processes that build shards.

    Attributes:
      source: the annotated videos.
      output: folder of the records.
      settings: contents of the records.
      on_error: 'fail' stops at the first broken item; 'skip' leaves broken items out
        and lists them in the manifest.
      motion: motion maps of the records; None for records without motion maps.
    """

    source: Source
    output: pathlib.Path
    settings: ConversionSettings
    on_error: str = "fail"
    motion: MotionSettings | None = None

    def shards(self) -> tuple[Shard, ...]:
        """Divide the videos into shards, those of the training split first."""
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

    def build(self, shard: Shard) -> Sidecar:
        """Build a shard in `.partial` of the output unless it is finished.

        It writes the shard and its sidecar, the JSON file that describes it.

        Returns:
          the shard's sidecar.

        Raises:
          InputError: a video or annotation is broken and `on_error` is 'fail'.
        """
        from a2d_tf.data import clip_records  # late: only the workers need TensorFlow

        fingerprint = self.fingerprint(shard)
        finished = self.finished(shard, fingerprint)
        if finished is not None:
            return finished
        sidecar = Sidecar(fingerprint)
        path = self.output / PARTIAL / shard.name
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            temporary = os.path.join(folder, shard.name)
            clip_records.write_shard(temporary, self._records(shard, sidecar))
            # The size is read now, because another copy of this task may publish, and
            # so move, the shard.
            sidecar.bytes = os.path.getsize(temporary)
            sidecar.sha256 = file_digest(temporary)
            os.replace(temporary, path)
        sidecar.save(self.sidecar_path(shard))
        return sidecar

    def _records(self, shard: Shard, sidecar: Sidecar) -> Iterator[bytes]:
        """Yield the serialised records of a shard, and describe them in `sidecar`."""
        from a2d_tf.data import clip_records

        def skip(path: pathlib.Path, error: InputError) -> None:
            if self.on_error == "fail":
                raise error
            sidecar.skipped.append({"item": self._item(path), "reason": str(error)})

        for video in shard.videos:
            stream = self.motion.stream() if self.motion else None
            for clip in clips_of(self.source, self.settings, video, skip, stream):
                sidecar.clips.append(ClipSummary.of(clip))
                note = clip.annotation.note
                if note:
                    path = self.source.annotation_path(clip.video, clip.frame)
                    sidecar.repaired.append({"item": self._item(path), "note": note})
                yield clip_records.encode(clip)

    def _item(self, path: pathlib.Path) -> str:
        """Return the manifest's name for a file: its path in the source's folder."""
        return pathlib.Path(os.path.relpath(path, self.source.root)).as_posix()

    def build_in_worker(self, shard: Shard) -> Sidecar:
        """Build a shard as `build` does, in a worker: with one core and no GPU."""
        import tensorflow as tf

        devices.hide_gpus()
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        return self.build(shard)

    def fingerprint(self, shard: Shard) -> str:
        """Return a hash of the settings and of all files that a shard is made from.

        A finished shard is used again only if its fingerprint is still the same.
        """
        digest = hashlib.sha256()
        fields = dataclasses.asdict(self.settings)
        fields["label_space"] = self.source.label_space.to_json()
        digest.update(repr([SCHEMA, fields, shard]).encode())
        if self.motion:
            digest.update(repr(self.motion.facts).encode())
        for video in shard.videos:
            text = self.source.annotation_text(video.vid)
            digest.update(f"{video.vid} {text}\n".encode())
            for path in self.source.files(video.vid):
                try:
                    content = file_digest(path)
                except OSError:
                    content = "unreadable"
                digest.update(f"{path.name} {content}\n".encode())
        return digest.hexdigest()

    def sidecar_path(self, shard: Shard) -> pathlib.Path:
        """Return the path of a shard's sidecar: `.partial/<name of the shard>.json`."""
        return self.output / PARTIAL / f"{shard.name}.json"

    def finished(self, shard: Shard, fingerprint: str) -> Sidecar | None:
        """Find out whether a shard is finished and still valid.

        Args:
          shard: the shard.
          fingerprint: the shard's present fingerprint.

        Returns:
          its sidecar; None if the shard is missing or damaged, has another fingerprint,
          or lacks broken items although `on_error` is 'fail'.
        """
        try:
            sidecar = Sidecar.load(self.sidecar_path(shard))
        except InputError:
            return None
        if sidecar.fingerprint != fingerprint:
            return None
        if sidecar.skipped and self.on_error == "fail":
            return None
        # If publishing was interrupted, the shard may lie in the output itself.
        for path in (self.output / PARTIAL / shard.name, self.output / shard.name):
            # Another process may just have moved it.
            with contextlib.suppress(FileNotFoundError):
                if file_digest(path) == sidecar.sha256:
                    return sidecar
        return None
