"""What is predicted of each video of a library, and whether that is done already.

`prediction.json` marks a video as finished, and tells by which settings.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

from a2d_tf.behaviour.prediction_folder import (
    PART_FILE,
    RECORD_FILE,
    RESULT_FILES,
    RESULTS,
)
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.command.register import flag_text
from a2d_tf.core.errors import InputError
from a2d_tf.data.decoding import video_frames
from a2d_tf.video.frames.track_settings import TRACK_DEFAULTS, TrackSettings
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.reading import image_reader

_RECORD = {
    "video": str,
    "bytes": (int, None),
    "digest": (str, None),
    "model": str,
    "model_sha256": str,
    "settings": {},
}
ENDS = 1 << 18
"""Bytes of a file that tell it from another, from its start and to its end."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What is predicted of each video of a library, and written of it.

    Attributes:
      start, end, every, track_settings: as for `Predictor.video`.
      kinds: those of `prediction_folder.RESULT_FILES` that are written.
      model: of `model_source.identity`.
      settings: further settings that tell predictions apart, as {flag: value}.
      fps: images a second of folders of images; None: 25, as nobody said.
      overwrite: whether a prediction of other settings counts as none, rather than as
        an error.
      run: the run folder of the model, if it is one.
      notes: sentences for the page of the library, of how good the labels are.
      warning: what stands at the top of that page, "" for nothing.
      curve: path of a picture on it, of what more annotations would add; there may be
        none.
    """

    start: float = 0.0
    end: float | None = None
    every: int = 1
    track_settings: TrackSettings = TRACK_DEFAULTS
    kinds: tuple[str, ...] = tuple(RESULT_FILES)
    model: dict[str, str] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    fps: float | None = None
    overwrite: bool = False
    run: str | None = None
    notes: tuple[str, ...] = ()
    warning: str = ""
    curve: str = ""

    def record(self, job: Job) -> dict[str, Any]:
        """Return a job's `prediction.json`, without its `frames`.

        `bytes` and `digest` are None if the video is gone.
        """
        settings = {
            "start": self.start,
            "end": self.end,
            "every": self.every,
            **self.track_settings.recorded(),
            "results": ",".join(self.kinds),
            **self.settings,
        }
        if self.fps is not None:
            settings["fps"] = self.fps
        try:
            content = _content(video_frames.files(job.path, image_reader.IMAGES))
        except OSError:
            content = _Content(None, None)
        return {
            "video": os.path.basename(os.path.abspath(job.path)),
            "bytes": content.size,
            "digest": content.digest,
            **self.model,
            "settings": settings,
        }

    def is_finished(self, job: Job) -> bool:
        """Return whether the results of a job are there and whole.

        Raises:
          InputError: another prediction is in its place, with what differs, or other
            files are.
        """
        folder = job.output
        names = _names_in(folder)
        if all(name.startswith(".") for name in names):
            return False
        difference = self._difference(job)
        if not difference and self._has_results(names):
            return True
        if difference and not self.overwrite:
            raise InputError(
                f"{folder}: {difference}; use another --output, or --overwrite"
            )
        for name in sorted(names - {*RESULTS, RECORD_FILE}):
            if not name.startswith(PART_FILE):
                raise InputError(
                    f"{folder}: contains {name}, not a result, which would be removed;"
                    " move it, or use another --output"
                )
        return False

    def is_whole(self, job: Job) -> bool:
        """Return whether the results of a job are there, whatever else may be."""
        return not self._difference(job) and self._has_results(_names_in(job.output))

    def _has_results(self, names: Set[str]) -> bool:
        """Return whether a folder of these names has every result that is wanted."""
        return {RESULT_FILES[kind] for kind in self.kinds} <= names

    def _difference(self, job: Job) -> str | None:
        """Describe how a job's folder differs from its prediction; None if it fits."""
        path = os.path.join(job.output, RECORD_FILE)
        try:
            record = load_json(path, _RECORD, "not a library prediction")
        except InputError as error:
            return str(error)
        return _difference_of_records(record, self.record(job))


def _names_in(folder: str) -> set[str]:
    """Return the names in a folder; none if there is no such folder."""
    return set(os.listdir(folder)) if os.path.lexists(folder) else set()


class _Content(NamedTuple):
    """Bytes of a video's files, and the digest of their sizes and their ends."""

    size: int | None
    digest: str | None


def _content(paths: Iterable[str | os.PathLike[str]]) -> _Content:
    """Return the content of files; OSError if one cannot be read."""
    total_size = 0
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            digest.update(f"{size} ".encode())
            for start in (0, max(0, size - ENDS)):
                file.seek(start)
                digest.update(file.read(ENDS))
        total_size += size
    return _Content(total_size, digest.hexdigest())


def _difference_of_records(
    record: Mapping[str, Any], wanted_record: Mapping[str, Any]
) -> str | None:
    """Describe how a prediction differs from the wanted one; None if it does not."""
    if record["model_sha256"] != wanted_record["model_sha256"]:
        return f"finished with another model or weights ({record['model']})"
    settings = record["settings"]
    wanted_settings = wanted_record["settings"]
    for name in sorted({*settings, *wanted_settings}):
        value = settings.get(name)
        wanted_value = wanted_settings.get(name)
        if value != wanted_value:
            return (
                f"finished with --{name}={flag_text(value)},"
                f" not {flag_text(wanted_value)}"
            )
    # A video that is gone since is not another one.
    is_same_content = wanted_record["digest"] in (None, record["digest"])
    if record["video"] != wanted_record["video"] or not is_same_content:
        return f"finished for another {record['video']}, of {record['bytes']} bytes"
    return None
