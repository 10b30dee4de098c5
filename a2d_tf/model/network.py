"""The network: submodels over one set of variables, and its heads.

    backbones        RGB and flow of a frame -> pyramids          (paper, 3.1 and 3.2, backbones)
    temporal_fusion  pyramids of 2L + 1 frames -> the fused one   (3.2, aggregation and fusion)
    rpn              RGB pyramid of the key frame -> proposals    (3.1)
    features         a clip through these three
    roi_heads        RoIAlign-AR and actor head, RoIAlign-AN and action head
    mask_head        RoIAlign-AR, the box's pixels with --mask_image, and mask head
    refiner          or, in place of mask_head, RGB and boxes -> masks  (4.3, "w/o Mask + SM")

A head (`heads/`) builds its layers into these, and owns its labels, losses and
decoding; `inference.py` composes them.

They are separate models because training samples RoIs between features and heads.

In mixed precision, backbones, temporal_fusion, rpn and the heads behind RoIAlign
compute in 16 bits. The backbones' inputs, RoIAlign, the heads' outputs and all
variables are float32.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.config import ComputeConfig, ModelConfig
from a2d_tf.core.labels import LabelSpace
from a2d_tf.model import backbones, fpn, label_modes, temporal
from a2d_tf.model.heads import Head, InstanceHead
from a2d_tf.model.heads import refiner as refiners
from a2d_tf.model.heads.action import ActionHead
from a2d_tf.model.heads.actor import ActorHead
from a2d_tf.model.heads.mask import SIZE, BoxMasks, MaskHead
from a2d_tf.model.heads.proposals import Proposals
from a2d_tf.model.heads.readout import LEVELS, Readout
from a2d_tf.model.heads.refiner import Refiner
from a2d_tf.model.layers import Function, JoinedNorms
from a2d_tf.model.structures import Features, Seen
from a2d_tf.ops import anchors as anchor_ops
from a2d_tf.ops import roi_align
from a2d_tf.ops.boxes import BoxCoder

_DEFAULT_COMPUTE = ComputeConfig()


def layers_computing(
    model: tf.keras.Model, tensors: Any
) -> list[tf.keras.layers.Layer]:
    """Return the layers of a model that compute some of its tensors."""
    return tf.keras.Model(model.inputs, tensors).layers


@contextlib.contextmanager
def _precision(policy):
    """Make layers built inside compute in this precision."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


