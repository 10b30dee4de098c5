"""The SavedModel: its signature, its agreement with the network, and that it needs no a2d_tf."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tiny_network

from a2d_tf.core.config import InferenceConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.model.network import Network
from a2d_tf.ops import canvas, masks
from a2d_tf.serving import export_folder
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.video.predictor import Predictor

pytestmark = pytest.mark.slow

INSTANCES = ("boxes", "actor", "action", "code", "score", "actor_scores", "action_scores", "masks")
NAMES = {*INSTANCES, "num_detections", "label_map"}


def clip(batch, frames, height, width, seed=0):
    """Blocks of colour that differ between frames, and smooth flow."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (batch, frames, -(-height // 8), -(-width // 8), 3), np.uint8)
    rgb = blocks.repeat(8, axis=2).repeat(8, axis=3)[:, :, :height, :width]
    flow = np.broadcast_to(
        rng.normal(0, 3, (batch, frames, 1, 1, 2)), (batch, frames, height, width, 2)
    )
    return rgb, flow.astype(np.float32)


@pytest.fixture(scope="module")
def signature(saved_model):
    loaded = tf.saved_model.load(str(saved_model))

    def call(rgb, flow):
        outputs = loaded.signatures["serving_default"](rgb=tf.constant(rgb), flow=tf.constant(flow))
        return {name: value.numpy() for name, value in outputs.items()}

    return call


def specs(tensors):
    """{name: (type, shape)} of one side of a signature."""
    return {name: (spec.dtype.name, list(spec.shape)) for name, spec in tensors.items()}


def test_signature_has_the_names_types_and_shapes_of_the_contract(saved_model):
    function = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    assert specs(_inputs(function)) == {
        "rgb": ("uint8", [None, None, None, None, 3]),
        "flow": ("float32", [None, None, None, None, 2]),
    }
    assert specs(function.structured_outputs) == {
        "boxes": ("float32", [None, 8, 4]),
        "actor": ("int32", [None, 8]),
        "action": ("int32", [None, 8]),
        "code": ("int32", [None, 8]),
        "score": ("float32", [None, 8]),
        "actor_scores": ("float32", [None, 8, 7]),
        "action_scores": ("float32", [None, 8, 9]),
        "masks": ("float32", [None, 8, 28, 28]),
        "num_detections": ("int32", [None]),
        "label_map": ("uint8", [None, None, None]),
    }


SIGNATURES = {"serving_default", "encoded", "stream", "frame", "key_frame"}


def test_signatures_for_streaming_pass_on_what_a_frame_gave(saved_model):
    model = tf.saved_model.load(str(saved_model)).signatures
    assert set(model) == SIGNATURES
    given = {"rgb": ("uint8", [None, None, None, 3]), "flow": ("float32", [None, None, None, 2])}
    assert specs(_inputs(model["frame"])) == given
    made = model["frame"].structured_outputs
    sides = [(16, 24), (8, 12), (4, 6), (2, 3)]
    assert {name: list(spec.shape) for name, spec in made.items()} == {
        f"{name}_p{level}": [None, *side, 16]
        for name in ("actor", "flow")
        for level, side in enumerate(sides, 2)
    } | {"inside": [None, 2]}
    taken = _inputs(model["key_frame"])
    assert taken.pop("size").shape == [2]
    assert {name: list(spec.shape) for name, spec in taken.items()} == {
        name: [None, 3, *spec.shape[1:]] for name, spec in made.items()
    }
    assert model["key_frame"].structured_outputs == model["serving_default"].structured_outputs
    given, made = _inputs(model["stream"]), model["stream"].structured_outputs
    states = [name for name in given if name.startswith("state_")]
    assert len(states) == 10 and all(given[name].shape == made[name].shape for name in states)
    assert set(made) == NAMES | {"number", *states}
    assert specs(_inputs(model["encoded"]))["images"] == ("string", [None, None])


def _inputs(signature):
    return signature.structured_input_signature[1]


def test_the_weights_are_stored_once(saved_model, loaded_run):
    stored = (saved_model / "variables" / "variables.data-00000-of-00001").stat().st_size
    needed = sum(v.numpy().nbytes for v in loaded_run.network.variables)
    assert needed <= stored < 1.1 * needed + 10_000
    assert not (saved_model / "assets.extra").exists()


def test_export_agrees_with_the_network_in_pixels_of_the_input(signature, loaded_run):
    height, width = 90, 200
    rgb, flow = clip(2, 3, height, width)
    small, vectors, size = canvas.place(
        rgb.reshape(6, height, width, 3), flow.reshape(6, height, width, 2), (64, 96)
    )
    model = loaded_run.network.inference(loaded_run.config.inference)
    expected = model(
        {
            "rgb": tf.reshape(small, [2, 3, 64, 96, 3]),
            "flow": tf.reshape(vectors, [2, 3, 64, 96, 2]),
            "size": tf.constant([[43, 96]] * 2),
        }
    )["detections"]
    assert size.numpy().tolist() == [43, 96]
    outputs = signature(rgb, flow)
    assert outputs["num_detections"].min() > 0
    for name in NAMES - {"boxes", "label_map"}:
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-4, atol=1e-4)
    scale = np.array([90 / 43, 200 / 96, 90 / 43, 200 / 96])
    np.testing.assert_allclose(outputs["boxes"], expected["boxes"] * scale, rtol=1e-4, atol=1e-3)


