"""Operations beside torchvision's on random inputs; a backbone beside its package's."""

import numpy as np
import public_networks
import pytest
import tensorflow as tf

from a2d_tf.model.backbones import CONVENTIONS
from a2d_tf.model.heads.proposals import Proposals
from a2d_tf.model.structures import Features
from a2d_tf.ops import anchors, roi_align
from a2d_tf.ops.boxes import BoxCoder
from a2d_tf.pretrained import cache, layouts

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

IMAGE = (256, 320)
XY = [1, 0, 3, 2]
WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def boxes(count, seed=0):
    """float32 [count, 4] inside the image, small ones as likely as large ones."""
    rng = np.random.default_rng(seed)
    sides = np.minimum(np.exp(rng.uniform(np.log(6), np.log(250), (count, 2))), IMAGE)
    corners = rng.uniform(0, IMAGE - sides)
    return np.hstack([corners, corners + sides]).astype(np.float32)


def assert_near(ours, theirs, bound):
    """The largest difference is at most `bound` of the largest value."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= bound * np.abs(theirs).max()


def test_roi_align():
    rng, rois = np.random.default_rng(0), boxes(200)
    pyramid = [
        rng.normal(size=(1, IMAGE[0] // stride, IMAGE[1] // stride, 8)).astype(
            np.float32
        )
        for stride in anchors.STRIDES[:4]
    ]
    ours = roi_align.roi_align(
        [tf.constant(x) for x in pyramid],
        tf.constant(rois[None]),
        size=7,
        convention="aligned",
        image_size=IMAGE,
    ).numpy()[0]
    levels, theirs = (
        roi_align.assign_levels(tf.constant(rois), 4).numpy(),
        np.zeros_like(ours),
    )
    for level, features in enumerate(pyramid):
        here = levels == level
        cells = torchvision.ops.roi_align(
            torch.from_numpy(features.transpose(0, 3, 1, 2).copy()),
            [torch.from_numpy(rois[here][:, XY])],
            7,
            0.25 / 2**level,
            sampling_ratio=2,
            aligned=True,
        )
        theirs[here] = cells.numpy().transpose(0, 2, 3, 1)
    assert_near(ours, theirs, 5e-5)


def test_suppression_of_proposals():
    given = boxes(2000)
    scores = np.random.default_rng(1).normal(size=len(given)).astype(np.float32)
    head = Proposals(given, ((8.0,),), BoxCoder((1.0, 1.0, 1.0, 1.0)))
    features = Features(
        actor=[],
        action=[],
        rpn_logits=tf.constant(scores[None]),
        rpn_deltas=tf.zeros([1, len(given), 4]),
    )
    rois, valid = head.decode(
        features, tf.constant([IMAGE]), before_nms=len(given), after_nms=300
    )
    kept = torchvision.ops.nms(
        torch.from_numpy(given[:, XY]), torch.from_numpy(scores), 0.7
    )
    theirs = given[kept.numpy()[:300]]
    np.testing.assert_allclose(rois.numpy()[0][valid.numpy()[0]], theirs, atol=1e-3)


def test_anchors():
    """In torchvision's order (level, row, column, ratio); it rounds to pixels."""
    from torchvision.models.detection import anchor_utils, image_list

    sizes = (16, 32, 64, 128, 256)
    shapes = [(-(-IMAGE[0] // s), -(-IMAGE[1] // s)) for s in anchors.STRIDES]
    # Its ratio is height / width.
    ratios = tuple(1 / ratio for ratio in anchors.RATIOS)
    generator = anchor_utils.AnchorGenerator([(side,) for side in sizes], [ratios] * 5)
    images = image_list.ImageList(torch.zeros(1, 3, *IMAGE), [IMAGE])
    maps = [torch.zeros(1, 1, *shape) for shape in shapes]
    theirs = generator(images, maps)[0].numpy()
    ours = anchors.generate(shapes, anchors.STRIDES, sizes)
    np.testing.assert_allclose(ours, theirs[:, XY], rtol=0, atol=0.5)


def test_box_coder():
    from torchvision.models.detection._utils import BoxCoder as Theirs

    ours, theirs, references = BoxCoder(WEIGHTS), Theirs(WEIGHTS), boxes(300, seed=1)
    # Some deltas are beyond the largest scale, which both bound.
    deltas = np.random.default_rng(2).normal(0, 6, (300, 4)).astype(np.float32)

    def xy(array):
        return torch.from_numpy(array[:, XY].copy())

    encoded = theirs.encode_single(xy(boxes(300)), xy(references)).numpy()[:, XY]
    assert_near(
        ours.encode(tf.constant(boxes(300)), tf.constant(references)), encoded, 1e-5
    )
    decoded = theirs.decode_single(xy(deltas), xy(references)).numpy()[:, XY]
    assert_near(
        ours.decode(tf.constant(deltas), tf.constant(references)), decoded, 1e-5
    )


@pytest.mark.parametrize("variant", ["lite0", "lite2"])
def test_efficientnet(variant):
    path = cache.installed(variant)
    if path is None:
        pytest.skip(f"{variant} is not installed; see requirements-bench.txt")
    tensors = cache.read_tensors(str(path))
    made, _, _ = layouts.convert(f"efficientnet_{variant}", tensors, str(path))
    rgb = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype("f")
    pixels = CONVENTIONS[made.source].preprocess(tf.constant(rgb))
    theirs = public_networks.lite_maps(variant, str(path), pixels.numpy())
    for mine, other in zip(public_networks.ours(made, (64, 96))(rgb), theirs):
        assert_near(mine, other, 1e-4)
