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

    Names go above their box where there is room, else inside it or below it, and not over another
    name where that can be helped.

    Args:
      rgb: uint8 [H, W, 3].
      boxes: [N, 4], y1, x1, y2, x2, pixels, half-open; later ones lie over earlier ones.
      codes: int [N].
      label_space: gives names and colours.
      scores: [N], 0..1, or None.

    Returns:
      uint8 [H, W, 3], a new image.
    """
    image = np.ascontiguousarray(rgb).copy()
    edges = np.round(np.asarray(boxes, np.float64).reshape(-1, 4)).astype(int).tolist()
    colours = [[int(c) for c in _bright(label_space.palette[code])] for code in codes]
    thickness = max(1, round(image.shape[0] / 320))
    for (y1, x1, y2, x2), colour in zip(edges, colours):
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, thickness)
    texts = [label_space.name(code) for code in codes]
    if scores is not None:
        texts = [f"{text} {100 * float(score):.0f}%" for text, score in zip(texts, scores)]
    taken = []
    # The last box lies on top, so its name chooses its place first.
    for text, edge, colour in list(zip(texts, edges, colours))[::-1]:
        taken.append(_draw_name(image, text, edge, colour, taken))
    return image


def _draw_name(image, text, box, colour, taken):
    """Write a name at its box and off the `taken` rectangles; returns its own (x1, y1, x2, y2)."""
    height, width = image.shape[:2]
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(0.42, height / 800)
    thickness = max(1, round(2 * scale))
    (across, tall), descent = cv2.getTextSize(text, font, scale, thickness)
    tall += descent + 2
    y1, x1, y2, _ = box
    left = max(0, min(x1, width - across - 2))
    places = [
        (left, top, left + across + 2, top + tall)
        for top in (y1 - tall, y1, y2 - tall, y2, y1 + tall)
        if 0 <= top <= height - tall
    ] or [(left, 0, left + across + 2, tall)]

    def covered(place):
        return sum(
            max(0, min(place[2], other[2]) - max(place[0], other[0]))
            * max(0, min(place[3], other[3]) - max(place[1], other[1]))
            for other in taken
        )

    place = min(places, key=covered)
    # OpenCV's lower right corner is inclusive.
    cv2.rectangle(image, place[:2], (place[2] - 1, place[3] - 1), colour, -1)
    ink = (0, 0, 0) if np.dot(colour, (0.299, 0.587, 0.114)) > 128 else (255, 255, 255)
    base = (place[0] + 1, place[3] - descent - 1)
    cv2.putText(image, text, base, font, scale, ink, thickness, cv2.LINE_AA)
    return place


def draw_instances(rgb, boxes, codes, masks, label_space, scores=None):
    """Masks, boxes and names over a frame; the arguments are those of the two functions above."""
    image = overlay_masks(rgb, codes, masks, label_space)
    return draw_boxes_with_names(image, boxes, codes, label_space, scores)


def _bright(colour):
    """A palette colour at full brightness; A2D's own are partly too dark to be seen on a frame."""
    return np.round(colour * (255 / max(int(np.max(colour)), 1)))
