"""The SavedModel: signatures, agreement with the network, the client, serving."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from processes import ROOT

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.data.conversion.clips import clip_frames
from a2d_tf.model.inference import infer, infer_boxes
from a2d_tf.model.network import Network
from a2d_tf.ops import canvas, masks
from a2d_tf.serving import export_folder, exporter
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.serving.signatures import BOX_SIGNATURES
from a2d_tf.video.predictors import network_predictor
from a2d_tf.video.predictors.predictor import Predictor
from a2d_tf.video.reading import video_reader

pytestmark = pytest.mark.slow

INSTANCES = (
    "boxes",
    "actor",
    "action",
    "code",
    "score",
    "actor_scores",
    "action_scores",
    "masks",
)
NAMES = {*INSTANCES, "num_detections", "label_map"}
SIGNATURES = {"serving_default", "encoded", "stream", "frame", "key_frame", "boxes"}


@pytest.fixture(scope="module")
def model(saved_model):
    return tf.saved_model.load(str(saved_model))


def call(model, signature, **inputs):
    inputs = {name: tf.constant(x) for name, x in inputs.items()}
    return {
        name: x.numpy() for name, x in model.signatures[signature](**inputs).items()
    }


@pytest.fixture(scope="module")
def signature(model):
    return lambda rgb, flow: call(model, "serving_default", rgb=rgb, flow=flow)


def scene(batch, frames, height=61, width=83, seed=0):
    """Draw blocks of colour for a whole frame each, and flow of one vector a frame."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(
        0, 256, (batch, frames, -(-height // 8), -(-width // 8), 3), np.uint8
    )
    rgb = blocks.repeat(8, axis=2).repeat(8, axis=3)[:, :, :height, :width]
    return rgb, rng.normal(0, 3, (batch, frames, 1, 1, 2)).astype(np.float32)


def whole(flow, rgb):
    return np.ascontiguousarray(np.broadcast_to(flow, (*rgb.shape[:-1], 2)))


def clip(*shape, **options):
    """A `scene` whose flow is of every pixel."""
    rgb, flow = scene(*shape, **options)
    return rgb, whole(flow, rgb)


def specs(tensors):
    """{name: (type, shape)} of one side of a signature."""
    return {name: (spec.dtype.name, list(spec.shape)) for name, spec in tensors.items()}


def inputs(function):
    return function.structured_input_signature[1]


def outputs(model, signature):
    return model.signatures[signature].structured_outputs


def shapes(tensors):
    return {name: list(spec.shape) for name, spec in tensors.items()}


def test_a_clip_is_answered_by_serving_default(model):
    assert set(model.signatures) == SIGNATURES
    assert specs(inputs(model.signatures["serving_default"])) == {
        "rgb": ("uint8", [None, None, None, None, 3]),
        "flow": ("float32", [None, None, None, None, 2]),
    }
    assert specs(outputs(model, "serving_default")) == {
        "num_detections": ("int32", [None]),
        "boxes": ("float32", [None, 8, 4]),
        "score": ("float32", [None, 8]),
        "actor": ("int32", [None, 8]),
        "action": ("int32", [None, 8]),
        "code": ("int32", [None, 8]),
        "actor_scores": ("float32", [None, 8, 7]),
        "action_scores": ("float32", [None, 8, 9]),
        "masks": ("float32", [None, 8, 28, 28]),
        "label_map": ("uint8", [None, None, None]),
    }


def test_a_frame_gives_features_of_each_level(model):
    assert specs(inputs(model.signatures["frame"])) == {
        "rgb": ("uint8", [None, None, None, 3]),
        "flow": ("float32", [None, None, None, 2]),
    }
    expected = {"inside": [None, 2]}
    for level, side in enumerate([(16, 24), (8, 12), (4, 6), (2, 3)], 2):
        for name in ("actor", "flow"):
            expected[f"{name}_p{level}"] = [None, *side, 16]
    assert shapes(outputs(model, "frame")) == expected


def test_a_key_frame_takes_what_the_frames_of_its_clip_gave(model):
    taken = inputs(model.signatures["key_frame"])
    assert taken.pop("size").shape == [2]
    of_frames = {}
    for name, shape in shapes(outputs(model, "frame")).items():
        of_frames[name] = [None, 3, *shape[1:]]
    assert shapes(taken) == of_frames
    assert outputs(model, "key_frame") == outputs(model, "serving_default")


def test_a_stream_takes_the_states_that_it_gave(model):
    taken = inputs(model.signatures["stream"])
    made = outputs(model, "stream")
    states = [name for name in taken if name.startswith("state_")]
    assert len(states) == 10
    assert all(taken[name].shape == made[name].shape for name in states)
    assert set(made) == NAMES | {"number", *states}


def test_encoded_images_are_bytes(model):
    taken = specs(inputs(model.signatures["encoded"]))
    assert taken["images"] == ("string", [None, None])


def test_export_agrees_with_the_network_in_pixels_of_the_input(signature, loaded_run):
    height, width = 90, 200
    rgb, flow = clip(2, 3, height, width)
    small, vectors, size = canvas.place(
        rgb.reshape(6, height, width, 3), flow.reshape(6, height, width, 2), (64, 96)
    )
    frames = {
        "rgb": tf.reshape(small, [2, 3, 64, 96, 3]),
        "flow": tf.reshape(vectors, [2, 3, 64, 96, 2]),
        "size": tf.constant([[43, 96]] * 2),
    }
    found = infer(loaded_run.network, frames, loaded_run.config.inference).detections
    expected = {**found._asdict(), **found.head_results, "num_detections": found.number}
    assert size.numpy().tolist() == [43, 96]
    outputs = signature(rgb, flow)
    assert outputs["num_detections"].min() > 0
    for name in NAMES - {"boxes", "label_map"}:
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-4, atol=1e-4)
    scale = np.array([90 / 43, 200 / 96, 90 / 43, 200 / 96])
    np.testing.assert_allclose(
        outputs["boxes"], expected["boxes"] * scale, rtol=1e-4, atol=1e-3
    )


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


