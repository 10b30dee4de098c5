"""Flavours: preprocessing by literals, coders, what flags and files may say."""

import dataclasses
import math

import numpy as np
import pytest

from a2d_tf.core import config
from a2d_tf.core.config import ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.model import flavours
from a2d_tf.model.flavours import FLAVOURS


def test_the_flags_offer_every_flavour():
    assert config.FLAVOURS == list(FLAVOURS)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("own", [10 - 123.7, 20 - 116.8, 30 - 103.9]),
        ("matterport", [10 - 123.7, 20 - 116.8, 30 - 103.9]),
        ("keras", [30 - 103.939, 20 - 116.779, 10 - 123.68]),
        ("detectron2", [30 - 103.53, 20 - 116.28, 10 - 123.675]),
        # (x / 255 - mean) / std with ImageNet's usual .485, .456, .406 and .229, .224, .225
        (
            "torchvision",
            [(10 / 255 - 0.485) / 0.229, (20 / 255 - 0.456) / 0.224, (30 / 255 - 0.406) / 0.225],
        ),
    ],
)
def test_preprocessing_of_red_green_blue(name, expected):
    made = FLAVOURS[name].preprocess(np.array([[10.0, 20, 30], [10.0, 20, 30], [30.0, 20, 10]]))
    np.testing.assert_allclose(made[:2], [expected] * 2, rtol=1e-6)
    assert not np.allclose(made[2], expected)


def test_coders():
    matterport, torch = FLAVOURS["matterport"], FLAVOURS["detectron2"]
    assert matterport.rpn_coder.weights == matterport.head_coder.weights == (10, 10, 5, 5)
    assert matterport.rpn_coder.inclusive and matterport.rpn_coder.max_log_scale == math.inf
    assert torch.rpn_coder.weights == (1, 1, 1, 1) and not torch.head_coder.inclusive
    assert torch.head_coder.max_log_scale == pytest.approx(math.log(62.5))


def test_the_proposals_loss_turns_linear_at_about_the_same_error_in_every_flavour():
    betas = {name: flavour.rpn_beta for name, flavour in FLAVOURS.items()}
    assert betas.pop("matterport") == 1
    assert set(betas.values()) == {1 / 9}
    for flavour in FLAVOURS.values():  # in anchors' sizes
        assert 0.1 <= flavour.rpn_beta / flavour.rpn_weights[0] < 0.112


def test_flags_speak_for_our_own_flavour_only():
    options = dict(stride_in_1x1=False, pixel_scale=0.25, roi_align="legacy")
    own = flavours.for_stream(ModelConfig(**options), "rgb")
    assert (own.stride_in_1x1, own.std, own.roi_align) == (False, (4, 4, 4), "legacy")
    assert (
        flavours.for_stream(ModelConfig(rgb_flavour="keras", **options), "rgb") == FLAVOURS["keras"]
    )
    flow = flavours.for_stream(ModelConfig(rgb_flavour="keras", flow_flavour="torchvision"), "flow")
    assert flow == FLAVOURS["torchvision"]


def test_a_files_fields_must_be_those_of_its_flavour():
    fields = dataclasses.asdict(FLAVOURS["keras"])
    flavours.check("keras", fields, "f.h5")
    with pytest.raises(InputError, match="f.h5: 'epsilon' is 1e-05, but keras weights have 1.001e"):
        flavours.check("keras", {**fields, "epsilon": 1e-5}, "f.h5")
    with pytest.raises(InputError, match="unknown flavour 'caffe'"):
        flavours.check("caffe", fields, "f.h5")
