"""The submodels in front of the heads' own: backbones, temporal fusion, RPN, RoI heads.

They are separate models because training samples RoIs between the features and the
heads.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from a2d_tf.model import fpn, temporal
from a2d_tf.model.building import Builder
from a2d_tf.model.heads.action import ActionHead
from a2d_tf.model.heads.actor import ActorHead
from a2d_tf.model.heads.proposals import Proposals
from a2d_tf.model.joined_norms import JoinedNorms
from a2d_tf.model.readout.readout import LEVELS, Readout


class Backbones(NamedTuple):
    """The backbones with their feature pyramids, as `build_backbones` returns them.

    Attributes:
      model: the submodel from frames to pyramids: {rgb uint8 [N, H, W, 3], flow float32
        [N, H, W, 2]} -> {actor, rgb, flow: lists P2 to P5; labels: the readout's maps},
        see `Network`.
      maps: C2 to C5 of every backbone as symbolic outputs of layers of `model`. They
        tell which layers belong to backbones.
      readout_maps: the model from RGB uint8 [N, H, W, 3] to C4 and C5 of the appearance
        backbone, the features that the readout is fitted to; None without a readout.
    """

    model: JoinedNorms
    maps: list[tf.Tensor]
    readout_maps: tf.keras.Model | None


def build_backbones(builder: Builder, readout: Readout | None) -> Backbones:
    """Build appearance and motion backbones, each with its pyramid (paper, 3.1, 3.2).

    Args:
      builder: builds backbones by the settings of the network.
      readout: the readout, whose layers read C4 and C5 of the appearance backbone; None
        if the network has none.
    """
    config = builder.config
    rgb = builder.rgb()
    inputs = {"rgb": rgb}
    pixels = builder.convention.preprocess(rgb)
    rgb_maps = builder.backbone(pixels, "rgb", config.norm)
    all_maps = [*rgb_maps]
    outputs = {"actor": fpn.fpn(rgb_maps, config.fpn_channels, "rgb_fpn")}

    readout_maps = None
    if readout is not None:
        maps_to_read = [rgb_maps[level - 2] for level in LEVELS]
        readout_maps = tf.keras.Model(rgb, maps_to_read)
        outputs["labels"] = readout.build_layers(maps_to_read)

    # The appearance pyramid of the action branch.
    if config.action_topdown == "shared":
        outputs["rgb"] = outputs["actor"]
    else:
        action_maps = rgb_maps
        if config.action_topdown == "own_backbone":
            action_maps = builder.backbone(pixels, "action", config.norm)
            all_maps += action_maps
        outputs["rgb"] = fpn.fpn(action_maps, config.fpn_channels, "action_fpn")

    if config.use_flow:
        flow = builder.flow()
        inputs["flow"] = flow
        vectors = _scale_flow(flow, config.flow_scale, config.flow_bound)
        flow_maps = builder.backbone(vectors, "flow", config.motion_norm)
        all_maps += flow_maps
        outputs["flow"] = fpn.fpn(flow_maps, config.fpn_channels, "flow_fpn")
    model = JoinedNorms(inputs, outputs, name="backbones", on_gpu=builder.on_gpu)
    return Backbones(model, all_maps, readout_maps)


def build_temporal_fusion(builder: Builder) -> JoinedNorms:
    """Build the aggregation over 2L + 1 frames and the fusion of the streams (3.2).

    Args:
      builder: builds inputs by the settings of the network.

    Returns:
      the submodel {rgb, flow: pyramids of [B, 2L + 1, h, w, C]} -> the action branch's
      pyramid, a list of [B, h, w, C or 2C]; RGB's channels come before those of flow.
      Without the motion stream it has no input `flow`.
    """
    config = builder.config
    inputs = {"rgb": builder.pyramid(frames=config.frames)}
    if config.use_flow:
        inputs["flow"] = builder.pyramid(frames=config.frames)

    def aggregate(stream: str) -> list[tf.Tensor]:
        return temporal.aggregate(
            inputs[stream], config.temporal_layers, config.temporal_init, stream
        )

    fused = aggregate("rgb")
    if config.use_flow:
        levels = zip(fused, aggregate("flow"))
        fused = [tf.concat([rgb, flow], axis=-1) for rgb, flow in levels]
    return JoinedNorms(inputs, fused, name="temporal_fusion", on_gpu=builder.on_gpu)


def build_rpn(builder: Builder, proposals: Proposals) -> JoinedNorms:
    """Build the region proposal network over the appearance pyramid (paper, 3.1).

    P6 is every second cell of P5, as in Mask R-CNN.

    Args:
      builder: builds inputs by the settings of the network.
      proposals: the proposal head, which builds the layers.

    Returns:
      the submodel P2 to P5, a list of [B, h, w, C] -> (objectness logits float32 [B,
      A], deltas (dy, dx, dh, dw) float32 [B, A, 4]) of all A anchors of P2 to P6.
    """
    pyramid = builder.pyramid()
    p6 = pyramid[-1][:, ::2, ::2, :]
    outputs = proposals.build_layers([*pyramid, p6], builder.config.rpn_channels)
    return JoinedNorms(pyramid, outputs, name="rpn", on_gpu=builder.on_gpu)


def build_roi_heads(
    builder: Builder, actor: ActorHead, action: ActionHead | None
) -> tf.keras.Model:
    """Build the submodel of the heads that run on every RoI (paper, 3.1, 3.2).

    RoIAlign-AR reads the appearance pyramid for the actor head, RoIAlign-AN the fused
    one for the action head. With cartesian labels there is no action head, and the
    actor head, whose classes are pairs, reads the fused pyramid.

    Args:
      builder: builds inputs and RoIAlign by the settings of the network.
      actor: the actor head.
      action: the action head; None with cartesian labels.

    Returns:
      the submodel {actor, action: pyramids; rois: float32 [B, R, 4]} -> {class_logits
      [B, R, C + 1], deltas [B, R, C, 4], action_logits [B, R, outputs of the action
      head]}.
    """
    config = builder.config
    fused_channels = config.fpn_channels
    if config.use_flow:
        fused_channels *= 2
    actor_pyramid = builder.pyramid()
    action_pyramid = builder.pyramid(fused_channels)
    rois = builder.rois()
    outputs = {}
    if action is None and (config.use_flow or config.temporal_layers):
        # The actor head's classes are pairs: it reads both streams and all frames.
        actor_features = builder.roi_align(action_pyramid, rois, 7, "roi_align_an")
    else:
        actor_features = builder.roi_align(actor_pyramid, rois, 7, "roi_align_ar")
    if action is not None:
        action_features = builder.roi_align(action_pyramid, rois, 7, "roi_align_an")
        outputs.update(action.build_layers(action_features, config.head_units))
    outputs.update(
        actor.build_layers(
            actor_features,
            config.head_units,
            config.norm,
            builder.convention.epsilon,
        )
    )
    inputs = {"actor": actor_pyramid, "action": action_pyramid, "rois": rois}
    return tf.keras.Model(inputs, outputs, name="roi_heads")


def _scale_flow(flow: tf.Tensor, scale: float, bound: float) -> tf.Tensor:
    """Return the scaled (u, v, length) of flow [N, H, W, 2], no longer than `bound`."""
    length = tf.norm(flow, axis=-1, keepdims=True)
    vectors = tf.concat([flow, length], axis=-1) * scale
    if bound:
        vectors *= tf.minimum(1.0, tf.math.divide_no_nan(bound, length * scale))
    return vectors
