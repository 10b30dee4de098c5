"""`held_out.json` of a run or of a packed model: scores in videos held out."""

from __future__ import annotations

import os

from a2d_tf.core.checked_json import load_json
from a2d_tf.core.files import file_digest, write_json
from a2d_tf.runs import run_folder
from a2d_tf.runs.held_out_scores import KIND, HeldOutScores

FILE = "held_out.json"
"""Its field `weights` is the digest of the weights that were scored."""
_REMEDY = "delete it; a2d start with the same flags writes it again"


def read(run: str | os.PathLike) -> HeldOutScores | None:
    """Read the scores of a run or of a packed model.

    Returns:
      None if its newest weights were not scored.

    Raises:
      InputError: a damaged file.
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
    """Write the scores of the newest weights of a run."""
    fields = {"weights": _newest_weights(run), **scores.to_json()}
    write_json(os.path.join(run, FILE), fields)


def _newest_weights(run: str | os.PathLike) -> str | None:
    """Return the digest of the newest weights' index; None without weights."""
    folder = run_folder.checkpoint_folder(os.fspath(run))
    steps = run_folder.checkpoint_steps(folder)
    if not steps:
        return None
    return file_digest(os.path.join(folder, f"ckpt-{max(steps)}.index"))
