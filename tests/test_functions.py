"""The functions of an exported folder: those of its SavedModel to the bit."""

import numpy as np
import tensorflow as tf

from a2d_tf.video.predictor import Predictor


def test_a_video_is_answered_as_by_the_saved_model_to_the_bit(saved_model, predictor):
    model = tf.saved_model.load(str(saved_model))
    signatures = (model.signatures[name] for name in ("frame", "key_frame"))
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (3, 48, 72, 3), np.uint8)
    flow = rng.normal(0, 2, (3, 48, 72, 2)).astype(np.float32)
    answers = []
    for each in (predictor, Predictor(*signatures, predictor.facts)):
        frames = [each.frame(*pair) for pair in zip(rgb, flow)]
        answers.append(vars(each.key_frame(frames, (48, 72))))
    assert len(answers[0]["codes"])
    for name, value in answers[1].items():
        np.testing.assert_array_equal(answers[0][name], value, err_msg=name)


def test_the_weights_are_stored_once(saved_model):
    index = [path.relative_to(saved_model) for path in saved_model.rglob("*.index")]
    assert [str(path) for path in index] == ["variables/variables.index"]
