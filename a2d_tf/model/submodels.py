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
    """The backbones with their feature pyramids.

    Attributes:
      model: see `Network.backbones`.
      maps: C2..C5 of every backbone, outputs of layers of `model`.
      readout_maps: see `Network.readout_maps`; None without a readout.
    """

    model: JoinedNorms
    maps: list[tf.Tensor]
    readout_maps: tf.keras.Model | None


def build_backbones(builder: Builder, readout: Readout | None) -> Backbones:
    """Build appearance and motion backbones, each with its FPN (3.1, 3.2)."""
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
    """Build the aggregation over 2L + 1 frames, and the fusion of the streams (3.2)."""
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
    """Build the region proposal network over the appearance pyramid (3.1)."""
    pyramid = builder.pyramid()
    p6 = pyramid[-1][:, ::2, ::2, :]
    outputs = proposals.build_layers([*pyramid, p6], builder.config.rpn_channels)
    return JoinedNorms(pyramid, outputs, name="rpn", on_gpu=builder.on_gpu)


def build_roi_heads(
    builder: Builder, actor: ActorHead, action: ActionHead | None
) -> tf.keras.Model:
    """Build the heads that run on every RoI (3.1, 3.2).

    RoIAlign-AR reads the appearance pyramid for the actor head, RoIAlign-AN the fused
    one for the action head.
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
