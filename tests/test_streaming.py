"""Streaming: a sliding clip's answers, from backbones that see each frame once."""

import functools
import itertools
import json
import pathlib
import types
import weakref

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from a2d_files import moving_frames

from a2d_tf.core.labels import A2D
from a2d_tf.data.conversion import convert
from a2d_tf.data.conversion.clips import clip_frames, clips_of
from a2d_tf.data.preparation.flow import Flow, grey
from a2d_tf.data.preparation.resizing import fitted_size, resize_frame
from a2d_tf.data.sources.release import Release
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.video.predictors import network_predictor
from a2d_tf.video.predictors.predictor import Predictor
from a2d_tf.video.reading import video_reader
from a2d_tf.video.reading.shortfall import shortfall
from a2d_tf.video.reading.span import EVERY_FRAME, Span

pytestmark = pytest.mark.slow

SEPARATE = (
    ("action_topdown", "own_backbone"),
    ("use_mask", False),
    ("use_refiner", True),
    ("refiner_size", 32),
    ("refiner_channels", 8),
)


@functools.cache
def served(layers, use_flow, *more):
    """A ServedNetwork whose instances differ from frame to frame."""
    network = tiny_network.make(
        temporal_layers=layers,
        use_flow=use_flow,
        anchor_sizes="24,32,48,56,64",
        **dict(more),
    )
    factors = {"actor_logits": 20.0, "action_logits": 4.0, "mask_logits": 30.0}
    for weight in (
        network.backbones.get_layer("readout").weights if network.readout else ()
    ):
        weight.assign(tiny_network.normal(*weight.shape))
    for weight in network.variables:
        for name, factor in factors.items():
            if name in weight.name and "kernel" in weight.name:
                weight.assign(weight * factor)
    return network, ServedNetwork(network, tiny_network.INFERENCE)


def model_info(network, stride=1):
    model = network.model_config
    info = dict(frames=model.frames, use_flow=model.use_flow, clip_stride=stride)
    info |= dict(flow_method="dis", image_height=64, image_width=96)
    return {**info, "labels": json.loads(A2D.to_json())}


def scene(count, height=64, width=90):
    """A texture that moves, with one block that changes with every frame."""
    frames = np.stack(moving_frames(count, height, width, 3))
    colours = np.random.default_rng(1).integers(0, 256, (count, 3), np.uint8)
    frames[:, 20:50, 30:70] = frames[:, 20:50, 30:70] // 2 + colours[:, None, None] // 2
    return list(frames)


class Recorder:
    """A predictor that keeps what the network itself says."""

    def __init__(self, frame, key_frame, info):
        self.info, self.calls, self.said = info, 0, []
        self._predictor = Predictor(frame, self._keep, info)
        self._key_frame = key_frame

    def _keep(self, **inputs):
        outputs = self._key_frame(**inputs)
        self.said.append({name: x.numpy() for name, x in outputs.items()})
        return outputs

    def features(self, rgb, flow):
        self.calls += 1
        return self._predictor.features(rgb, flow)

    def instances(self, clip, size, motion):
        return self._predictor.instances(clip, size, motion)


def stream(model, frames, info, span=EVERY_FRAME):
    """(what the network says of the frames of a span, the recorder)."""
    recorder = Recorder(
        model.frame, lambda size, **window: model.key_frame(window, size), info
    )
    shown = [
        native
        for native, _ in network_predictor.find_instances(recorder, iter(frames), span)
    ]
    asked = [frame for index, frame in enumerate(frames) if index in span]
    assert len(shown) == len(asked) and all(a is b for a, b in zip(shown, asked))
    return recorder.said, recorder


def slide(model, frames, info):
    """The answers of the clip of every frame, made as records are."""
    between, count, size = Flow("dis"), len(frames), frames[0].shape[:2]
    flows = [np.zeros((*size, 2), np.float32)]
    shades = [grey(frame, size) for frame in frames]
    flows += [between(*pair, size) for pair in zip(shades, shades[1:])]
    for key in range(1, count + 1):
        clip = clip_frames(key, info["frames"], info["clip_stride"], count)
        rgb = np.stack([frames[frame.number - 1] for frame in clip])
        flow = np.stack(
            [flows[frame.number - 1] * (not frame.is_clamped) for frame in clip]
        )
        yield {
            name: x.numpy() for name, x in model.serve(rgb[None], flow[None]).items()
        }


def assert_equal(said, expected):
    assert set(said) == set(expected)
    number = int(expected["num_detections"][0])
    for name, value in expected.items():
        if np.issubdtype(value.dtype, np.integer):
            np.testing.assert_array_equal(said[name], value, err_msg=name)
        else:
            np.testing.assert_allclose(
                said[name], value, rtol=1e-6, atol=1e-5, err_msg=name
            )
    return number


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    "layers, stride, use_flow, more, count",
    [
        *((0, 1, True, (), 2), (2, 2, False, (), 7), (1, 1, True, SEPARATE, 4)),
        (1, 1, True, (("readout", True),), 3),
    ],
)
def test_every_frame_has_the_answer_of_its_clip(layers, stride, use_flow, more, count):
    network, model = served(layers, use_flow, *more)
    frames, info = scene(count), model_info(network, stride)
    said, recorder = stream(model, frames, info)
    expected = list(slide(model, frames, info))
    assert len(said) == len(expected) == count == recorder.calls
    assert sum(assert_equal(*pair) for pair in zip(said, expected)) > 0
    assert any(outputs["label_map"].any() for outputs in expected)


