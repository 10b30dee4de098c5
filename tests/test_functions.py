"""The functions of an exported folder: those of its SavedModel to the bit, or not used at all."""

import numpy as np
import tensorflow as tf

from a2d_tf.serving import exported
from a2d_tf.video.predictor import Predictor

PIXELS = tf.TensorSpec([None, 3], name="rgb")


class Served(tf.Module):
    """Like a ServedNetwork: two functions of one signature each, over weights, with a loop."""

    def __init__(self, power=3, factor=2.0):
        super().__init__()
        self.weights = [tf.Variable(1.0), tf.Variable(factor)]
        self.power, self.captured = power, tf.constant(0.5)
        self.frame = tf.function(self._frame, [PIXELS, tf.TensorSpec([], name="flow")])
        size = tf.TensorSpec([], name="a")
        self.key_frame = tf.function(
            self._key_frame, [{"b": tf.TensorSpec([None, 3], name="b")}, size]
        )

    def signatures(self):
        functions = {"frame": self.frame, "key_frame": self.key_frame}
        return {name: function.get_concrete_function() for name, function in functions.items()}

    def _frame(self, rgb, flow):
        for _ in tf.range(self.power):
            rgb = rgb * self.weights[1]
        return {"sum": rgb + flow, "half": rgb * self.captured}

    def _key_frame(self, frames, size):
        return {"quotient": frames["b"] / size}


def write(folder, *arguments):
    """Save a network and its functions in a folder; returns its path."""
    served = Served(*arguments)
    tf.saved_model.save(served, str(folder), signatures=served.signatures())
    exported.write_functions(str(folder), served)
    return str(folder)


def test_functions_of_several_exports_do_not_mix(tmp_path):
    rgb, flow = tf.ones([1, 3]), tf.constant(0.0)
    loaded = []
    for power in (2, 5):
        folder = tmp_path / str(power)
        tf.keras.backend.clear_session()
        loaded.append(exported.load_functions(write(folder, power)))
    sums = [float(each["frame"](rgb=rgb, flow=flow)["sum"][0, 0]) for each in loaded]
    assert sums == [4.0, 32.0]


def test_what_another_tensorflow_wrote_is_not_used(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr(tf, "__version__", "2.99.0")
    assert exported.load_functions(str(tmp_path)) is None


def test_a_video_is_answered_as_by_the_saved_model_to_the_bit(saved_model, predictor, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(exported, "load_functions", lambda *_: None)
        slow = Predictor.load(saved_model)
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (3, 48, 72, 3), np.uint8)
    flow = rng.normal(0, 2, (3, 48, 72, 2)).astype(np.float32)
    answers = []
    for each in (predictor, slow):
        frames = [each.frame(*pair) for pair in zip(rgb, flow)]
        answers.append(vars(each.key_frame(frames, (48, 72))))
    assert len(answers[0]["codes"])
    for name, value in answers[1].items():
        np.testing.assert_array_equal(answers[0][name], value, err_msg=name)