class Network(tf.Module):
    """The submodels over one set of variables.

    Args:
      label_mode: in place of the config's, of these labels.

    Attributes:
      backbones: {rgb [N, H, W, 3] uint8, flow [N, H, W, 2]} -> {actor, rgb, flow: lists
        P2..P5}; `rgb` is the action branch's RGB pyramid, the actor's unless the
        top-down is its own. With a readout also `labels`, its maps.
      temporal_fusion: {rgb, flow: lists of [B, 2L + 1, h, w, C]} -> the action branch's
        pyramid.
      features: {rgb [B, T, H, W, 3], flow [B, T, H, W, 2]} -> {actor, action,
        rpn_logits, rpn_deltas}, of the middle 2L + 1 of T frames.
      roi_heads: {actor, action, rois [B, R, 4]} -> {class_logits, deltas,
        action_logits}, as the heads decode them.
      mask_head: {actor, rois}, and rgb uint8 [B, H, W, 3] with --mask_image -> logits
        [B, R, 28, 28, C]; None without masks.
      refiner: {rgb uint8 [B, H, W, 3], rois} -> logits [B, R, m, m] over
        `refiner.windows`; None without a refiner.
      label_mode: the classes of the heads, and the scores of pairs.
      proposals, actor, action: heads; there is no action head with cartesian labels.
      masks: the head that finds masks, None without masks; a refiner is trained by
        itself.
      readout: what gives instances their labels in place of actor and action head; or
        None.
      readout_maps: rgb uint8 [N, H, W, 3] -> C4 and C5, what the readout is fitted to.
      on_gpu: whether TensorFlow computes on a GPU, where launches cost more than
        copies.
    """

    def __init__(
        self,
        model_config: ModelConfig,
        labels: LabelSpace,
        compute: ComputeConfig = _DEFAULT_COMPUTE,
        label_mode: label_modes.LabelMode | None = None,
    ) -> None:
        super().__init__(name="network")
        self.model_config, self.labels, self.compute = model_config, labels, compute
        self.image_size = (model_config.image_height, model_config.image_width)
        self.on_gpu = devices.on_gpu()
        self.label_mode = label_mode or label_modes.make(
            model_config.label_mode, labels, model_config.action_background
        )
        self._convention = backbones.convention(model_config, "rgb")
        self._make_heads()
        with _precision(compute.precision):
            self.backbones = self._backbones()
            self.temporal_fusion = self._temporal_fusion()
            self.rpn = self._rpn()
            self.features = self._features()
            self.roi_heads = self._roi_heads()
            self.mask_head = self.refiner = None
            if isinstance(self.masks, MaskHead):
                self.mask_head = self.masks.model = self._mask_head(self.masks)
            if isinstance(self.masks, Refiner):
                self.refiner = self.masks.model = self._refiner()
        for part in (self.backbones, self.temporal_fusion, self.rpn):
            part.on_gpu = self.on_gpu

    def _make_heads(self):
        c, shared, strides = self.model_config, self._convention, anchor_ops.STRIDES
        rpn_coder, coder = (
            BoxCoder(weights, shared.max_log_scale)
            for weights in (shared.rpn_weights, shared.head_weights)
        )
        height, width = self.image_size
        shapes = [(-(-height // stride), -(-width // stride)) for stride in strides]
        anchors = anchor_ops.generate(shapes, strides, c.anchors)
        self.proposals = Proposals(anchors, c.anchors, rpn_coder)
        self.actor = ActorHead(self.label_mode, coder)
        self.action: ActionHead | None = None
        if self.label_mode.num_actions:
            self.action = ActionHead(self.label_mode, c.fusion == "late")
        self.readout = Readout(self.labels, self.image_size) if c.readout else None
        self.masks: MaskHead | Refiner | None = None
        if c.use_mask:
            self.masks = MaskHead(self.actor, c.mask_image)
        elif c.use_refiner:
            self.masks = Refiner()

    @property
    def heads(self) -> list[Head]:
        """The heads that learn from sampled RoIs."""
        masks = self.masks if isinstance(self.masks, MaskHead) else None
        return [head for head in (self.actor, masks, self.action) if head is not None]

    @property
    def instance_heads(self) -> list[InstanceHead]:
        """The heads that run on instances."""
        return [self.masks or BoxMasks()]

    def _pyramid(self, *lead, channels=None):
        """Symbolic P2..P5; `lead` are axes before those of a map."""
        channels = channels or self.model_config.fpn_channels
        dtype = tf.keras.mixed_precision.global_policy().compute_dtype
        sizes = [
            [side // s for side in self.image_size] for s in anchor_ops.STRIDES[:4]
        ]
        return [tf.keras.Input([*lead, *size, channels], dtype=dtype) for size in sizes]

    def _backbone(self, x, stream, norm):
        """Return what `Backbone.build` does, for 'rgb', 'flow', 'action' or
        'refiner'.
        """
        c = self.model_config
        entry = backbones.find(c.backbone)
        if stream == "refiner" and c.refiner_backbone:
            entry = backbones.find(c.refiner_backbone, "refiner_backbone")
        return entry.build(
            x,
            c.width_multiplier,
            norm,
            convention=(
                self._convention
                if stream != "flow"
                else backbones.convention(c, "flow")
            ),
            # A group norm in the stem would erase the magnitude of the flow.
            stem_norm="none" if stream == "flow" and norm == "group_norm" else None,
            deviation=(
                c.flow_scale if stream == "flow" else 64 / self._convention.std[0]
            ),
            name=f"{stream}_{entry.family}",
        )

    def _backbones(self):
        c = self.model_config
        rgb = tf.keras.Input([*self.image_size, 3], dtype=tf.uint8, name="rgb")
        inputs = {"rgb": rgb}
        x = self._convention.preprocess(rgb)
        maps = self._backbone(x, "rgb", c.norm)
        self._maps = [*maps]
        outputs = {"actor": fpn.fpn(maps, c.fpn_channels, "rgb_fpn")}
        if self.readout is not None:
            read = [maps[level - 2] for level in LEVELS]
            self.readout_maps = tf.keras.Model(rgb, read)
            outputs["labels"] = self.readout.build(read)
        outputs["rgb"] = outputs["actor"]
        if c.action_topdown != "shared":
            if c.action_topdown == "own_backbone":
                maps = self._backbone(x, "action", c.norm)
                self._maps += maps
            outputs["rgb"] = fpn.fpn(maps, c.fpn_channels, "action_fpn")
        if c.use_flow:
            flow = inputs["flow"] = tf.keras.Input([*self.image_size, 2], name="flow")
            length = tf.norm(flow, axis=-1, keepdims=True)
            x = tf.concat([flow, length], axis=-1) * c.flow_scale
            if c.flow_bound:
                x *= tf.minimum(
                    1.0, tf.math.divide_no_nan(c.flow_bound, length * c.flow_scale)
                )
            maps = self._backbone(x, "flow", c.motion_norm)
            self._maps += maps
            outputs["flow"] = fpn.fpn(maps, c.fpn_channels, "flow_fpn")
        return JoinedNorms(inputs, outputs, name="backbones")

    def _temporal_fusion(self):
        c = self.model_config
        inputs = {s: self._pyramid(c.frames) for s in ("rgb", "flow")[: 1 + c.use_flow]}
        streams = [
            temporal.aggregate(pyramid, c.temporal_layers, c.temporal_init, stream)
            for stream, pyramid in inputs.items()
        ]
        if c.use_flow:
            streams = [[tf.concat(pair, axis=-1) for pair in zip(*streams)]]
        return JoinedNorms(inputs, streams[0], name="temporal_fusion")

    def _rpn(self):
        pyramid = self._pyramid()
        levels = [*pyramid, pyramid[-1][:, ::2, ::2, :]]  # P6
        outputs = self.proposals.build(levels, self.model_config.rpn_channels)
        return JoinedNorms(pyramid, outputs, name="rpn")

    def _features(self):
        c = self.model_config
        inputs = {
            "rgb": tf.keras.Input(
                [None, *self.image_size, 3], dtype=tf.uint8, name="rgb"
            )
        }
        if c.use_flow:
            inputs["flow"] = tf.keras.Input([None, *self.image_size, 2], name="flow")
        frames = {}
        for name, clip in inputs.items():
            # Only the temporal field; time is folded into the batch.
            frames[name] = tf.reshape(
                self.field(clip), [-1, *self.image_size, clip.shape[-1]]
            )
        pyramids = {
            name: [tf.reshape(x, [-1, c.frames, *x.shape[1:]]) for x in levels]
            for name, levels in self.backbones(frames).items()
        }
        return tf.keras.Model(inputs, self._fuse(pyramids), name="features")

    def _fuse(self, pyramids):
        """Compute the outputs of `features` from the pyramids of each frame of the
        field.
        """
        key = [self._pick_key_frame(x) for x in pyramids["actor"]]
        logits, deltas = self.rpn(key)
        outputs = {"rpn_logits": logits, "rpn_deltas": deltas, "actor": key}
        around = {name: pyramids[name] for name in self.temporal_fusion.input}
        outputs["action"] = self.temporal_fusion(around)
        if self.readout is not None:
            outputs["labels"] = [tf.reduce_mean(x, axis=1) for x in pyramids["labels"]]
        return outputs

    def _pick_key_frame(self, x):
        """Pick the key frame: [B, T, ...] -> [B, ...].

        The gradient of a slice is many times slower than that of unstack, and
        unstacking a single frame many times slower than reshaping.
        """
        if self.model_config.frames == 1:
            return tf.squeeze(x, axis=1)
        return tf.unstack(x, axis=1)[self.model_config.temporal_layers]

    def _roi_heads(self):
        c = self.model_config
        fused = c.fpn_channels * (2 if c.use_flow else 1)
        actor, action = self._pyramid(), self._pyramid(channels=fused)
        rois = tf.keras.Input([None, 4], name="rois")
        outputs = {}
        if self.action is None and (c.use_flow or c.temporal_layers):
            # The actors' classes are pairs, and read features that hold both streams'.
            features = self._roi_align(7, "roi_align_an", action, rois)
        else:
            features = self._roi_align(7, "roi_align_ar", actor, rois)
        if self.action is not None:
            motion = self._roi_align(7, "roi_align_an", action, rois)
            outputs.update(self.action.build(motion, c.head_units))
        epsilon = self._convention.epsilon
        outputs.update(self.actor.build(features, c.head_units, c.norm, epsilon))
        inputs = {"actor": actor, "action": action, "rois": rois}
        return tf.keras.Model(inputs, outputs, name="roi_heads")

    def _roi_align(self, size, name, pyramid, rois):
        """Return the features of RoIs, [B, R, size, size, C]."""
        align = functools.partial(
            roi_align.roi_align,
            size=size,
            convention=self._convention.roi_align,
            image_size=self.image_size,
            gradient=roi_align.gradient_for(self.on_gpu),
        )
        return Function(align, name=name, dtype="float32")([pyramid, rois])

    def _mask_head(self, head):
        c = self.model_config
        pyramid, rois = self._pyramid(), tf.keras.Input([None, 4], name="rois")
        inputs, patches = {"actor": pyramid, "rois": rois}, None
        roi_features = self._roi_align(14, "roi_align_mask", pyramid, rois)
        if c.mask_image:
            rgb = inputs["rgb"] = tf.keras.Input(
                [*self.image_size, 3], dtype=tf.uint8, name="rgb"
            )
            # Levels of any convention become small numbers.
            image = self._convention.preprocess(rgb) * min(
                1.0, self._convention.std[0] / 64
            )
            patches = refiners.patches(image, rois, SIZE)
        norm = {"norm": c.norm, "epsilon": self._convention.epsilon}
        logits = head.build(
            roi_features, c.mask_channels, c.mask_layers, patches=patches, **norm
        )
        return tf.keras.Model(inputs, logits, name="mask_head")

    def _refiner(self):
        c = self.model_config
        rgb = tf.keras.Input([*self.image_size, 3], dtype=tf.uint8, name="rgb")
        rois = tf.keras.Input([None, 4], name="rois")
        image, windows = self._convention.preprocess(rgb), refiners.windows(rois)
        patches = refiners.patches(image, windows, c.refiner_size)
        *maps, _ = self._backbone(patches, "refiner", c.norm)
        logits = refiners.segment(maps, c.refiner_channels)
        logits = tf.reshape(logits, [-1, tf.shape(rois)[1], *logits.shape[1:]])
        return tf.keras.Model({"rgb": rgb, "rois": rois}, logits, name="refiner")

    def field(self, clips: tf.Tensor) -> tf.Tensor:
        """Return the middle 2L + 1 frames, which the network sees, of clips [B, T,
        ...].
        """
        first = tf.shape(clips)[1] // 2 - self.model_config.temporal_layers
        return clips[:, first : first + self.model_config.frames]

    def clip_features(
        self, clip: Mapping[str, tf.Tensor], training: bool = False
    ) -> Features:
        """Return the features of clips, {rgb [B, T, H, W, 3], flow [B, T, H, W, 2]}."""
        inputs = {name: clip[name] for name in self.features.input_names}
        return Features(**self.features(inputs, training=training))

    def fuse(self, pyramids: Mapping[str, list[tf.Tensor]]) -> Features:
        """Return the features of key frames from the pyramids of the frames around
        each.

        So the frames of a video pass the backbones once rather than 2L + 1 times.

        Args:
          pyramids: {actor, rgb, flow: lists P2..P5 of [B, 2L + 1, h, w, C]; labels}, of
            `backbones`; `rgb` defaults to the actor's.
        """
        return Features(**self._fuse({"rgb": pyramids["actor"], **pyramids}))

    def run_roi_heads(
        self,
        features: Features,
        rois: tf.Tensor,
        rgb: tf.Tensor | None = None,
        training: bool = False,
    ) -> Seen:
        """Return what the heads see of RoIs [B, R, 4]; `rgb` is the clip, where
        `needs_image`.
        """
        inputs = {"actor": features.actor, "action": features.action, "rois": rois}
        outputs = self.roi_heads(inputs, training=training)
        return Seen(features, outputs, self.key_image(rgb), training)

    def key_image(self, rgb: tf.Tensor | None) -> tf.Tensor | None:
        """Return the key frames of clips uint8 [B, T, H, W, 3]; None where no head
        needs them.
        """
        return (
            rgb[:, tf.shape(rgb)[1] // 2]
            if rgb is not None and self.needs_image
            else None
        )

    @property
    def needs_image(self) -> bool:
        """Whether a head reads the pixels of the key frame."""
        return any(head.needs_image for head in self.instance_heads)

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """The variables that the phase trains, in a fixed order."""
        return [v for part in self.parts().values() for v in part.trainable_variables]

    @property
    def backbone_weights(self) -> list[tf.Variable]:
        """The variables of `trainable_weights` that belong to backbones, the
        refiner's excepted.
        """
        return [v for layer in self.backbone_layers for v in layer.trainable_variables]

    @property
    def backbone_layers(self) -> list[tf.keras.layers.Layer]:
        """The layers of the backbones, the refiner's excepted."""
        return layers_computing(self.backbones, self._maps)

    def parts(self) -> dict[str, tf.keras.Model]:
        """Return the submodels with variables by name; each variable is in exactly
        one of them.
        """
        names = (
            "backbones",
            "temporal_fusion",
            "rpn",
            "roi_heads",
            "mask_head",
            "refiner",
        )
        parts = {name: getattr(self, name) for name in names}
        return {name: part for name, part in parts.items() if part is not None}