def test_label_map_is_the_instances_painted_and_unused_rows_are_zero(signature):
    height, width = 100, 150
    outputs = signature(*clip(1, 3, height, width, seed=3))
    used = np.arange(8) < outputs["num_detections"][:, None]
    assert (outputs["code"] == 10 * outputs["actor"] + outputs["action"]).all()
    assert (outputs["code"][used] > 10).all()
    for name in NAMES - {"masks", "label_map", "num_detections"}:
        assert not outputs[name][~used].any(), name
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
    for pair, message in (
        ((rgb[:, :2], flow[:, :2]), "at least 3 frames"),
        ((rgb, flow[:, :, :20]), "must agree"),
        ((rgb, flow * np.nan), "flow must be finite"),
        ((rgb[:, :, :0], flow[:, :, :0]), "at least one pixel"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            signature(*pair)


def test_facts_beside_the_graph_and_weights_that_are_stored_once(saved_model):
    facts = json.loads((saved_model / "a2d_tf.json").read_text())
    assert facts["labels"]["actors"][6] == "dog" and facts["base"] == 10
    assert len(facts["labels"]["codes"]) == 43
    expected = dict(
        flow_method="dis", image_height=64, image_width=96, clip_stride=1, frames=3
    )
    expected |= dict(use_flow=True, canvas=[64, 96], score_threshold=0.3)
    expected |= dict(precision="float32", checkpoint="ckpt-7")
    assert {name: facts[name] for name in expected} == expected
    assert set(facts["inputs"]) == {"rgb", "flow"} and set(facts["outputs"]) == NAMES
    assert set(facts["signatures"]) == SIGNATURES
    index = [path.relative_to(saved_model) for path in saved_model.rglob("*.index")]
    assert [str(path) for path in index] == ["variables/variables.index"]


class Served(tf.Module):
    """Like a ServedNetwork, quickly saved: two functions over a weight."""

    def __init__(self):
        super().__init__()
        self.weights = [tf.Variable(2.0)]
        self.frame = tf.function(
            lambda rgb: {"out": rgb * self.weights[0]}, [tf.TensorSpec([])]
        )
        self.key_frame = self.frame

    def signatures(self, names=None):
        return {
            name: self.frame.get_concrete_function() for name in ("frame", "key_frame")
        }


def test_export_replaces_its_own_folder_only(
    loaded_run, saved_model, tmp_path, monkeypatch
):
    monkeypatch.setattr(exporter, "ServedNetwork", lambda *_: Served())
    output = tmp_path / "model"
    output.mkdir()
    (output / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="--output"):
        exporter.export(loaded_run, str(output))
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "thesis.txt"]
    (output / "thesis.txt").unlink()
    shutil.copytree(saved_model, output, dirs_exist_ok=True)
    exporter.export(loaded_run, str(output))
    assert set(os.listdir(output)) == set(os.listdir(saved_model))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_one_frame_without_flow_or_masks_and_codes_beyond_a_byte(eagerly):
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
        with pytest.raises(InputError, match=f"{folder}/a2d_tf.json: .*a2d export"):
            Predictor.load(str(folder))
    facts = json.loads((saved_model / "a2d_tf.json").read_text())
    (tmp_path / "a2d_tf.json").write_text(json.dumps(facts))
    for damaged in (False, True):
        if damaged:
            (tmp_path / "saved_model.pb").write_bytes(b"damaged")
        with pytest.raises(
            InputError, match=f"{tmp_path}: corrupt .* export the run again"
        ):
            Predictor.load(str(tmp_path))
    for name in ("saved_model.pb", "variables/variables.index"):
        copy = shutil.copytree(saved_model, tmp_path / f"copy of {name}")
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{copy}: corrupt .{name} "):
            Predictor.load(str(copy))


def assert_equal(made, expected, **tolerance):
    assert set(made) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(made[name], value, err_msg=name, **tolerance)


def png(frames):
    return [cv2.imencode(".png", x[..., ::-1])[1].tobytes() for x in frames]


def test_encoded_images_are_answered_as_their_pixels(model):
    rgb, flow = scene(2, 3)
    expected = call(model, "serving_default", rgb=rgb, flow=whole(flow, rgb))
    assert expected["num_detections"].min() > 0
    for vectors in (flow, whole(flow, rgb)):
        made = call(model, "encoded", images=[png(clip) for clip in rgb], flow=vectors)
        assert_equal(made, expected, rtol=0, atol=0)
    # Without flow only the actions are others.
    still = call(model, "encoded", images=[png(clip) for clip in rgb], flow=0 * flow)
    assert np.abs(expected["action_scores"] - still["action_scores"]).max() > 1e-3
    for name in ("actor", "actor_scores", "boxes", "masks", "num_detections"):
        np.testing.assert_allclose(still[name], expected[name], atol=1e-5, err_msg=name)
    images = [[cv2.imencode(".jpg", x[..., ::-1])[1] for x in clip] for clip in rgb]
    pixels = np.stack(
        [[cv2.imdecode(x, 1)[..., ::-1] for x in clip] for clip in images]
    )
    assert (pixels != rgb).any()
    expected = call(model, "serving_default", rgb=pixels, flow=whole(flow, rgb))
    images = [[x.tobytes() for x in clip] for clip in images]
    assert_equal(
        call(model, "encoded", images=images, flow=flow), expected, rtol=0, atol=0
    )


def test_only_the_middle_of_a_long_clip_is_decoded(model):
    rgb, flow = scene(1, 7)
    images = png(rgb[0])
    expected = call(model, "serving_default", rgb=rgb, flow=whole(flow, rgb))
    damaged = [b"", b"", *images[2:5], b"", b""]
    assert_equal(
        call(model, "encoded", images=[damaged], flow=flow), expected, rtol=0, atol=0
    )
    for bad in (b"none", b"\xff\xd8\xff"):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="[Uu]nknown image|JPEG"
        ):
            call(model, "encoded", images=[[*images[:3], bad, *images[4:]]], flow=flow)
    for clip, vectors, message in (
        (images[:2], flow[:, :2], "at least 3 frames"),
        (images, flow[:, :5], "first two axes"),
        (images, whole(flow, rgb)[:, :, :20], "must agree"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            call(model, "encoded", images=[clip], flow=vectors)


def test_given_boxes_are_labelled_as_by_the_network(model, saved_model, loaded_run):
    rgb, flow = clip(1, 3, 64, 96)
    features = call(model, "frame", rgb=rgb[0], flow=flow[0])
    frames = {name: values[None] for name, values in features.items()}
    boxes = np.float32([[[8, 10, 60, 100], [40, 20, 110, 170], [0, 0, 0, 0]]])
    size = np.int32([128, 192])  # twice the canvas
    found = call(
        model, "boxes", **frames, size=size, boxes=boxes, num_boxes=np.int32([2])
    )
    network = loaded_run.network
    pair = {"rgb": tf.constant(rgb), "flow": tf.constant(flow)}
    given = infer_boxes(
        network,
        network.extract_features(pair),
        tf.constant(boxes / 2),
        tf.constant([2]),
        tf.constant([[64, 96]]),
    ).detections
    np.testing.assert_array_equal(found["code"], given.code)
    np.testing.assert_array_equal(found["boxes"], boxes)
    assert found["code"].all(axis=0).tolist() == [True, True, False]
    for name in ("score", "actor_scores", "action_scores"):
        np.testing.assert_allclose(found[name], getattr(given, name), atol=1e-4)
    np.testing.assert_allclose(found["masks"], given.head_results["masks"], atol=1e-3)
    assert found["label_map"].shape == (1, 128, 192) and found["label_map"].any()

    loaded = export_folder.load(str(saved_model), BOX_SIGNATURES)
    inputs = {name: tf.constant(values) for name, values in frames.items()}
    again = loaded.answer(**inputs, size=size, boxes=boxes, num_boxes=np.int32([2]))
    np.testing.assert_array_equal(again["code"], found["code"])


def test_an_export_without_boxes_says_so(saved_model, tmp_path):
    copy = shutil.copytree(saved_model, tmp_path / "older")
    facts = json.loads((copy / "a2d_tf.json").read_text())
    del facts["signatures"]["boxes"]
    (copy / "a2d_tf.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match="cannot label given boxes; export the run"):
        export_folder.load(str(copy), BOX_SIGNATURES)
    assert export_folder.load(str(copy)).block is None


def test_functions_answer_a_video_as_the_saved_model_to_the_bit(saved_model, predictor):
    model = tf.saved_model.load(str(saved_model))
    signatures = (model.signatures[name] for name in ("frame", "key_frame"))
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (3, 48, 72, 3), np.uint8)
    flow = rng.normal(0, 2, (3, 48, 72, 2)).astype(np.float32)
    answers = []
    for each in (predictor, Predictor(*signatures, predictor.info)):
        frames = [each.features(*pair) for pair in zip(rgb, flow)]
        answers.append(vars(each.instances(frames, (48, 72))))
    assert len(answers[0]["codes"])
    for name, value in answers[1].items():
        np.testing.assert_array_equal(answers[0][name], value, err_msg=name)


def beginning(stream, batch):
    """The state before a video: zeros."""
    specs = tf.nest.flatten(stream.structured_input_signature)
    return {
        spec.name: tf.zeros([batch, *spec.shape[1:]], spec.dtype)
        for spec in specs
        if spec.name.startswith("state_")
    }


def by_stream(served, rgb, flow, size, lag):
    """The answers of `stream` on one video, rgb [T, H, W, 3], without the number."""
    state, answers = beginning(served.stream.get_concrete_function(), 1), []
    for i in range(len(rgb) + lag):
        pair = (rgb[i], flow[i]) if i < len(rgb) else (rgb[-1], 0 * flow[-1])
        made = dict(served.stream(*(x[None] for x in pair), size, state))
        state = {name: made.pop(name) for name in state}
        assert made.pop("number").numpy() == [i + 1 - lag]
        if i >= lag:
            answers.append({name: x.numpy() for name, x in made.items()})
        else:
            assert not any(x.numpy().any() for x in made.values())
    return answers


def by_answers(served, rgb, flow, size, length, stride):
    """Answer by `frame` and `key_frame`, from each frame's clip as in records."""
    features = [served.frame(*(x[None] for x in pair)) for pair in zip(rgb, flow)]
    still = [served.frame(x[None], 0 * flow[0][None]) for x in rgb]
    for key in range(1, len(rgb) + 1):
        frames = []
        for frame in clip_frames(key, length, stride, len(rgb)):
            with_flow_or_without = still if frame.is_clamped else features
            frames.append(with_flow_or_without[frame.number - 1])
        stacked = {
            name: tf.stack([f[name] for f in frames], axis=1) for name in frames[0]
        }
        yield {name: x.numpy() for name, x in served.key_frame(stacked, size).items()}


def test_a_stream_has_the_answers_of_the_clips(stride=2, count=4):
    refiner = dict(
        use_mask=False, use_refiner=True, refiner_size=32, refiner_channels=8
    )
    network = tiny_network.make(anchor_sizes="24,32,48,56,64", **refiner)
    for weight in network.roi_heads.weights:
        if "action_logits" in weight.name or "actor_logits" in weight.name:
            weight.assign(10.0 * weight)
    served = ServedNetwork(network, tiny_network.INFERENCE, stride)
    rgb, flow = (x[0] for x in scene(1, count))
    flow[0] = 0
    flow, size = whole(flow, rgb), tf.constant([122, 166])
    made = by_stream(served, rgb, flow, size, stride)
    expected = list(by_answers(served, rgb, flow, size, 3, stride))
    assert len(made) == len(expected) == count
    assert sum(answer["num_detections"][0] for answer in made) > 0
    for pair in zip(made, expected):
        assert_equal(*pair, rtol=1e-6, atol=1e-5)


def test_videos_of_a_batch_may_begin_at_different_times(model):
    (rgb, flow), size = scene(2, 5), [61, 83]
    flow = whole(flow, rgb)
    stream = model.signatures["stream"]
    both, alone = beginning(stream, 2), beginning(stream, 1)
    for i in range(5):
        if i == 2:  # a new video in the second row
            both = {k: tf.concat([x[:1], 0 * x[1:]], axis=0) for k, x in both.items()}
        made = call(model, "stream", rgb=rgb[:, i], flow=flow[:, i], size=size, **both)
        both = {name: made.pop(name) for name in both}
        assert made["number"].tolist() == [i, i if i < 2 else i - 2]
        if i >= 2:
            one = call(
                model, "stream", rgb=rgb[1:, i], flow=flow[1:, i], size=size, **alone
            )
            alone = {name: one.pop(name) for name in alone}
            assert_equal({k: x[1:] for k, x in made.items()}, one, rtol=1e-5, atol=1e-4)
    assert made["num_detections"].min() > 0


ALONE = """
import runpy, sys
import numpy as np
program, *sys.argv = sys.argv[1:2] + sys.argv[1:]
np.set_printoptions(floatmode="unique")
runpy.run_path(program, run_name="__main__")
assert not any(name.split(".")[0] == "a2d_tf" for name in sys.modules)
"""


def test_the_client_says_what_predict_says(
    saved_model, predictor, mini_records, tmp_path
):
    """Of every instance, by its own program, without this package."""
    path = ROOT / "tools" / "client.py"
    clips = pathlib.Path(mini_records.directory).parent / "Release" / "clips320H"
    shown = str(min(clips.iterdir()))
    words = [sys.executable, "-I", "-c", ALONE, str(path), str(saved_model), shown]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "PredictCost" not in done.stderr, done.stderr
    row = r"(\d+): ([\w ]+) ([01]\.\d{4}) y1 x1 y2 x2 \[(.*?)\]"
    said = re.findall(row, done.stdout, re.DOTALL)
    expected = []
    for number, (_, found) in enumerate(
        network_predictor.find_instances(
            predictor, video_reader.open_video(shown).frames()
        ),
        1,
    ):
        for row in zip(found.codes, found.scores, found.boxes):
            expected.append((number, *row))
    assert len(said) == len(expected) > 5
    for (mine, label, own, corners), (number, code, score, box) in zip(said, expected):
        assert (int(mine), label) == (
            number,
            predictor.labels.name(code).replace("-", " "),
        )
        assert float(own) == pytest.approx(score, abs=2e-4)
        np.testing.assert_allclose(
            np.array(corners.split(), float), box, rtol=1e-5, atol=1e-4
        )
    words[3] = "import sys; sys.modules['cv2'] = None\n" + ALONE
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].endswith("pip install opencv-python-headless")
