"""A deployed model beyond clips: encoded images, streams, the client, TensorFlow Serving."""

import functools
import importlib.util
import pathlib
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from processes import ROOT, run_main

from a2d_tf.core.config import InferenceConfig
from a2d_tf.core.errors import InputError
from a2d_tf.data import clips
from a2d_tf.serving import export_folder
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.video import streaming, video_files
from a2d_tf.video.predictor import Predictor

pytestmark = pytest.mark.slow

SETTINGS = InferenceConfig(
    test_proposals=30, proposals_before_nms=200, max_detections=8, score_threshold=0.2
)


@pytest.fixture(scope="module")
def versioned(tiny_run, tmp_path_factory):
    """`DIR` of a versioned export; the one version is 3."""
    output = tmp_path_factory.mktemp("versioned") / "model"
    done = run_main("export", f"--workdir={tiny_run}", f"--output={output}", "--version=3")
    assert done.returncode == 0, done.stderr
    assert f"-> {output}/3\n" in done.stdout and "encoded, stream, frame, key_frame" in done.stdout
    return output


@pytest.fixture(scope="module")
def model(versioned):
    return tf.saved_model.load(str(versioned / "3"))


def call(model, signature, **inputs):
    inputs = {name: tf.constant(x) for name, x in inputs.items()}
    return {name: x.numpy() for name, x in model.signatures[signature](**inputs).items()}


def assert_equal(made, expected, **tolerance):
    assert set(made) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(made[name], value, err_msg=name, **tolerance)


