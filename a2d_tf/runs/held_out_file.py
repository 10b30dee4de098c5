"""The file `held_out.json` of a run or a packed model: its scores in held-out videos.

Held-out videos are annotated, but were not trained on.
"""

from __future__ import annotations

import os

from a2d_tf.core.checked_json import load_json
from a2d_tf.core.files import file_digest, write_json
from a2d_tf.runs import run_folder
from a2d_tf.runs.held_out_scores import KIND, HeldOutScores

FILE = "held_out.json"
"""The name of the file.

Beside the scores it has a field "weights", the digest of the weights that were scored.
"""
_REMEDY = "delete it; a2d start with the same flags writes it again"


def read(run: str | os.PathLike) -> HeldOutScores | None:
    """Read the scores of a model in held-out videos.

    Args:
      run: a run folder or a packed model.

    Returns:
      the scores; None if there is no file, or if it has the scores of older weights
      than the newest ones of the run.

    Raises:
      InputError: the file is damaged.
    """
    path = os.path.join(run, FILE)
    if not os.path.isfile(path):
        return None
    fields = load_json(path, {"weights": (str, None), **KIND}, _REMEDY)
    weights = _newest_weights(run)
    if weights is not None and fields["weights"] != weights:
        return None
    return HeldOutScores.from_json(fields)


def write(run: str | os.PathLike, scores: HeldOutScores) -> None:
    """Write `held_out.json`, with the digest of the newest weights.

    Args:
      run: a run folder or a packed model.
      scores: the scores of its newest weights in held-out videos.
    """
    fields = {"weights": _newest_weights(run), **scores.to_json()}
    write_json(os.path.join(run, FILE), fields)


def _newest_weights(run: str | os.PathLike) -> str | None:
    """Return the digest of the newest weights' index; None without weights."""
    folder = run_folder.checkpoint_folder(os.fspath(run))
    steps = run_folder.checkpoint_steps(folder)
    if not steps:
        return None
    return file_digest(os.path.join(folder, f"ckpt-{max(steps)}.index"))