@pytest.mark.parametrize(
    "stride, count, span, passes",
    [
        (1, 12, (0, None, 11), 4),  # 0, 1; 10, 11, with the flow of 0 behind it
        (1, 12, (4, 7, 2), 5),  # 4 and 6 with 3, 5, 7
        (2, 12, (1, None, 9), 6),  # 0, 1, 3; 8, 10, and 11, which stands in for 12
        (2, 6, (5, None, 1), 4),  # 3, 5, and 4 lest there be a 6; 5 again without flow
        (2, 12, (12, None, 1), 2),  # 10 and 11, and the video is over
    ],
)
def test_part_of_the_frames_have_the_answers_of_all(stride, count, span, passes):
    """Frames that no answer needs need not be there."""
    network, model = served(1, True)
    frames, info, span = scene(count), model_info(network, stride), Span(*span)
    everything, _ = stream(model, frames, info)
    near = [span.has_any(i - stride, i + stride + 1) for i in range(count)]
    said, recorder = stream(
        model, [f if own else None for f, own in zip(frames, near)], info, span
    )
    asked = [answer for index, answer in enumerate(everything) if index in span]
    assert len(said) == len(asked) and recorder.calls == passes
    for pair in zip(said, asked):
        assert_equal(*pair)


@pytest.mark.parametrize(
    "first, last, every", [(0, None, 1), (3, 9, 2), (2, None, 5), (4, 5, 7)]
)
def test_spans_know_what_they_hold(first, last, every):
    span, held = Span(first, last, every), range(first, last or 40, every)
    assert [i for i in range(40) if i in span] == list(held)
    for low in range(-5, 30):
        for high in range(low, 35):
            assert span.has_any(low, high) == any(low <= i <= high for i in held)
    assert span.count(7) == sum(i < 7 for i in held)
    assert span.count(None) == (len(held) if last else None)


@pytest.mark.parametrize(
    "count, duration, length, last, damaged, said",
    [
        (100, None, 60, None, (), "claims 100 frames, of which 60 could be decoded"),
        (100, None, None, 50, (), ""),  # not read to its end
        (None, 10.0, 92, None, (), ""),  # sound may go on
        (None, 10.0, 60, 95, (), "claims 10 seconds, of which 6 could be decoded"),
        (None, 10.0, 60, 60, (), ""),
        (None, None, 20, None, (), ""),  # a camera
        (100, None, None, 50, (50,), ""),
        (
            20,
            None,
            20,
            None,
            (3, 9),
            "has 2 damaged frames, and others that refer to them",
        ),
    ],
)
def test_a_video_that_is_shorter_than_it_claims(
    count, duration, length, last, damaged, said
):
    reader = types.SimpleNamespace(
        count=count,
        duration=duration,
        length=length,
        seconds=lambda index: index / 10,
        damaged=damaged,
    )
    assert shortfall(reader, Span(0, last, 1)) == said


def test_key_frames_know_no_backbone_and_nothing_is_traced_twice():
    network, model = served(1, True)
    for height, width in ((64, 90), (64, 90), (100, 130)):
        frames = [
            resize_frame(f, *fitted_size(height, width, 64, 96))
            for f in scene(3, height, width)
        ]
        stream(model, frames, model_info(network))
    assert model.frame.experimental_get_tracing_count() == 1
    assert model.key_frame.experimental_get_tracing_count() == 1
    used = {v.ref() for v in model.key_frame.get_concrete_function().graph.variables}
    towers = {v.ref() for v in network.backbones.variables}
    assert used and towers and not used & towers


def test_answers_are_those_of_the_records_clips(mini_records):
    network, model = served(2, True)
    release = Release(pathlib.Path(mini_records.directory).parent / "Release")
    settings = convert.ConversionSettings(
        image_height=64, image_width=96, clip_frames=5, shard_videos=2
    )
    shown = release.videos[0]
    frames = list(video_reader.open_video(release.frames_path(shown.vid)).frames())
    recorder = Recorder(
        model.frame,
        lambda size, **window: model.key_frame(window, tf.constant([64, 80])),
        model_info(network),
    )
    assert len(list(network_predictor.find_instances(recorder, frames))) == shown.frames
    records = list(clips_of(release, settings, shown, None))
    assert len(records) >= 3
    for record in records:
        clip = np.stack(record.rgb)[None], np.stack(record.flow)[None]
        expected = {name: x.numpy() for name, x in model.serve(*clip).items()}
        assert_equal(recorder.said[record.frame - 1], expected)


class Fake:
    """A predictor of grey levels and flow, with a field of 2L + 1 frames."""

    def __init__(self, length=3, stride=1, **more):
        info = dict(frames=length, clip_stride=stride, flow_method="dis", use_flow=True)
        self.info = {**info, "image_height": 64, "image_width": 96, **more}

    def features(self, rgb, flow):
        return {"actor_p2": rgb, "flow_p2": flow}

    def instances(self, clip, size, motion):
        return clip


@pytest.mark.parametrize("length, stride, most", [(1, 1, 1), (5, 2, 9)])
def test_an_endless_video_is_read_little_ahead_and_soon_forgotten(length, stride, most):
    class Pyramids(dict):
        """A dict that a weak reference can point to."""

    class Forgetful(Fake):
        def features(self, rgb, flow):
            made = Pyramids(super().features(rgb, flow))
            pushed.append(weakref.ref(made))
            return made

        def instances(self, clip, size, motion):
            return None

    pushed, made = [], itertools.count()
    endless = (np.full((64, 96, 3), i % 256, np.uint8) for i in made)
    answers = network_predictor.find_instances(
        Forgetful(length, stride, use_flow=False), endless
    )
    for _ in range(50):
        next(answers)
    answers.close()
    # The field, and one that each of two threads prepares.
    assert next(made) <= 50 + most // 2 + 3
    assert sum(made() is not None for made in pushed) <= most + 2
