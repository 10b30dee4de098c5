"""Descriptions of inputs, outputs and signatures of a served network, for its users.

They are written into `a2d_tf.json` of each export. In them B is the number of clips or
frames, L the number of the network's temporal layers, so that a clip has 2L + 1 frames;
N the number of rows for instances, |X| the number of actors, and |Y| of actions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from a2d_tf.ops.motion_maps import (
    BLOCK,
    FLOW_HISTOGRAMS,
    FLOW_SPAN,
    LONGEST_SIDE,
    MIXED_4F,
    MIXED_5C,
    MULTIPLE,
    SHORT_SIDE,
    SPAN,
    MotionMap,
)
from a2d_tf.serving.signatures import SERVING_DEFAULT

if TYPE_CHECKING:
    from a2d_tf.model.network import Network

INPUTS = {
    "rgb": "uint8 [B, T, H, W, 3], any H and W, T >= 2L + 1; the key frame is T // 2",
    "flow": (
        "float32 [B, T, H, W, 2], (u, v), u right and v down, pixels of these frames:"
        " how far each pixel has moved since the previous source frame (computed back"
        " in time, and negated); zero for the first frame and where a neighbour is"
        " missing"
    ),
}
OUTPUTS = {
    "boxes": (
        "float32 [B, N, 4], y1, x1, y2, x2, pixels of the input, 0-based half-open"
    ),
    "actor": "int32 [B, N], 1-based; 0 in unused rows, as in action and code",
    "action": "int32 [B, N], 1-based",
    "code": "int32 [B, N], base * actor + action",
    "score": "float32 [B, N], of the pair",
    "actor_scores": "float32 [B, N, |X|], p(actor)",
    "action_scores": "float32 [B, N, |Y|], p(action)",
    "masks": "float32 [B, N, 28, 28], probabilities inside the box",
    "num_detections": "int32 [B], rows in use, the first ones",
    "label_map": (
        "codes [B, H, W], uint8, or uint16 where codes need it; 0 is background"
    ),
}
SIGNATURES = {
    SERVING_DEFAULT: "rgb and flow of a clip -> the outputs",
    "encoded": (
        "images, string [B, T], JPEG or PNG, decoded without regard to EXIF, and flow"
        " as above or, one vector for a whole frame, [B, T, 1, 1, 2]; where flow cannot"
        " be had send zeros: actors, boxes and masks do not depend on it, actions are"
        " then those of a still scene"
    ),
    "stream": (
        "rgb [B, H, W, 3] and flow [B, H, W, 2] of the next frame of B videos, size as"
        " for key_frame, and every state_* of the answer before (zeros to begin a"
        " video) -> state_* for the next call, the outputs, and number, int32 [B]: of"
        " which frame they are, from 1 on; below 1 they are zeros. It lags by L *"
        " clip_stride frames: after the last frame of a video repeat it so often with a"
        " flow of zeros"
    ),
    "frame": (
        "rgb [B, H, W, 3] and flow [B, H, W, 2] of one frame of B videos -> what"
        " key_frame needs of it: flow_p2 ... flow_p5 are of the flow, all else is of"
        " the image"
    ),
    "key_frame": (
        "the outputs of frame for the 2L + 1 frames of a clip, each stacked on axis 1,"
        " and size, int32 [2], the height and width in whose pixels to answer -> the"
        " outputs; for a missing neighbour take the nearest frame, with the flow_p* of"
        " a frame whose flow is zero"
    ),
    "boxes": (
        "what key_frame takes, and boxes, float32 [B, N, 4], y1, x1, y2, x2, pixels of"
        " size, and num_boxes, int32 [B], how many of them count, the first ones; N is"
        " at least 1 -> the outputs, a row for each box in the order of the boxes."
        " Each is taken for an instance: background has no share in p(actor) and"
        " p(action), and no threshold holds"
    ),
}


def _map_shape(kind: MotionMap) -> str:
    """Return a map's name and the shape of what is made of a block."""
    number = BLOCK // kind.frames
    return f"{kind.name} [B, {number}, h / {kind.stride}, w / {kind.stride}, C]"


# Of a network that reads motion maps.
_SEEN_MOTION = (
    ". The clip is taken as a whole video, and only the 2L + 1 frames in the middle are"
    f" seen but for motion, which is seen in the frames up to T // 2 - {SPAN} and T //"
    f" 2 + {SPAN} and in those of their blocks of {BLOCK} frames"
)
_BLOCK = (
    f"rgb, uint8 [B, {BLOCK}, h, w, 3], the frames {BLOCK} b to {BLOCK} b + {BLOCK - 1}"
    f" of B videos, resized so that the shorter side has {SHORT_SIDE} pixels, and the"
    f" longer one a multiple of {MULTIPLE} next to the aspect, at most {LONGEST_SIDE};"
    " copies of its last frame fill up the last block of a video ->"
    f" {_map_shape(MIXED_4F)}, each map of {MIXED_4F.frames} frames, and"
    f" {_map_shape(MIXED_5C)}, each of {MIXED_5C.frames} frames"
)
_HISTOGRAMS = (
    "flow [B, h, w, 2] of frames resized as for block, from the frame before ->"
    f" {FLOW_HISTOGRAMS.name} [B, h / {FLOW_HISTOGRAMS.stride}, w /"
    f" {FLOW_HISTOGRAMS.stride}, {FLOW_HISTOGRAMS.channels}]"
)
_MOTION_OF_KEY_FRAME = (
    "; and motion_size, int32 [B, 2], the h and w of block; and each map of block,"
    f" averaged over those whose middle is at most {SPAN} frames before or after the"
    f" key frame, maps of padding alone left out; and {FLOW_HISTOGRAMS.name}, averaged"
    " over the pairs of frames (2 j, 2 j + 1) whose middle is at most"
    f" {FLOW_SPAN} frames away, zeros without any. There is no stream"
)


class Description(NamedTuple):
    """What a served network takes and answers, in words.

    Attributes:
      inputs: {name of an input of `serving_default`: its shape, type and meaning}.
      outputs: {name of an output: its shape, type and meaning}.
      signatures: {name of a signature: what it takes -> what it returns}.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]
    signatures: dict[str, str]


def describe_network(network: Network) -> Description:
    """Describe the inputs, outputs and signatures that a network has when it is served.

    They depend on whether it reads motion maps, and of which kinds.
    """
    inputs = dict(INPUTS)
    signatures = dict(SIGNATURES)
    if network.motion_readout is not None:
        inputs["rgb"] += _SEEN_MOTION
        signatures["key_frame"] += _MOTION_OF_KEY_FRAME
        if network.action_backbone is not None:
            signatures["block"] = _BLOCK
        if network.model_config.flow_histograms:
            signatures["histograms"] = _HISTOGRAMS
        del signatures["stream"]
    return Description(inputs, OUTPUTS, signatures)
