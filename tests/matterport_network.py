"""An oracle: matterport's Mask R-CNN, release 2.0, in plain Keras and NumPy.

Tests compare our network with it. Boxes are half-open pixels, (y1, x1, y2, x2); those
of RoIAlign are divided by the sides of the image. Layers carry matterport's names, so
that Keras itself lays the file out as matterport's is.
"""

import numpy as np
import tensorflow as tf

KL = tf.keras.layers
MEAN = np.float32([123.7, 116.8, 103.9])
ANCHORS = 3


def _norm(name):
    return KL.BatchNormalization(epsilon=1e-3, name=name)


def _block(x, filters, stage, letter, strides, project):
    def conv(x, filters, size, branch, strides=1):
        x = KL.Conv2D(
            filters,
            size,
            strides,
            padding="same",
            name=f"res{stage}{letter}_branch{branch}",
        )(x)
        return _norm(f"bn{stage}{letter}_branch{branch}")(x)

    y = KL.ReLU()(conv(x, filters, 1, "2a", strides))
    y = KL.ReLU()(conv(y, filters, 3, "2b"))
    y = conv(y, 4 * filters, 1, "2c")
    if project:
        x = conv(x, 4 * filters, 1, "1", strides)
    return KL.ReLU()(KL.Add()([y, x]))


def rpn_model(sizes):
    """Build the region proposal network, a Keras model of one level of the pyramid.

    It takes a map [B, h, w, C], and gives logits [B, A, 2] and box deltas [B, A, 4].

    Args:
      sizes: `layouts.Sizes`, the numbers of channels.
    """
    x = tf.keras.Input([None, None, sizes.pyramid])
    hidden = KL.Conv2D(
        sizes.proposals, 3, padding="same", activation="relu", name="rpn_conv_shared"
    )(x)
    logits = KL.Conv2D(2 * ANCHORS, 1, name="rpn_class_raw")(hidden)
    deltas = KL.Conv2D(4 * ANCHORS, 1, name="rpn_bbox_pred")(hidden)
    return tf.keras.Model(
        x, [KL.Reshape([-1, 2])(logits), KL.Reshape([-1, 4])(deltas)], name="rpn_model"
    )


def build(sizes, blocks):
    """Build a Keras model of all layers, from an image and the cells of RoIs.

    Args:
      sizes: `layouts.Sizes`, the numbers of channels and classes.
      blocks: number of residual blocks of each of the four stages.

    Returns:
      a model that takes an image [1, S, S, 3], cells [1, N, 7, 7, C] for the box head
      and cells [1, N, 14, 14, C] for the mask head, and returns a dict of the outputs.
    """
    image = tf.keras.Input([None, None, 3])
    x = KL.ZeroPadding2D(3)(image)
    width = round(64 * sizes.width_multiplier)
    x = KL.ReLU()(_norm("bn_conv1")(KL.Conv2D(width, 7, 2, name="conv1")(x)))
    x = KL.MaxPooling2D(3, 2, padding="same")(x)
    maps = []
    for stage, count in enumerate(blocks, 2):
        for block in range(count):
            strides = 2 if block == 0 and stage > 2 else 1
            x = _block(
                x, width * 2 ** (stage - 2), stage, chr(97 + block), strides, block == 0
            )
        maps.append(x)
    top, pyramid = None, []
    for level in (5, 4, 3, 2):
        lateral = KL.Conv2D(sizes.pyramid, 1, name=f"fpn_c{level}p{level}")(
            maps[level - 2]
        )
        top = lateral if top is None else KL.Add()([KL.UpSampling2D(2)(top), lateral])
        pyramid.insert(
            0, KL.Conv2D(sizes.pyramid, 3, padding="same", name=f"fpn_p{level}")(top)
        )
    pyramid.append(KL.MaxPooling2D(1, 2)(pyramid[-1]))
    rpn = rpn_model(sizes)
    pairs = [rpn(level) for level in pyramid]
    logits, deltas = (KL.Concatenate(axis=1)(list(x)) for x in zip(*pairs))

    classes, each = sizes.classes + 1, KL.TimeDistributed
    cells = tf.keras.Input([None, 7, 7, sizes.pyramid])
    x = each(KL.Conv2D(sizes.head, 7), name="mrcnn_class_conv1")(cells)
    x = KL.ReLU()(each(_norm(None), name="mrcnn_class_bn1")(x))
    x = each(KL.Conv2D(sizes.head, 1), name="mrcnn_class_conv2")(x)
    x = KL.ReLU()(each(_norm(None), name="mrcnn_class_bn2")(x))
    x = KL.Reshape([-1, sizes.head])(x)
    scores = each(KL.Dense(classes), name="mrcnn_class_logits")(x)
    boxes = each(KL.Dense(4 * classes), name="mrcnn_bbox_fc")(x)

    large = tf.keras.Input([None, 14, 14, sizes.pyramid])
    x = large
    for number in range(1, 5):
        x = each(
            KL.Conv2D(sizes.mask, 3, padding="same"), name=f"mrcnn_mask_conv{number}"
        )(x)
        x = KL.ReLU()(each(_norm(None), name=f"mrcnn_mask_bn{number}")(x))
    x = each(
        KL.Conv2DTranspose(sizes.mask, 2, 2, activation="relu"),
        name="mrcnn_mask_deconv",
    )(x)
    masks = each(KL.Conv2D(classes, 1, activation="sigmoid"), name="mrcnn_mask")(x)
    return tf.keras.Model(
        [image, cells, large],
        {
            "pyramid": pyramid,
            "rpn_logits": logits,
            "rpn_deltas": deltas,
            "class_probabilities": tf.nn.softmax(scores),
            "box_deltas": boxes,
            "masks": masks,
        },
    )


