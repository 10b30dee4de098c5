"""The registry of backbones, weight conventions, and the flags that name them."""

import numpy as np
import pytest
import tiny_network

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.model import backbones
from a2d_tf.model.backbones import CONVENTIONS


@pytest.mark.parametrize(
    "name, expected",
    [
        ("own", [10 - 123.7, 20 - 116.8, 30 - 103.9]),
        ("matterport", [10 - 123.7, 20 - 116.8, 30 - 103.9]),
        ("keras_resnet101", [30 - 103.939, 20 - 116.779, 10 - 123.68]),
        ("efficientnet_lite0", [(10 - 127) / 128, (20 - 127) / 128, (30 - 127) / 128]),
    ],
)
def test_preprocessing_of_red_green_blue(name, expected):
    made = CONVENTIONS[name].preprocess(
        np.array([[10.0, 20, 30], [10.0, 20, 30], [30.0, 20, 10]])
    )
    np.testing.assert_allclose(made[:2], [expected] * 2, rtol=1e-6)
    assert not np.allclose(made[2], expected)


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match="--backbone=resnet99.*resnet101"):
        tiny_network.make(backbone="resnet99")
    with pytest.raises(InputError, match="--flow_convention=caffe.*own"):
        tiny_network.make(flow_convention="caffe")


def test_flags_speak_for_our_own_convention_only():
    options = dict(stride_in_1x1=False, pixel_scale=0.25, roi_align="legacy")
    own = backbones.convention(ModelConfig(**options), "rgb")
    assert (own.stride_in_1x1, own.std, own.roi_align) == (False, (4, 4, 4), "legacy")
    model = ModelConfig(
        rgb_convention="keras_resnet101",
        flow_convention="efficientnet_lite0",
        **options,
    )
    assert backbones.convention(model, "rgb") == CONVENTIONS["keras_resnet101"]
    assert backbones.convention(model, "flow") == CONVENTIONS["efficientnet_lite0"]
