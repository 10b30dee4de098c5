"""RoIAlign over a feature pyramid, built on `tf.image.crop_and_resize` (paper, section 3.1).

The sampling grid. Let pixel i of a map cover [i, i + 1), its value at the centre i + 1/2. A box
side [a, b) in map pixels is cut into m = 2n intervals of s = (b - a) / m (n output cells with two
samples each), and the k-th sample lies at the interval's centre, a + (k + 1/2) s, which is index
a + (k + 1/2) s - 1/2 on the grid of pixel centres. `crop_and_resize` samples, on a map with H rows,
at indices y1 (H - 1) + k (y2 - y1) (H - 1) / (m - 1), hence

    y1 = (a + s/2 - 1/2) / (H - 1)        y2 = y1 + s (m - 1) / (H - 1).

Outside the map the op reads zeros, and a sample of a border box lies up to half a pixel outside.
So the map is first padded by its own edge, by one, and boxes move by one with it. This is
ROIAlign "v2, aligned" with sampling ratio 2; average pooling 2x2 gives the n x n cells.

`legacy` is matterport's flavour, which its published weights want: one corner-aligned sample a
cell, boxes normalised as (y1, x1, y2 - 1, x2 - 1) / (H - 1, W - 1) of the image, levels rounded.
"""

import tensorflow as tf

from a2d_tf.ops import boxes as box_ops


def assign_levels(boxes, num_levels, flavour="aligned", image_size=None):
    """Pyramid level of each box, as an index into levels of stride 4, 8, 16, ...

    aligned: floor(4 + log2(sqrt(h w) / 224)), Lin et al. 2017, Eq. 1, with 224 pixels at stride 16.
    legacy: round(4 + log2(sqrt(h w / (H W)) / (224 / sqrt(H W)))) of the box in legacy coordinates.

    Args:
      boxes: [..., 4] in image pixels.
      num_levels: how many levels there are; the index is clamped to them.
      image_size: (height, width), needed by the legacy flavour only.

    Returns:
      int32 [...].
    """
    if flavour == "legacy":
        boxes = legacy_normalise(boxes, image_size)
        scale = 224.0 / (image_size[0] * image_size[1]) ** 0.5
    else:
        scale = 224.0
    side = tf.sqrt(tf.maximum(box_ops.area(boxes), 1e-12))
    octaves = tf.math.log(side / scale) / tf.math.log(2.0)
    # The small addend keeps a side of exactly 224 / 2**k on its own level in float32.
    octaves = tf.round(octaves) if flavour == "legacy" else tf.floor(octaves + 1e-6)
    return tf.cast(tf.clip_by_value(octaves + 2.0, 0.0, num_levels - 1.0), tf.int32)


def legacy_normalise(boxes, image_size):
    """Half-open pixel boxes [..., 4] in matterport 2.1's coordinates of 0..1."""
    height, width = image_size
    scale = tf.constant([height - 1, width - 1, height - 1, width - 1], tf.float32)
    return box_ops.to_inclusive(boxes) / scale


def crop(features, boxes, box_indices, samples):
    """`samples` x `samples` bilinear samples of each box, aligned and safe at the border.

    Args:
      features: [N, H, W, C], any float type; sampled in float32.
      boxes: float32 [R, 4] in pixels of this map, inside it.
      box_indices: int32 [R], the map of each box.
      samples: m of the module docstring.

    Returns:
      float32 [R, m, m, C].
    """
    features = tf.pad(tf.cast(features, tf.float32), [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    shape = tf.shape(features)
    span = tf.cast(shape[1:3] - 1, tf.float32)
    step = (boxes[:, 2:] - boxes[:, :2]) / samples
    first = (boxes[:, :2] + 0.5 * step + 0.5) / span
    last = first + step * (samples - 1) / span
    normalised = tf.concat([first, last], axis=1)
    return tf.image.crop_and_resize(features, normalised, box_indices, [samples, samples])


def roi_align(pyramid, rois, size, flavour="aligned", image_size=None):
    """Features of each RoI, from the pyramid level that its size calls for.

    Args:
      pyramid: list of [B, H_l, W_l, C], of strides 4, 8, 16, ...
      rois: float32 [B, R, 4] in image pixels, finite.
      size: n, cells a side.
      flavour: 'aligned' or 'legacy', see the module docstring.
      image_size: (height, width) of the image, needed by the legacy flavour only.

    Returns:
      float32 [B, R, n, n, C].
    """
    batch, count = tf.shape(rois)[0], tf.shape(rois)[1]
    flat = tf.reshape(rois, [-1, 4])
    levels = assign_levels(flat, len(pyramid), flavour, image_size)
    owners = tf.repeat(tf.range(batch), count)
    crops, order = [], []
    for level, features in enumerate(pyramid):
        here = tf.where(levels == level)[:, 0]
        boxes, box_indices = tf.gather(flat, here), tf.gather(owners, here)
        if flavour == "legacy":
            boxes = legacy_normalise(boxes, image_size)
            cells = tf.image.crop_and_resize(
                tf.cast(features, tf.float32), boxes, box_indices, [size, size]
            )
        else:
            cells = crop(features, boxes / 4.0 / 2.0**level, box_indices, 2 * size)
        crops.append(cells)
        order.append(tf.cast(here, tf.int32))
    cells = tf.gather(
        tf.concat(crops, axis=0), tf.math.invert_permutation(tf.concat(order, axis=0))
    )
    if flavour == "aligned":
        cells = tf.nn.avg_pool2d(cells, 2, 2, "VALID")
    channels = pyramid[0].shape[-1]
    cells = tf.reshape(cells, [batch, count, size, size, channels])
    return tf.ensure_shape(cells, [rois.shape[0], rois.shape[1], size, size, channels])