def test_unused_rows_are_zero_and_digits_make_the_code(signature):
    outputs = signature(*clip(2, 3, 64, 96))
    used = np.arange(8) < outputs["num_detections"][:, None]
    assert (outputs["code"] == 10 * outputs["actor"] + outputs["action"]).all()
    assert (outputs["code"][used] > 10).all()
    for name in NAMES - {"masks", "label_map", "num_detections"}:
        assert not outputs[name][~used].any(), name


@pytest.mark.parametrize("frames", [4, 5])
def test_the_middle_frames_alone_decide_and_so_does_their_flow(signature, frames):
    rgb, flow = clip(1, frames, 70, 50)
    middle = slice(frames // 2 - 1, frames // 2 + 2)
    whole, short = signature(rgb, flow), signature(rgb[:, middle], flow[:, middle])
    for name in NAMES:
        np.testing.assert_array_equal(whole[name], short[name], err_msg=name)
    other = rgb.copy()
    other[:, frames // 2 - 1] = 255 - other[:, frames // 2 - 1]
    for changed in (signature(other, flow), signature(rgb, 0 * flow)):
        assert np.abs(changed["action_scores"] - whole["action_scores"]).max() > 1e-3


def test_label_map_is_the_instances_painted(signature):
    height, width = 100, 150
    outputs = signature(*clip(1, 3, height, width, seed=3))
    best, painted = np.zeros((height, width)), np.zeros((height, width), np.uint8)
    rows = zip(*(outputs[name][0] for name in ("boxes", "code", "score", "masks")))
    for box, code, score, mask in rows:
        pasted = masks.paste(mask[None], box[None], height, width).numpy()[0]
        better = (pasted >= 0.5) & (score > best)
        painted[better], best[better] = code, score
    assert len(np.unique(painted)) > 1
    np.testing.assert_array_equal(outputs["label_map"][0], painted)


def test_a_short_clip_and_foreign_flow_fail_clearly(signature):
    rgb, flow = clip(1, 3, 40, 60)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 3 frames"):
        signature(rgb[:, :2], flow[:, :2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must agree"):
        signature(rgb, flow[:, :, :20])
    with pytest.raises(tf.errors.InvalidArgumentError, match="flow must be finite"):
        signature(rgb, flow * np.nan)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one pixel"):
        signature(rgb[:, :, :0], flow[:, :, :0])


def test_facts_beside_the_graph(saved_model):
    facts = json.loads((saved_model / "a2d_tf.json").read_text())
    assert facts["labels"]["actors"][6] == "dog" and facts["base"] == 10
    assert len(facts["labels"]["codes"]) == 43
    expected = {
        "flow_method": "dis",
        "image_height": 64,
        "image_width": 96,
        "clip_stride": 1,
        "frames": 3,
        "use_flow": True,
        "canvas": [64, 96],
        "score_threshold": 0.3,
        "paint": "instance",
        "precision": "float32",
        "checkpoint": "ckpt-7",
    }
    assert {name: facts[name] for name in expected} == expected
    assert set(facts["inputs"]) == {"rgb", "flow"} and set(facts["outputs"]) == NAMES
    assert set(facts["signatures"]) == SIGNATURES


def test_export_replaces_its_own_folder_only(loaded_run, saved_model, tmp_path, monkeypatch):
    output = tmp_path / "model"
    output.mkdir()
    (output / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="--output"):
        export_folder.export(loaded_run, str(output))
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "thesis.txt"]
    (output / "thesis.txt").unlink()
    shutil.copytree(saved_model, output, dirs_exist_ok=True)
    (output / "older").touch()

    def full(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch, pytest.raises(InputError, match="disk full"):
        patch.setattr(export_folder, "write_json", full)
        export_folder.export(loaded_run, str(output))
    assert (output / "older").exists()
    export_folder.export(loaded_run, str(output))
    assert set(os.listdir(output)) == set(os.listdir(saved_model))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_one_frame_without_flow_or_masks_and_codes_beyond_a_byte():
    labels = LabelSpace(
        tuple(f"x{i}" for i in range(30)),
        tuple(f"y{i}" for i in range(12)),
        tuple(13 * x + y for x in range(1, 31) for y in range(1, 13)),
    )
    tf.keras.utils.set_random_seed(0)
    network = Network(
        tiny_network.config(use_flow=False, use_mask=False, temporal_layers=0), labels
    )
    (bias,) = (w for w in network.roi_heads.weights if w.name == "actor_logits/bias:0")
    bias.assign(10.0 * tf.one_hot(29, 31))
    settings = InferenceConfig(test_proposals=20, max_detections=4, score_threshold=0.5)
    rgb, flow = clip(1, 1, 48, 60)
    outputs = ServedNetwork(network, settings).serve(rgb, flow)
    codes, label_map = outputs["code"].numpy(), outputs["label_map"].numpy()
    assert label_map.dtype == np.uint16 and label_map.shape == (1, 48, 60)
    painted = set(np.unique(label_map)) - {0}
    assert painted and painted <= set(codes[0]) <= set(range(391, 403)) | {0}


def test_what_is_no_export_is_refused(saved_model, tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match=f"{folder}/a2d_tf.json: .*a2d_tf.export"):
            Predictor.from_saved_model(str(folder))
    (tmp_path / "a2d_tf.json").write_text((saved_model / "a2d_tf.json").read_text())
    for damaged in (False, True):
        if damaged:
            (tmp_path / "saved_model.pb").write_bytes(b"damaged")
        with pytest.raises(InputError, match=f"{tmp_path}: damaged .* export the run again"):
            Predictor.from_saved_model(str(tmp_path))
