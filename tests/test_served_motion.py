"""Motion maps in the served network: clips, blocks and videos have the same answers."""

import functools
import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import types

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from a2d_files import moving_frames, write_video
from processes import ROOT

from a2d_tf.core.labels import A2D
from a2d_tf.core.settings.config import Config
from a2d_tf.data import clip_records
from a2d_tf.data.conversion.clips import ConversionSettings, clips_of
from a2d_tf.data.preparation.flow import Flow
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.data.sources.release import Release
from a2d_tf.model.inference import infer
from a2d_tf.ops import canvas, motion_maps
from a2d_tf.ops.motion_maps import BLOCK
from a2d_tf.runs import loading
from a2d_tf.serving import clip_motion, exporter, motion_graphs
from a2d_tf.serving.descriptions import describe_network
from a2d_tf.serving.folding import fold_norms
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.video.predictors import network_predictor
from a2d_tf.video.predictors.predictor import Predictor
from a2d_tf.video.reading.span import EVERY_FRAME, Span
from a2d_tf.video.reading.video_reader import open_video

pytestmark = pytest.mark.slow

SIDE = 160  # of frames that are motion frames as they are
NAMES = ("mixed_4f", "mixed_5c", "flow_histograms")
ALL = dict(action_backbone="i3d", flow_histograms=True)
KINDS = [
    ALL,
    dict(action_backbone="", flow_histograms=True),
    dict(action_backbone="i3d", flow_histograms=False),
]


def network_of(**motion):
    """A network of random weights whose actions differ with motion."""
    network = tiny_network.make(
        temporal_layers=0,
        use_flow=False,
        use_mask=False,
        readout=True,
        anchor_sizes="24,32,48,56,64",
        **motion,
    )
    for weight in network.backbones.get_layer("readout").weights:
        weight.assign(tiny_network.normal(*weight.shape) / 10)
    for weight in network.motion_readout.weights:
        weight.assign(tiny_network.normal(*weight.shape))
    for weight in network.roi_heads.weights:
        if "actor_logits" in weight.name and "kernel" in weight.name:
            weight.assign(20.0 * weight)
    return network


@functools.cache
def served(**motion):
    network = network_of(**motion)
    return network, ServedNetwork(network, tiny_network.INFERENCE)


def info_of(network, **motion):
    model = network.model_config
    return {
        "frames": model.frames,
        "use_flow": False,
        "clip_stride": 1,
        "flow_method": "dis",
        "image_height": SIDE,
        "image_width": SIDE,
        "labels": json.loads(A2D.to_json()),
        "motion": {"sha256": "", **motion},
    }


def predictor_of(network, model, **motion):
    def key_frame(size, **inputs):
        taken = {name: inputs.pop(name) for name in names}
        answer = model.key_frame(inputs, size, taken)
        said.append({name: values.numpy() for name, values in answer.items()})
        return answer

    said, names = [], motion_graphs.input_specs(network)
    block = getattr(model, "block", None)
    info = info_of(network, **motion)
    return Predictor(model.frame, key_frame, info, block), said


def film(count):
    """A texture that moves, and a block that moves otherwise and changes its colour."""
    frames = np.stack(moving_frames(count, SIDE, SIDE, 3))
    colours = np.random.default_rng(1).integers(0, 256, (count, 3), np.uint8)
    for i, frame in enumerate(frames):
        left = 40 + i % 60
        part = frame[50:110, left : left + 50]
        part[:] = part // 2 + colours[i] // 2
    return frames


def flows_of(frames):
    """The flow of each frame of an odd number; zeros of others."""
    flows = np.zeros((*frames.shape[:3], 2), np.float32)
    between = Flow("dis")
    grey = [np.uint8(frame @ [0.299, 0.587, 0.114] + 0.5) for frame in frames]
    for i in range(1, len(frames), 2):
        flows[i] = between(grey[i - 1], grey[i], frames.shape[1:3])
    return flows


def assert_equal(said, expected):
    assert set(said) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(
            said[name], value, rtol=1e-4, atol=1e-4, err_msg=name
        )


def test_motion_frames_have_the_size_of_those_of_videos():
    sizes = np.random.default_rng(0).integers(1, 3000, (300, 2)).tolist()
    sizes += [[240, 320], [320, 240], [1080, 1920], [64, 64], [100, 230], [100, 250]]
    for size in sizes:
        made = clip_motion.motion_size(tf.constant(size)).numpy().tolist()
        assert made == [*motion_maps.frame_size(*size)], size


