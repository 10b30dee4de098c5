"""What a user can do after a round that trained a network."""

from __future__ import annotations

from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.core.errors import join_names
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.runs.scores import TEST
from a2d_tf.training.suggestion.suggestion_file import Suggestion


def lines(
    request: RoundRequest, manifest: Manifest, suggestion: Suggestion
) -> list[str]:
    """Return a line for each next step, with the remarks on the records among them."""
    folder = request.folder
    steps = []
    if TEST in manifest.splits:
        page = folder.scores / "browse.html"
        steps.append(f"to see the frames that were held out for these scores: {page}")
        if not request.before:
            names = join_names(sorted(manifest.videos(TEST)), 3)
            steps.append(
                f"to hold out other videos than {names}: another --output, --"
                " --test_videos=NAMES"
            )
    steps += suggestion.remarks
    steps.append(
        "to choose predicted frames to correct: a2d next"
        f" --prediction={folder.videos} --records={folder.records}"
        f" --output={folder.path / 'next'}"
    )
    steps.append(
        "to train on them, too: a2d start with their exports added to the earlier"
        f" ones, another --output and --after={folder.path}"
    )
    steps.append(
        f"to predict a later video: a2d predict --saved_model={folder.model}"
        f" --video=FILE --output=FOLDER {suggestion.predict_flag()}"
    )
    steps.append(
        "to choose frames of it to correct: a2d next --prediction=FOLDER"
        f" --records={folder.records} --output=FOLDER_next"
    )
    return steps
