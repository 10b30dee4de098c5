"""AdamW and SGDW of tensorflow-addons, or their equals where it cannot be installed.

tensorflow-addons ends at TensorFlow 2.15 and Python 3.11.
"""

from __future__ import annotations

import warnings

try:
    # Hides its warning that it is no longer developed.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorflow_addons.optimizers import SGDW, AdamW
except ImportError:
    from a2d_tf.training.step.decoupled_decay import SGDW, AdamW

__all__ = ["SGDW", "AdamW"]
