"""The settings of a round's training, suggested for its records on this machine."""

from __future__ import annotations

import pathlib

from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.commands.rounds.trained.stage_runner import StageRunner
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.runs import training_length
from a2d_tf.training.suggestion.suggestion_file import Suggestion, json_path


def suggest(
    request: RoundRequest, stages: StageRunner, manifest: Manifest
) -> Suggestion:
    """Return the suggestion for these records; run `a2d suggest-config` if it is old.

    A suggestion with too few steps is made again, since the machine may be less busy.
    """
    flagfile = request.folder.flagfile
    path = pathlib.Path(json_path(flagfile))
    after = str(request.before.run) if request.before else None
    if flagfile.exists() and path.exists():
        earlier = Suggestion.read(path)
        is_long = earlier.steps >= training_length.LEAST_STEPS
        if is_long or request.accepts_few_steps:
            if earlier.is_for(manifest.source, request.minutes, after):
                return earlier
    flags = [
        f"--records={request.folder.records}",
        f"--minutes={request.minutes:g}",
        f"--output={flagfile}",
    ]
    if after:
        flags.append(f"--after={after}")
    stages.run("settings", "suggest-config", *flags)
    return Suggestion.read(path)
