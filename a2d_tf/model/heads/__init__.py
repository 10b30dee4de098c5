"""The heads: each owns its layers, labels, loss terms and decoding (paper, 3.1 to 3.3).

`proposals` makes the RoIs. `actor` and `action` run on every RoI, inside of one model,
`Network.roi_heads`. An `InstanceHead`, such as `mask`, has a model of its own and runs
on few rows: the positives in training, the instances of a frame at inference. This is
their registry.
"""

from __future__ import annotations

from a2d_tf.model.heads.action import ActionHead
from a2d_tf.model.heads.actor import ActorHead
from a2d_tf.model.heads.base import InstanceHead
from a2d_tf.model.heads.mask import BoxMasks, MaskHead
from a2d_tf.model.heads.proposals import Proposals
from a2d_tf.model.heads.refiner import Refiner

INSTANCE_HEADS: tuple[type[InstanceHead], ...] = (
    MaskHead,
    Refiner,
    BoxMasks,
)
"""In the order in which they are built: a new one comes last, so that the initial
weights of those before it stay. Of those that are on and have the same result, the
first is used.
"""


def _loss_terms() -> tuple[str, ...]:
    """Return the names of the loss terms of all heads, each once."""
    names = [*Proposals.loss_terms, *ActorHead.loss_terms, *ActionHead.loss_terms]
    for head in INSTANCE_HEADS:
        names += head.loss_terms
    return tuple(dict.fromkeys(names))


LOSS_TERMS = _loss_terms()
"""Names of the loss terms in the order of their lambdas; the paper has five (Eq. 1)."""
