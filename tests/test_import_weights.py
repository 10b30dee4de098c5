"""Public weights: their layouts, errors, and that they compute what they should."""

import functools
import types

import cv2
import h5py
import matterport_network
import numpy as np
import public_networks
import pytest
from tiny_network import normal

from a2d_tf.commands import weights as weights_command
from a2d_tf.core.config import InferenceConfig, ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.model.backbones import resnet
from a2d_tf.model.inference import infer
from a2d_tf.model.network import Network
from a2d_tf.pretrained import cache, coco, layouts, transfer
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.runs import loading
from tools import make_random_weights

pytestmark = pytest.mark.slow

SIZES = layouts.Sizes("resnet14", 1 / 8, pyramid=16, proposals=24, head=32, mask=12)
SIDES = (32, 64, 128, 256, 512)


@pytest.fixture(scope="module")
def matterport(tmp_path_factory):
    """A small network of matterport's, and the file that Keras saves of it."""
    model = matterport_network.build(SIZES, resnet.BLOCKS[SIZES.backbone])
    matterport_network.randomise(model)
    path = tmp_path_factory.mktemp("matterport") / "weights.h5"
    model.save_weights(path)
    return model, str(path)


def keras_tensors():
    """Random tensors; that their names are Keras' own is another test's matter."""
    shapes = make_random_weights.shapes("keras_resnet101", SIZES).items()
    made = {
        name: normal(*shape, seed=seed) ** 2
        for seed, (name, shape) in enumerate(shapes)
    }
    return {**made, "predictions/kernel": normal(256, 1000)}


@pytest.fixture
def tensors(request, matterport):
    if request.param == "matterport":
        return cache.read_tensors(matterport[1])
    return keras_tensors()


ALL = pytest.mark.parametrize(
    "source, tensors, skipped",
    [
        ("matterport", "matterport", []),
        ("keras_resnet101", "keras_resnet101", ["predictions/kernel"]),
    ],
    indirect=["tensors"],
)


@ALL
def test_every_tensor_is_used_or_skipped(source, tensors, skipped, tmp_path):
    tensors = {**tensors, "stray.weight": normal(2)}
    weights, used, left = layouts.convert(source, tensors, "FILE", "abc", sizes=SIZES)
    assert left == [*skipped, "stray.weight"]
    assert sorted([*used, *left]) == sorted(tensors)
    path = str(tmp_path / "made" / "w.h5")
    weights.write(path)
    back = Weights.read(path)
    assert (back.source, back.sha256, back.backbone) == (source, "abc", "resnet14")
    assert back.classes == (coco.CLASSES if source == "matterport" else ())
    assert set(back.tensors) == set(weights.tensors)
    for role, value in weights.tensors.items():
        np.testing.assert_array_equal(np.asarray(back.tensors[role]), value)


@ALL
def test_a_missing_and_a_reshaped_tensor_are_named(source, tensors, skipped):
    name = sorted(set(tensors) - set(skipped))[3]
    value = np.asarray(tensors[name])
    left = {k: v for k, v in tensors.items() if k != name}
    for changed, message in (
        (left, f"FILE: {name} is missing"),
        (
            {**left, name: value[..., None]},
            f"FILE: {name} has shape .*, 1\\), expected shape",
        ),
    ):
        with pytest.raises(InputError, match=message):
            layouts.convert(source, changed, "FILE", "", sizes=SIZES)


def test_a_run_finds_matterports_boxes_before_any_training(matterport):
    """Boxes agree to half a pixel: proposals, and those of the best class."""
    model, path = matterport
    weights, _, _ = layouts.convert(
        "matterport", cache.read_tensors(path), path, "", sizes=SIZES
    )
    canvas = cv2.GaussianBlur(
        np.uint8(128 + 40 * normal(128, 128, 3).clip(-3, 3)), (0, 0), 2
    )
    expected = matterport_network.run(model, canvas, SIDES, 60)
    fields = dict(image_height=128, image_width=128, use_flow=False, temporal_layers=0)
    config = ModelConfig(**fields, **weights.model_fields())
    labels = LabelSpace.from_fields({"actors": [*coco.CLASSES], "actions": ["object"]})
    network = Network(config, labels)
    transfer.load(network, weights)
    clip = {"rgb": canvas[None, None], "size": np.int32([[128, 128]])}
    made = infer(
        network, clip, InferenceConfig(test_proposals=60, score_threshold=0.02)
    )

    rois, theirs = made.rois[0].numpy(), 128 * expected["proposals"][0]
    assert made.valid.numpy().all()
    apart = np.abs(rois[:, None] - theirs).max(axis=-1)
    assert apart.min(axis=0).max() < 0.5 and apart.min(axis=1).max() < 0.5
    best = expected["class_probabilities"][0, :, 1:].argmax(axis=1)
    deltas = expected["box_deltas"][0, np.arange(60), 1 + best] * [0.1, 0.1, 0.2, 0.2]
    boxes = matterport_network.apply(theirs, deltas).clip(0, 128)
    found = made.table.class_boxes[0].numpy()[apart.argmin(axis=0), best]
    assert np.abs(found - boxes).max() < 0.5
    shares = made.table.class_scores[0].numpy()[apart.argmin(axis=0)]
    close(shares, expected["class_probabilities"][0, :, 1:])
    instances = made.detections
    count = int(instances.number[0])
    assert count > 3
    boxes = instances.boxes[0, :count].numpy()
    shapes = matterport_network.masks(model, canvas, expected["pyramid"], boxes)
    actors = instances.actor[0, :count].numpy()
    # A sample on the very edge may be outside for one of the two, on some processors.
    apart = np.abs(
        instances.more["masks"][0, :count] - shapes[np.arange(count), :, :, actors]
    )
    assert apart.mean() < 1e-4 and apart.max() < 0.05