def randomise(model, seed=0):
    """Set random weights and statistics, of a size that keeps activations near one."""
    rng = np.random.default_rng(seed)
    for v in model.weights:
        name, shape = v.name.split("/")[-1], v.shape
        if "kernel" in name:
            fan = np.prod(shape[:-1]) if len(shape) > 2 else shape[0]
            value = rng.normal(0, fan**-0.5, shape) / (
                64 if v.name.startswith("conv1/") else 1
            )
        elif "variance" in name or "gamma" in name:
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.normal(0, 0.2, shape)
        v.assign(value)


def anchors(size, sides):
    """Return the anchors of all levels in pixels, [A, 4], (y1, x1, y2, x2).

    Args:
      size: side of the square image, in pixels.
      sides: side of the anchors of each level, in pixels.
    """
    made = []
    for side, stride in zip(sides, (4, 8, 16, 32, 64)):
        for y in range(0, size, stride):
            for x in range(0, size, stride):
                for ratio in (0.5, 1, 2):
                    h, w = side / ratio**0.5, side * ratio**0.5
                    made.append([y - h / 2, x - w / 2, y + h / 2, x + w / 2])
    return np.array(made)


def apply(boxes, deltas):
    """Move boxes [N, 4] by deltas [N, 4], (dy, dx, log dh, log dw).

    The deltas are already multiplied by .1, .1, .2, .2.
    """
    h, w = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    y = boxes[:, 0] + h / 2 + deltas[:, 0] * h
    x = boxes[:, 1] + w / 2 + deltas[:, 1] * w
    h, w = h * np.exp(deltas[:, 2]), w * np.exp(deltas[:, 3])
    return np.stack([y - h / 2, x - w / 2, y + h / 2, x + w / 2], axis=1)


def suppress(boxes, scores, most, threshold):
    """Return the indices of the boxes that a greedy suppression keeps, best first.

    Args:
      boxes: [N, 4].
      scores: [N].
      most: most boxes to keep.
      threshold: IoU with a kept box above which a box is left out.
    """
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        for j in kept:
            y1, x1 = np.maximum(boxes[i, :2], boxes[j, :2])
            y2, x2 = np.minimum(boxes[i, 2:], boxes[j, 2:])
            inner = max(y2 - y1, 0) * max(x2 - x1, 0)
            areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (boxes[i], boxes[j])]
            if min(areas) > 0 and inner / (sum(areas) - inner) > threshold:
                break
        else:
            kept.append(i)
        if len(kept) == most:
            break
    return kept


