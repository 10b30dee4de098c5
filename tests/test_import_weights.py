"""Public weights: their layouts, errors, and that they compute what they should."""

import functools
import types
from typing import Any, NamedTuple

import cv2
import h5py
import matterport_network
import numpy as np
import public_networks
import pytest
from tiny_network import normal

from a2d_tf.commands import weights as weights_command
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.settings.config import InferenceConfig, ModelConfig
from a2d_tf.model.backbones import resnet
from a2d_tf.model.inference import infer
from a2d_tf.model.network import Network
from a2d_tf.pretrained import cache, coco, layouts, transfer
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.runs import coco_detector
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


class Comparison(NamedTuple):
    """Answers of our network and of matterport's on one image.

    Attributes:
      side: pixels of the image.
      made: ours.
      proposals: theirs, [60, 4], y1, x1, y2, x2 in pixels.
      shares: their class probabilities, [60, classes with background].
      deltas: of boxes, [60, classes with background, 4].
      masks: theirs in the boxes of our instances, [N, 28, 28, classes].
    """

    side: int
    made: Any
    proposals: np.ndarray
    shares: np.ndarray
    deltas: np.ndarray
    masks: np.ndarray

    def distances(self):
        """Largest difference of an edge of our proposals to one of theirs, [60, 60]."""
        ours = self.made.rois[0].numpy()
        return np.abs(ours[:, None] - self.proposals).max(axis=-1)

    def boxes(self, classes):
        """Their boxes [60, 4] of a class of each proposal, from the background on."""
        deltas = self.deltas[np.arange(60), classes] * [0.1, 0.1, 0.2, 0.2]
        return matterport_network.apply(self.proposals, deltas).clip(0, self.side)

    def instances(self, name):
        """A field of our instances, [N, ...]."""
        count = int(self.made.detections.number[0])
        fields = {**self.made.detections._asdict(), **self.made.detections.head_results}
        return fields[name][0, :count].numpy()


def compare(model, network, side, score_threshold):
    image = cv2.GaussianBlur(
        np.uint8(128 + 40 * normal(side, side, 3).clip(-3, 3)), (0, 0), 2
    )
    expected = matterport_network.run(model, image, SIDES, 60)
    clip = {"rgb": image[None, None], "size": np.int32([[side, side]])}
    settings = InferenceConfig(test_proposals=60, score_threshold=score_threshold)
    made = infer(network, clip, settings)
    boxes = made.detections.boxes[0, : int(made.detections.number[0])].numpy()
    return Comparison(
        side=side,
        made=made,
        proposals=side * expected["proposals"][0],
        shares=expected["class_probabilities"][0],
        deltas=expected["box_deltas"][0],
        masks=matterport_network.masks(model, image, expected["pyramid"], boxes),
    )


def assert_masks_agree(masks, expected):
    # A sample on the very edge may be outside for one of the two, on some processors.
    difference = np.abs(masks - expected)
    assert difference.mean() < 1e-4 and difference.max() < 0.05


@pytest.fixture(scope="module")
def weights(matterport):
    path = matterport[1]
    tensors = cache.read_tensors(path)
    return layouts.convert("matterport", tensors, path, "", sizes=SIZES)[0]


@pytest.fixture(scope="module")
def all_classes(matterport, weights):
    """A network of COCO's classes, before any training."""
    config = ModelConfig(
        image_height=128,
        image_width=128,
        use_flow=False,
        temporal_layers=0,
        **weights.model_fields(),
    )
    labels = LabelSpace.from_fields({"actors": [*coco.CLASSES], "actions": ["object"]})
    network = Network(config, labels)
    transfer.load(network, weights)
    return compare(matterport[0], network, side=128, score_threshold=0.02)


def test_proposals_are_matterports_to_half_a_pixel(all_classes):
    assert all_classes.made.valid.numpy().all()
    distances = all_classes.distances()
    assert distances.min(axis=0).max() < 0.5 and distances.min(axis=1).max() < 0.5


def test_scores_and_boxes_of_the_best_class_are_matterports(all_classes):
    ours = all_classes.distances().argmin(axis=0)
    best = all_classes.shares[:, 1:].argmax(axis=1)
    found = all_classes.made.table.class_boxes[0].numpy()[ours, best]
    assert np.abs(found - all_classes.boxes(1 + best)).max() < 0.5
    shares = all_classes.made.table.class_scores[0].numpy()[ours]
    close(shares, all_classes.shares[:, 1:])


def test_masks_are_matterports(all_classes):
    actors = all_classes.instances("actor")
    assert len(actors) > 3
    expected = all_classes.masks[np.arange(len(actors)), :, :, actors]
    assert_masks_agree(all_classes.instances("masks"), expected)


@pytest.fixture(scope="module")
def chosen_classes(matterport, weights, tmp_path_factory):
    """A network of four actors: one has two classes of COCO."""
    path = str(tmp_path_factory.mktemp("chosen") / "coco.h5")
    weights.write(path)
    actors = ["mouse=cat", "person", "thing=dog", "thing=apple"]
    network = coco_detector.load(path, {}, actors).network
    return compare(matterport[0], network, side=256, score_threshold=0.01)


COLUMNS_OF_ACTORS = [[16], [1], [17, 48]]  # of matterport's, from its background on


def test_chosen_classes_keep_their_scores_and_those_of_an_actor_add_up(chosen_classes):
    distances = chosen_classes.distances()
    ours = distances.argmin(axis=0)
    matches = distances.min(axis=0) < 0.5
    assert matches.sum() > 50
    scores = chosen_classes.made.table.actor_scores[0].numpy()[ours]
    for actor, columns in enumerate(COLUMNS_OF_ACTORS):
        expected = chosen_classes.shares[:, columns].sum(axis=1)
        np.testing.assert_allclose(scores[matches, actor], expected[matches], 1e-3)


def test_chosen_classes_keep_their_boxes(chosen_classes):
    distances = chosen_classes.distances()
    ours = distances.argmin(axis=0)
    matches = distances.min(axis=0) < 0.5
    boxes = chosen_classes.made.table.boxes[0].numpy()[ours]
    for actor, columns in enumerate(COLUMNS_OF_ACTORS):
        shares = chosen_classes.shares[:, columns]
        best = np.array(columns)[shares.argmax(axis=1)]
        difference = np.abs(boxes[:, actor] - chosen_classes.boxes(best))
        assert difference[matches].max() < 0.5


def test_chosen_classes_keep_their_masks(chosen_classes):
    classes = chosen_classes.instances("classes")
    actors = chosen_classes.instances("actor")
    assert {*zip(classes, actors)} == {(15, 1), (0, 2), (16, 3), (47, 3)}
    expected = chosen_classes.masks[np.arange(len(classes)), :, :, 1 + classes]
    assert_masks_agree(chosen_classes.instances("masks"), expected)


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
