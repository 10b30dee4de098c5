"""The settings of the prediction of a library, and which of its videos are finished.

`prediction.json` marks a video as finished, and holds the settings of its prediction.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Set
from typing import Any

from a2d_tf.behaviour.prediction_folder import (
    PART_FILE,
    RECORD_FILE,
    RESULT_FILES,
    RESULTS,
)
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.command.register import flag_text
from a2d_tf.core.errors import InputError
from a2d_tf.video.frames.track_settings import TRACK_DEFAULTS, TrackSettings
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.reading.video_content import video_content

_RECORD = {
    "video": str,
    "bytes": (int, None),
    "digest": (str, None),
    "model": str,
    "model_sha256": str,
    "settings": {},
}


@dataclasses.dataclass(frozen=True)
class Request:
    """The settings of the prediction of every video of a library.

    Attributes:
      start: time from which frames are answered, in seconds.
      end: time before which answered frames begin, in seconds; None for the end of each
        video.
      every: N to predict only each Nth frame.
      track_settings: how individuals are tracked.
      kinds: the kinds of results to write, such as "tracks" and "overlay": keys of
        `prediction_folder.RESULT_FILES`.
      model: the identity of the model: its name and digest, see
        `model_source.identity`.
      settings: further settings by which predictions differ, {name of a flag: value}.
      fps: number of images a second of folders of images; None for 25.
      overwrite: whether to replace a prediction of other settings, which is otherwise
        an error.
      run: path of the run folder of the model; None if the model is no run.
      notes: sentences on the page of the library about the quality of the labels.
      warning: text of the warning at the top of that page; "" for none.
      curve: path of the picture of the learning curve on that page; "" for none.
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
        """Return the contents of a video's `prediction.json`, but the number of frames.

        They are the identities of video and model, and the settings: by them a later
        call sees whether a prediction is finished.

        Args:
          job: the video; its "bytes" and "digest" are None if it is gone.
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
        content = video_content(job.path)
        return {
            "video": os.path.basename(os.path.abspath(job.path)),
            "bytes": content.size,
            "digest": content.digest,
            **self.model,
            "settings": settings,
        }

    def is_finished(self, job: Job) -> bool:
        """Return whether the prediction of a video is whole and has these settings.

        Args:
          job: the video, and the folder of its prediction.

        Raises:
          InputError: the folder holds a prediction of other settings, which may not be
            overwritten, or other files, which would be removed.
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
        """Return whether a video is finished, without a check of what is in the way.

        Unlike `is_finished`, it raises no error because of other settings or other
        files.

        Args:
          job: the video, and the folder of its prediction.
        """
        return not self._difference(job) and self._has_results(_names_in(job.output))

    def _has_results(self, names: Set[str]) -> bool:
        """Return whether every kind of result is among the names in a folder."""
        return {RESULT_FILES[kind] for kind in self.kinds} <= names

    def _difference(self, job: Job) -> str | None:
        """Describe how the prediction of a job differs; None if it does not."""
        path = os.path.join(job.output, RECORD_FILE)
        try:
            record = load_json(path, _RECORD, "not a library prediction")
        except InputError as error:
            return str(error)
        return _difference_of_records(record, self.record(job))


def _names_in(folder: str) -> set[str]:
    """Return the names in a folder; none if there is no such folder."""
    return set(os.listdir(folder)) if os.path.lexists(folder) else set()


def _difference_of_records(
    record: Mapping[str, Any], wanted_record: Mapping[str, Any]
) -> str | None:
    """Describe how a record differs from the wanted one; None if it does not."""
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