def propose(logits, deltas, size, sides, count):
    """Return the proposals of the region proposal network, [count, 4].

    They are in shares of the image's side; rows behind the last proposal are zeros.

    Args:
      logits: [A, 2], of background and object.
      deltas: [A, 4].
      size: side of the square image, in pixels.
      sides: side of the anchors of each level, in pixels.
      count: number of rows.
    """
    scores = (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))[:, 1]
    boxes = apply(anchors(size, sides), deltas * [0.1, 0.1, 0.2, 0.2])
    best = np.argsort(-scores, kind="stable")[:6000]
    boxes = np.clip(boxes[best], 0, size) / size
    kept = suppress(boxes, scores[best], count, 0.7)
    return np.pad(boxes[kept], [(0, count - len(kept)), (0, 0)])


def crop(pyramid, boxes, cells, size):
    """Read the pyramid once in each cell of RoIs: [N, cells, cells, C].

    Corners are aligned, and the maps are zero outside.

    Args:
      pyramid: maps P2 to P5, [1, h, w, C] each.
      boxes: RoIs, [N, 4], in shares of the side.
      cells: number of cells along each side of an RoI.
      size: side of the square image, in pixels.
    """
    made = []
    for box in boxes:
        side = np.sqrt((box[2] - box[0]) * (box[3] - box[1]))
        octave = np.log2(max(side, 1e-9) / (224 / size))
        level = int(np.clip(4 + np.round(octave), 2, 5))
        feature = pyramid[level - 2][0]
        height, width, _ = feature.shape

        def weights(first, last, length):
            places = (first + (last - first) * np.arange(cells) / (cells - 1)) * (
                length - 1
            )
            near = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(length)))
            return near * ((places >= 0) & (places <= length - 1))[:, None]

        rows, columns = weights(box[0], box[2], height), weights(box[1], box[3], width)
        made.append(np.einsum("ih,hwc,jw->ijc", rows, feature, columns))
    return np.array(made, np.float32)


def stages(model, canvas, cells, large):
    """Run the Keras model, and return its outputs as arrays.

    Args:
      model: the model of `build`.
      canvas: the image, uint8 [S, S, 3].
      cells: [N, 7, 7, C], for the box head.
      large: [N, 14, 14, C], for the mask head.
    """
    found = model([(canvas - MEAN)[None], cells[None], large[None]], training=False)
    return {
        name: [y.numpy() for y in x] if isinstance(x, list) else x.numpy()
        for name, x in found.items()
    }


def run(model, canvas, sides, count):
    """Run the pyramid, the proposals and the box head of the network on an image.

    Args:
      model: the model of `build`.
      canvas: the image, uint8 [S, S, 3].
      sides: side of the anchors of each level, in pixels.
      count: number of proposals.

    Returns:
      {name: array}: the outputs of `build` with "proposals" [1, count, 4] in shares,
      and "class_probabilities" and "box_deltas" of these.
    """
    size, channels = canvas.shape[0], model.inputs[1].shape[-1]
    none = np.zeros([1, 14, 14, channels], "f")
    made = stages(model, canvas, none[:, :7, :7], none)
    rois = propose(made["rpn_logits"][0], made["rpn_deltas"][0], size, sides, count)
    heads = stages(model, canvas, crop(made["pyramid"], rois, 7, size), none)
    made.update(proposals=rois[None], class_probabilities=heads["class_probabilities"])
    return {**made, "box_deltas": heads["box_deltas"].reshape(1, count, -1, 4)}


def masks(model, canvas, pyramid, boxes):
    """Return the masks of boxes, [N, 28, 28, classes], each pixel from 0 to 1.

    Args:
      model: the model of `build`.
      canvas: the image, uint8 [S, S, 3].
      pyramid: maps P2 to P5 of the image.
      boxes: [N, 4], in pixels.
    """
    size = canvas.shape[0]
    large = crop(pyramid, boxes / size, 14, size)
    small = np.zeros([1, 7, 7, large.shape[-1]], "f")
    return stages(model, canvas, small, large)["masks"][0]
