"""Pictures of labels, detections and flow: pure functions from arrays to RGB uint8 images."""

import cv2
import numpy as np


def flow_to_rgb(flow, max_flow=None):
    """Colour flow by its direction (hue) and speed (saturation); no motion is white.

    Args:
      flow: float [H, W, 2], (u, v), pixels.
      max_flow: the speed of full saturation; by default the fastest in the picture.

    Returns:
      uint8 [H, W, 3]. Rightward motion is red, downward yellow-green, leftward cyan.
    """
    u, v = flow[..., 0].astype(np.float32), flow[..., 1].astype(np.float32)
    speed, angle = cv2.cartToPolar(u, v, angleInDegrees=True)
    limit = max_flow or max(float(speed.max()), 1e-6)
    hsv = np.stack([angle, np.minimum(speed / limit, 1), np.ones_like(speed)], axis=-1)
    return np.round(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)


def label_map_to_rgb(label_map, label_space):
    """Colour a map of codes [H, W] with the label space's palette: uint8 [H, W, 3]."""
    return label_space.palette[label_map]


def overlay_masks(rgb, codes, masks, label_space, alpha=0.5):
    """Tint instance masks in the colours of their codes.

    Args:
      rgb: uint8 [H, W, 3].
      codes: int [N].
      masks: [N, H, W], true or nonzero inside; later ones lie over earlier ones.
      label_space: gives the colours.
      alpha: opacity of the tint.

    Returns:
      uint8 [H, W, 3], a new image.
    """
    image = rgb.copy()
    for code, mask in zip(codes, masks):
        inside = np.asarray(mask) != 0
        tint = (1 - alpha) * image[inside] + alpha * _bright(label_space.palette[code])
        image[inside] = np.round(tint).astype(np.uint8)
    return image


def draw_boxes_with_names(rgb, boxes, codes, label_space, scores=None):
    """Draw boxes, each with the name of its code and its score.

    Args:
      rgb: uint8 [H, W, 3].
      boxes: [N, 4], y1, x1, y2, x2, pixels, half-open.
      codes: int [N].
      label_space: gives names and colours.
      scores: [N], 0..1, or None.

    Returns:
      uint8 [H, W, 3], a new image.
    """
    image = np.ascontiguousarray(rgb).copy()
    height, width = image.shape[:2]
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(0.35, height / 900)
    for i, (box, code) in enumerate(zip(boxes, codes)):
        colour = [int(c) for c in _bright(label_space.palette[code])]
        y1, x1, y2, x2 = (int(round(float(edge))) for edge in box)
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, max(1, height // 300))
        text = label_space.name(code)
        if scores is not None:
            text += f" {100 * float(scores[i]):.0f}%"
        (text_width, text_height), descent = cv2.getTextSize(text, font, scale, 1)
        # Above the box where there is room, else inside it; never over the right edge.
        left = max(0, min(x1, width - text_width))
        base = y1 - descent - 1 if y1 > text_height + descent else y1 + text_height + 1
        cv2.rectangle(
            image, (left, base - text_height), (left + text_width, base + descent), colour, -1
        )
        ink = (0, 0, 0) if np.dot(colour, (0.299, 0.587, 0.114)) > 128 else (255, 255, 255)
        cv2.putText(image, text, (left, base), font, scale, ink, 1, cv2.LINE_AA)
    return image


def draw_instances(rgb, boxes, codes, masks, label_space, scores=None):
    """Masks, boxes and names over a frame; the arguments are those of the two functions above."""
    image = overlay_masks(rgb, codes, masks, label_space)
    return draw_boxes_with_names(image, boxes, codes, label_space, scores)


def _bright(colour):
    """A palette colour at full brightness; A2D's own are partly too dark to be seen on a frame."""
    return np.round(colour * (255 / max(int(np.max(colour)), 1)))