def test_chosen_classes_of_coco_keep_their_scores_boxes_and_masks(matterport, tmp_path):
    """Of matterport's 80 and background; an actor of two classes adds up scores."""
    model, path = matterport
    weights, _, _ = layouts.convert(
        "matterport", cache.read_tensors(path), path, "", sizes=SIZES
    )
    weights.write(str(tmp_path / "coco.h5"))
    actors = ["mouse=cat", "person", "thing=dog", "thing=apple"]
    run = loading.untrained(str(tmp_path / "coco.h5"), {}, actors)
    columns = [[16], [1], [17, 48]]  # of matterport's, from its background on

    canvas = cv2.GaussianBlur(
        np.uint8(128 + 40 * normal(256, 256, 3).clip(-3, 3)), (0, 0), 2
    )
    expected = matterport_network.run(model, canvas, SIDES, 60)
    clip = {"rgb": canvas[None, None], "size": np.int32([[256, 256]])}
    made = infer(
        run.network, clip, InferenceConfig(test_proposals=60, score_threshold=0.01)
    )
    theirs = 256 * expected["proposals"][0]
    apart = np.abs(made.rois[0].numpy()[:, None] - theirs).max(axis=-1)
    ours, matches = apart.argmin(axis=0), apart.min(axis=0) < 0.5
    assert matches.sum() > 50
    shares, deltas = expected["class_probabilities"][0], expected["box_deltas"][0]
    for actor, of_actor in enumerate(columns):
        found = made.table.actor_scores[0].numpy()[ours, actor]
        np.testing.assert_allclose(
            found[matches], shares[matches][:, of_actor].sum(axis=1), 1e-3
        )
        best = np.array(of_actor)[shares[:, of_actor].argmax(axis=1)]
        own = deltas[np.arange(60), best] * [0.1, 0.1, 0.2, 0.2]
        boxes = matterport_network.apply(theirs, own).clip(0, 256)
        assert (
            np.abs(made.table.boxes[0].numpy()[ours, actor] - boxes)[matches].max()
            < 0.5
        )
    instances = made.detections
    count = int(instances.number[0])
    classes, actors = (
        x[0, :count].numpy() for x in (instances.classes, instances.actor)
    )
    assert {*zip(classes, actors)} == {(15, 1), (0, 2), (16, 3), (47, 3)}
    boxes = instances.boxes[0, :count].numpy()
    shapes = matterport_network.masks(model, canvas, expected["pyramid"], boxes)
    own = shapes[np.arange(count), :, :, 1 + classes]
    apart = np.abs(instances.more["masks"][0, :count] - own)
    assert apart.mean() < 1e-4 and apart.max() < 0.05


def layout(path):
    """{path: shape} of the datasets in an .h5 file."""
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: found.update({name: getattr(item, "shape", None)})
        )
    return {name: shape for name, shape in found.items() if shape is not None}


def random_layout(source, sizes=None):
    """The same of a file of tools/make_random_weights.py, without writing one."""
    shapes = make_random_weights.shapes(source, sizes).items()
    return {make_random_weights.dataset(name): shape for name, shape in shapes}


def test_random_weights_lie_where_keras_puts_matterports(matterport):
    assert random_layout("matterport", SIZES) == layout(matterport[1])


def close(made, expected, tolerance=1e-4):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(made / scale, expected / scale, atol=tolerance)


@pytest.mark.parametrize(
    "blocks",
    [(1, 1, 1, 1), pytest.param((3, 4, 23, 3), marks=pytest.mark.full_size)],
    ids=["one block a stage", "ResNet-101"],
)
def test_keras_resnet_through_the_command(blocks, tmp_path, monkeypatch, capsys):
    model = public_networks.keras_resnet(blocks)
    sizes = layouts.Sizes("resnet101" if blocks[2] == 23 else "resnet14")
    path, imported = str(tmp_path / "notop.h5"), str(tmp_path / "imported.h5")
    model.save_weights(path)
    assert random_layout("keras_resnet101", sizes) == layout(path)
    convert = functools.partial(layouts.convert, sizes=sizes)
    monkeypatch.setattr(layouts, "convert", convert)
    for name, value in (
        ("SOURCE", "keras_resnet101"),
        ("INPUT", path),
        ("OUTPUT", imported),
    ):
        monkeypatch.setattr(
            weights_command, f"_{name}", types.SimpleNamespace(value=value)
        )
    weights_command.main(["a2d weights"])
    out = capsys.readouterr().out
    last = blocks[2]
    assert f"  conv4_block{last}_3_bn/moving_variance: used\n" in out
    name = f"c4_b{last - 1}_conv3/variance"
    assert f"  flow_resnet_{name} <- backbone/{name}\n" in out
    assert "  action_logits/kernel: no pretrained weights exist for it\n" in out

    rgb = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype("f")
    expected = public_networks.keras_maps(model, blocks, rgb)
    for ours, theirs in zip(
        public_networks.ours(Weights.read(imported), (64, 96))(rgb), expected
    ):
        close(ours.numpy(), theirs)