@pytest.mark.parametrize(
    "motion, count",
    [(ALL, 1), (ALL, 20), (ALL, 100), *((kind, 45) for kind in KINDS[1:])],
    ids=str,
)
def test_a_clip_is_answered_as_a_video_of_its_frames(motion, count):
    network, model = served(**motion)
    frames = film(count)
    predictor, said = predictor_of(network, model, **motion)
    answers = list(network_predictor.find_instances(predictor, iter(frames)))
    assert len(answers) == len(said) == count
    expected = model.serve(frames[None], flows_of(frames)[None])
    expected = {name: values.numpy() for name, values in expected.items()}
    assert_equal(said[count // 2], expected)
    assert expected["num_detections"] > 0


def test_motion_decides_on_actions_alone():
    network, model = served(**ALL)
    frames = film(40)
    still = np.tile(frames[20:21], (40, 1, 1, 1))
    flows = flows_of(frames)
    moving = model.serve(frames[None], flows[None])
    without_flow = model.serve(frames[None], 0 * flows[None])
    without_frames = model.serve(still[None], flows[None])
    for other in (without_flow, without_frames):
        for name in ("boxes", "actor", "actor_scores", "num_detections"):
            np.testing.assert_allclose(other[name], moving[name], atol=1e-4)
        difference = np.abs(other["action_scores"] - moving["action_scores"])
        assert difference.max() > 1e-3


@pytest.mark.parametrize("span", [Span(50, 52), Span(3, None, 40)])
def test_part_of_a_film_has_the_answers_of_all(span):
    network, model = served(**ALL)
    frames = film(90)
    predictor, said = predictor_of(network, model, **ALL)
    list(network_predictor.find_instances(predictor, iter(frames), EVERY_FRAME))
    expected = [answer for i, answer in enumerate(said) if i in span]
    said.clear()
    list(network_predictor.find_instances(predictor, iter(frames), span))
    assert len(said) == len(expected)
    for pair in zip(said, expected):
        assert_equal(*pair)


def test_the_network_of_records_says_the_same():
    """Maps of features, averaged and read, are averages of maps of logits."""
    network, model = served(**ALL)
    frames = film(60)
    stream = MotionStream(
        lambda block: {
            name: values.numpy()[0]
            for name, values in network.action_backbone(block[None]).items()
        },
        flow_histograms=True,
    )
    for index, frame in enumerate(frames):
        stream.add(index, frame)
    stream.end()
    maps = {name: values[None] for name, values in stream.maps(30).items()}
    rgb = np.zeros((1, 1, *tiny_network.CANVAS, 3), np.uint8)
    placed = model.frame(frames[30:31], np.zeros((1, SIDE, SIDE, 2), np.float32))
    inside = placed["inside"].numpy()
    assert inside.tolist() == [[64, 64]]
    small = tf.image.resize(frames[30:31], inside[0], "area")
    rgb[0, 0, :64, :64] = np.round(small[0])
    clip = {"rgb": rgb, "size": inside, "motion_size": np.int32([[SIDE, SIDE]])}
    found = infer(network, {**clip, **maps}, tiny_network.INFERENCE).detections
    made = model.serve(frames[None], flows_of(frames)[None])
    assert int(found.number[0]) > 0
    np.testing.assert_allclose(
        made["action_scores"], found.action_scores, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_array_equal(made["code"], found.code)


def test_answers_are_those_of_quantised_records(mini_records):
    """Evaluation on records says what prediction says of the video."""
    network, model = served(**ALL)
    release = Release(pathlib.Path(mini_records.directory).parent / "Release")
    settings = ConversionSettings(image_height=64, image_width=96, clip_frames=1)
    video = release.videos[0]

    def features(block):
        maps = network.action_backbone(block[None])
        return {name: values.numpy()[0] for name, values in maps.items()}

    info = {**info_of(network, **ALL), "image_height": 64, "image_width": 96}
    predictor, said = predictor_of(network, model, **ALL)
    predictor.info = info
    frames = open_video(release.frames_path(video.vid)).frames()
    list(network_predictor.find_instances(predictor, frames))
    stream = MotionStream(features, flow_histograms=True)
    records = list(clips_of(release, settings, video, None, stream))
    assert len(records) >= 3 and sum(x["num_detections"][0] for x in said) > 0
    for record in records:
        serialized = tf.constant(clip_records.encode(record))
        clip = clip_records.parse_motion_maps(serialized, NAMES)
        motion = {name: clip[name][None] for name in NAMES}
        # JPEG would change the actors, too.
        placed = canvas.place(
            np.stack(record.rgb), np.zeros_like(record.flow), tiny_network.CANVAS
        )
        frame = {"rgb": placed.rgb[None], "size": placed.size[None]}
        frame["motion_size"] = clip["motion_size"][None]
        found = infer(network, {**frame, **motion}, tiny_network.INFERENCE).detections
        expected = said[record.frame - 1]
        np.testing.assert_array_equal(found.actor, expected["actor"])
        difference = np.abs(found.action_scores - expected["action_scores"])
        assert difference.max() < 0.05 and difference.mean() < 0.003


def test_signatures_and_what_is_said_of_them():
    for motion in KINDS:
        network, model = served(**motion)
        names = {"serving_default", "encoded", "frame", "key_frame", "boxes"}
        if motion["action_backbone"]:
            names.add("block")
        if motion["flow_histograms"]:
            names.add("histograms")
        assert set(model.signatures()) == names
        assert set(describe_network(network).signatures) == names
    _, model = served(**ALL)
    inputs = model.signatures()["key_frame"].structured_input_signature
    shapes = {spec.name: list(spec.shape) for spec in tf.nest.flatten(inputs)}
    assert shapes["mixed_4f"] == shapes["mixed_5c"] == [None, None, None, 18]
    assert shapes["flow_histograms"] == [None, None, None, 27]
    assert shapes["motion_size"] == [None, 2] and shapes["size"] == [2]


def test_a_block_has_maps_of_logits():
    _, model = served(**ALL)
    made = model.block(np.zeros((1, BLOCK, 160, 224, 3), np.uint8))
    shapes = {name: list(values.shape) for name, values in made.items()}
    assert shapes == {"mixed_4f": [1, 8, 10, 14, 18], "mixed_5c": [1, 4, 5, 7, 18]}
    with pytest.raises(tf.errors.InvalidArgumentError, match="multiples of 32"):
        model.block(np.zeros((1, BLOCK, 160, 220, 3), np.uint8))


def test_folding_keeps_the_parts_of_motion():
    network = network_of(norm="frozen_bn", flow_norm="same", **ALL)
    made = fold_norms(network)
    assert made is not network
    for part in ("action_backbone", "motion_readout"):
        mine, own = made.parts()[part], network.parts()[part]
        assert len(mine.weights) == len(own.weights) > 0
        for pair in zip(mine.weights, own.weights):
            np.testing.assert_array_equal(*pair)


@pytest.fixture(scope="module")
def run():
    """A run of the network, without its folder."""
    network, _ = served(**ALL)
    facts = {"flow_method": "dis", "clip_stride": 1}
    facts |= {"image_height": SIDE, "image_width": SIDE}
    config = Config(network.model_config, tiny_network.INFERENCE)
    motion = MotionFacts("i3d", "5" * 64, flow_histograms=True)
    return loading.Run(config, network, facts, "ckpt-1", motion=motion)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "model"
    exporter.export(run, str(folder))
    return folder


def test_facts_of_an_export(exported):
    info = json.loads((exported / "a2d_tf.json").read_text())
    assert info["motion"] == {**ALL, "sha256": "5" * 64}
    assert "stream" not in info["signatures"] and "block" in info["signatures"]
    assert "Quo Vadis" in (exported / "NOTICE").read_text()


def test_a_saved_model_answers_a_video_as_the_network(run, exported):
    frames, answers = film(40), []
    for predictor in (Predictor.load(exported), Predictor.from_run(run)):
        found = network_predictor.find_instances(predictor, iter(frames))
        answers.append([answer.instances for answer in found])
    assert sum(len(instances.codes) for instances in answers[0]) > 0
    for mine, own in zip(*answers):
        np.testing.assert_allclose(mine.boxes, own.boxes, atol=1e-3)
        np.testing.assert_allclose(mine.action_scores, own.action_scores, atol=1e-5)
        np.testing.assert_array_equal(mine.codes, own.codes)


def test_encoded_images_are_answered_as_their_pixels(exported):
    model = tf.saved_model.load(str(exported))
    frames = film(36)
    flows = flows_of(frames)
    images = [cv2.imencode(".png", x[..., ::-1])[1].tobytes() for x in frames]
    made = model.signatures["encoded"](
        images=tf.constant([images]), flow=tf.constant(flows[None])
    )
    expected = model.signatures["serving_default"](
        rgb=tf.constant(frames[None]), flow=tf.constant(flows[None])
    )
    assert int(expected["num_detections"][0]) > 0
    for name, value in expected.items():
        np.testing.assert_array_equal(made[name], value, err_msg=name)


def test_the_client_says_what_predict_says(exported, tmp_path):
    """Of a film of more than a block, which ends within one."""
    path = write_video(tmp_path / "film.mp4", list(film(40)))
    words = [sys.executable, str(ROOT / "tools" / "client.py"), str(exported), path]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    row = r"(\d+): ([\w ]+) ([01]\.\d{4}) y1 x1 y2 x2"
    said = re.findall(row, done.stdout)
    predictor, expected = Predictor.load(exported), []
    answers = network_predictor.find_instances(predictor, open_video(path).frames())
    for number, answer in enumerate(answers, 1):
        for code, score in zip(answer.instances.codes, answer.instances.scores):
            label = predictor.labels.name(code).replace("-", " ")
            expected.append((number, label, score))
    assert len(said) == len(expected) > 5
    for (number, label, score), own in zip(said, expected):
        assert (int(number), label) == own[:2]
        assert float(score) == pytest.approx(own[2], abs=2e-4)


def load_client():
    path = ROOT / "tools" / "client.py"
    spec = importlib.util.spec_from_file_location("client", path)
    client = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(client)
    return client


@pytest.mark.parametrize("motion, most_waiting", zip(KINDS, (45, 6, 45)), ids=str)
def test_the_client_answers_frames_that_come_one_by_one(motion, most_waiting):
    network, model = served(**motion)
    frames = film(83)
    predictor, expected = predictor_of(network, model, **motion)
    list(network_predictor.find_instances(predictor, iter(frames)))

    def key_frame(size, **inputs):
        taken = {name: inputs.pop(name) for name in motion_graphs.input_specs(network)}
        return model.key_frame(inputs, size, taken)

    signatures = {"frame": model.frame, "key_frame": key_frame}
    for name in ("block", "histograms"):
        signatures[name] = getattr(model, name, None)
    saved_model = types.SimpleNamespace(signatures=signatures)
    follower = load_client().Follower(saved_model, info_of(network, **motion))
    said = []
    waiting = []
    for count, frame in enumerate(frames, 1):
        said.extend(follower.add(frame[..., ::-1]))
        waiting.append(count - len(said))
        assert len(follower._kept) <= most_waiting + 1
    said.extend(follower.end())
    assert max(waiting) == most_waiting
    assert [answer.pop("number") for answer in said] == list(range(1, 84))
    for answer, own in zip(said, expected):
        assert_equal(answer, {name: values[0] for name, values in own.items()})
    assert sum(answer["num_detections"] for answer in said) > 0


def test_given_boxes_have_the_labels_of_the_boxes_that_were_found():
    motion = dict(action_backbone="", flow_histograms=True)
    network = network_of(**motion)
    network.backbones.get_layer("readout").share.assign([0.0] * 16)
    model = ServedNetwork(network, tiny_network.INFERENCE)
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, 100, 130, 3), np.uint8)
    features = model.frame(rgb, np.zeros((2, 100, 130, 2), np.float32))
    frames = {name: x[:, None] for name, x in features.items()}
    maps = {
        "flow_histograms": tf.constant(
            rng.random((2, 20, 28, 27), np.float32), tf.float32
        ),
        "motion_size": tf.constant([[160, 224]] * 2),
    }
    size = tf.constant([100, 130])
    found = model.key_frame(frames, size, maps)
    number = found["num_detections"]
    assert tf.reduce_min(number) > 0
    # in another order, and more rows than count
    boxes = tf.pad(
        tf.reverse_sequence(found["boxes"], number, 1), [[0, 0], [0, 3], [0, 0]]
    )
    given = model.boxes(frames, size, boxes, number, maps)
    assert set(given) == set(found)
    np.testing.assert_array_equal(given["num_detections"], number)
    for b, count in enumerate(number.numpy()):
        for name in ("boxes", "actor", "action", "actor_scores", "action_scores"):
            own = found[name][b, :count].numpy()[::-1]
            if name.endswith("scores"):  # background's share is left out
                own = own / own.sum(1, keepdims=True)
            np.testing.assert_allclose(given[name][b, :count], own, atol=1e-5)
            assert not given[name].numpy()[b, count:].any()
    assert np.ptp(found["action_scores"].numpy(), axis=1).max() > 0.01
