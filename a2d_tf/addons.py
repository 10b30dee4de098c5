"""tensorflow-addons, without its notice at every import that it ends: the pin is deliberate."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow_addons as tfa

__all__ = ["tfa"]