def scene(batch, frames, height=61, width=83, seed=0):
    """Blocks of colour, that last a whole frame, and flow that is one vector a frame."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (batch, frames, -(-height // 8), -(-width // 8), 3), np.uint8)
    rgb = blocks.repeat(8, axis=2).repeat(8, axis=3)[:, :, :height, :width]
    return rgb, rng.normal(0, 3, (batch, frames, 1, 1, 2)).astype(np.float32)


def whole(flow, rgb):
    return np.ascontiguousarray(np.broadcast_to(flow, (*rgb.shape[:-1], 2)))


def test_encoded_images_are_answered_as_their_pixels(model):
    rgb, flow = scene(2, 3)
    expected = call(model, "serving_default", rgb=rgb, flow=whole(flow, rgb))
    assert expected["num_detections"].min() > 0
    images = [[cv2.imencode(".png", x[..., ::-1])[1].tobytes() for x in clip] for clip in rgb]
    for vectors in (flow, whole(flow, rgb)):
        assert_equal(call(model, "encoded", images=images, flow=vectors), expected, rtol=0, atol=0)
    images = [[cv2.imencode(".jpg", x[..., ::-1])[1] for x in clip] for clip in rgb]
    pixels = np.stack([[cv2.imdecode(x, 1)[..., ::-1] for x in clip] for clip in images])
    assert (pixels != rgb).any()
    expected = call(model, "serving_default", rgb=pixels, flow=whole(flow, rgb))
    images = [[x.tobytes() for x in clip] for clip in images]
    assert_equal(call(model, "encoded", images=images, flow=flow), expected, rtol=0, atol=0)


def test_without_flow_only_the_actions_are_others(model):
    rgb, flow = scene(1, 3)
    images = [[cv2.imencode(".png", x[..., ::-1])[1].tobytes() for x in rgb[0]]]
    moving = call(model, "encoded", images=images, flow=flow)
    still = call(model, "encoded", images=images, flow=0 * flow)
    assert np.abs(moving["action_scores"] - still["action_scores"]).max() > 1e-3
    for name in ("actor", "actor_scores", "boxes", "masks", "num_detections"):
        np.testing.assert_allclose(still[name], moving[name], atol=1e-5, err_msg=name)


def test_only_the_middle_of_a_long_clip_is_decoded(model):
    rgb, flow = scene(1, 7)
    images = [cv2.imencode(".png", x[..., ::-1])[1].tobytes() for x in rgb[0]]
    expected = call(model, "serving_default", rgb=rgb, flow=whole(flow, rgb))
    damaged = [b"", b"", *images[2:5], b"", b""]
    assert_equal(call(model, "encoded", images=[damaged], flow=flow), expected, rtol=0, atol=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="[Uu]nknown image|Expected image"):
        call(model, "encoded", images=[images[:3] + [b"none"] + images[4:]], flow=flow)
    # The header alone: it is not decoded first.
    huge = images[3][:16] + (60_000).to_bytes(4, "big") * 2 + images[3][24:]
    with pytest.raises(tf.errors.InvalidArgumentError, match="and at most so many"):
        call(model, "encoded", images=[images[:3] + [huge] + images[4:]], flow=flow)
    chunk = (64).to_bytes(4, "big") * 2
    hidden = huge[:8] + (8).to_bytes(4, "big") + b"abCd" + chunk + bytes(4) + huge[8:]
    for other in (b"\xff\xd8\xff", hidden):
        with pytest.raises(tf.errors.InvalidArgumentError, match="[Uu]nknown image|JPEG"):
            call(model, "encoded", images=[images[:3] + [other] + images[4:]], flow=flow)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 3 frames"):
        call(model, "encoded", images=[images[:2]], flow=flow[:, :2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="first two axes"):
        call(model, "encoded", images=[images], flow=flow[:, :5])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must agree"):
        call(model, "encoded", images=[images], flow=whole(flow, rgb)[:, :, :20])


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
    """The same from `frame` and `key_frame`, by the clip of each frame as records have it."""
    features = [served.frame(*(x[None] for x in pair)) for pair in zip(rgb, flow)]
    still = [served.frame(x[None], 0 * flow[0][None]) for x in rgb]
    for key in range(1, len(rgb) + 1):
        sources, lost = clips.clip_sources(key, length, stride, len(rgb))
        frames = [(still if gone else features)[s - 1] for s, gone in zip(sources, lost)]
        stacked = {name: tf.stack([f[name] for f in frames], axis=1) for name in frames[0]}
        yield {name: x.numpy() for name, x in served.key_frame(stacked, size).items()}


REFINER = (
    ("use_mask", False),
    ("use_refiner", True),
    ("refiner_size", 32),
    ("refiner_channels", 8),
)


@pytest.mark.parametrize("layers, stride, count, more", [(2, 2, 6, ()), (0, 1, 2, REFINER)])
def test_a_stream_has_the_answers_of_the_clips(layers, stride, count, more):
    network = tiny_network.make(temporal_layers=layers, anchor_sizes="24,32,48,56,64", **dict(more))
    for weight in network.roi_heads.weights:
        if "action_logits" in weight.name or "actor_logits" in weight.name:
            weight.assign(10.0 * weight)
    served = ServedNetwork(network, SETTINGS, stride)
    rgb, flow = (x[0] for x in scene(1, count))
    flow[0] = 0
    flow, size = whole(flow, rgb), tf.constant([122, 166])
    made = by_stream(served, rgb, flow, size, layers * stride)
    expected = list(by_answers(served, rgb, flow, size, 2 * layers + 1, stride))
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
            one = call(model, "stream", rgb=rgb[1:, i], flow=flow[1:, i], size=size, **alone)
            alone = {name: one.pop(name) for name in alone}
            assert_equal({k: x[1:] for k, x in made.items()}, one, rtol=1e-5, atol=1e-4)
    assert made["num_detections"].min() > 0


ALONE = """
import runpy, sys
program, *sys.argv = sys.argv[1:2] + sys.argv[1:]
runpy.run_path(program, run_name="__main__")
assert not any(name.split(".")[0] == "a2d_tf" for name in sys.modules)
"""


def test_the_client_says_what_predict_says(versioned, mini_records, tmp_path):
    folder = str(versioned / "3")
    path = ROOT / "tools" / "client.py"
    spec = importlib.util.spec_from_file_location("client", path)
    client = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(client)
    clips = pathlib.Path(mini_records.directory).parent / "Release" / "clips320H"
    shown = str(min(clips.iterdir()))
    predictor = Predictor.from_saved_model(folder)
    expected = [found for _, found in streaming.answers(predictor, video_files.Reader(shown))]
    made = list(client.answers(folder, shown))
    assert len(made) == len(expected) > 5
    names = []
    for number, (mine, found) in enumerate(zip(made, expected), 1):
        rows = mine["num_detections"]
        assert rows == len(found.codes) and mine["number"] == number
        np.testing.assert_array_equal(mine["code"][:rows], found.codes)
        np.testing.assert_allclose(mine["score"][:rows], found.scores, atol=1e-4)
        np.testing.assert_allclose(mine["boxes"][:rows], found.boxes, rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(mine["label_map"], found.label_map)
        labels = (predictor.labels.name(code).replace("-", " ") for code in found.codes)
        names += [f"{number}: {label}" for label in labels]
    words = [sys.executable, "-I", "-c", ALONE, str(path), folder, shown]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = [re.fullmatch(r"(.*) [01]\.[0-9]{4} \[.*", line) for line in done.stdout.splitlines()]
    assert len(names) > 5 and [line[1] for line in said] == names
    assert len(path.read_text().splitlines()) <= 40


@functools.cache
def prediction_log():
    """The message class of tensorflow_serving/apis, as far as a request goes."""
    tensor = ".tensorflow.TensorProto"
    fields = {
        "ModelSpec": [("name", 1, "string"), ("signature_name", 3, "string")],
        "InputsEntry": [("key", 1, "string"), ("value", 2, tensor)],
        "PredictRequest": [("model_spec", 1, ".t.ModelSpec"), ("inputs", 2, "*.t.InputsEntry")],
        "PredictLog": [("request", 1, ".t.PredictRequest")],
        "PredictionLog": [("predict_log", 6, ".t.PredictLog")],
    }
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="t.proto",
        package="t",
        syntax="proto3",
        dependency=["tensorflow/core/framework/tensor.proto"],
    )
    for name, parts in fields.items():
        message = file.message_type.add(name=name)
        for field, number, of in parts:
            added = message.field.add(name=field, number=number, label=kind.LABEL_OPTIONAL)
            if of.startswith("*"):
                added.label = kind.LABEL_REPEATED
            added.type = kind.TYPE_STRING if of == "string" else kind.TYPE_MESSAGE
            if of != "string":
                added.type_name = of.lstrip("*")
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.PredictionLog"))


def test_warm_up_requests_ask_every_signature_something_it_answers(versioned, model):
    assert sorted(path.name for path in versioned.iterdir()) == ["3"]
    path = versioned / "3" / "assets.extra" / "tf_serving_warmup_requests"
    asked, log = {}, prediction_log()
    for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        request = log.FromString(serialized).predict_log.request
        assert not request.model_spec.name
        asked[request.model_spec.signature_name] = {
            entry.key: tf.make_ndarray(entry.value) for entry in request.inputs
        }
    assert set(asked) == set(model.signatures)
    assert asked["encoded"]["images"].shape == (1, 3)
    assert asked["serving_default"]["rgb"].shape == (1, 3, 64, 96, 3)
    assert asked["serving_default"]["flow"].shape == (1, 3, 64, 96, 2)
    assert asked["stream"]["size"].tolist() == [64, 96]
    for name, inputs in asked.items():
        answer = call(model, name, **inputs)
        if name in ("serving_default", "encoded", "stream"):
            assert answer["label_map"].shape == (1, 64, 96)
    assert path.stat().st_size < 10_000


def test_versions_and_an_export_do_not_mix(versioned):
    assert export_folder.place_of(str(versioned), 4) == str(versioned / "4")
    for place, version in ((versioned / "3", 4), (versioned, None)):
        with pytest.raises(InputError, match=f"{place}: .*--output"):
            export_folder.place_of(str(place), version)
