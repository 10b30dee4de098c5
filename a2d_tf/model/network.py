"""The network: submodels over one set of variables, and inference composed of them.

    backbones        RGB and flow of a frame -> pyramids          (paper, 3.1 and 3.2, backbones)
    temporal_fusion  pyramids of 2L + 1 frames -> the fused one   (3.2, aggregation and fusion)
    rpn              RGB pyramid of the key frame -> proposals    (3.1)
    features         a clip through these three
    roi_heads        RoIAlign-AR and actor head, RoIAlign-AN and action head
    mask_head        RoIAlign-AR, the box's pixels with --mask_image, and mask head
    refiner          or, in place of mask_head, RGB and boxes -> masks  (4.3, "w/o Mask + SM")

They are separate models because training samples RoIs between features and heads.

In mixed precision, backbones, temporal_fusion, rpn and the heads behind RoIAlign compute in 16
bits. The backbones' inputs, RoIAlign, the heads' outputs and all variables are float32.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.config import ComputeConfig, InferenceConfig, ModelConfig
from a2d_tf.core.labels import LabelSpace
from a2d_tf.model import backbones, fpn, heads, refiner, scoring, temporal
from a2d_tf.model.layers import ConvNorm, Function, JoinedNorms
from a2d_tf.ops import anchors as anchor_ops
from a2d_tf.ops import roi_align
from a2d_tf.ops.boxes import BoxCoder

MASK_SIZE = 28
_DEFAULT_COMPUTE = ComputeConfig()


def _layers_computing(model, tensors):
    """The layers of a model that compute some of its tensors."""
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

    Attributes:
      backbones: {rgb [N, H, W, 3] uint8, flow [N, H, W, 2]} -> {actor, rgb, flow: lists P2..P5};
        `rgb` is the action branch's RGB pyramid, the actor's unless the top-down is its own.
      temporal_fusion: {rgb, flow: lists of [B, 2L + 1, h, w, C]} -> the action branch's pyramid.
      features: {rgb [B, T, H, W, 3], flow [B, T, H, W, 2]} -> {actor, action, rpn_logits,
        rpn_deltas}, of the middle 2L + 1 of T frames.
      roi_heads: {actor, action, rois [B, R, 4]} -> {class_logits, deltas, action_logits}, as
        `scoring.score_rois` takes them.
      mask_head: {actor, rois}, and rgb uint8 [B, H, W, 3] with --mask_image -> logits
        [B, R, 28, 28, C]; None without masks.
      refiner: {rgb uint8 [B, H, W, 3], rois} -> logits [B, R, m, m] over `refiner.windows`; None
        without a refiner.
      anchors: float32 [A, 4].
      rpn_coder, head_coder: the box coders of proposals and of actors.
      rpn_beta: of the smooth L1 loss of the proposals.
      on_gpu: whether TensorFlow computes on a GPU, where launches cost more than copies.
    """

    def __init__(
        self,
        model_config: ModelConfig,
        labels: LabelSpace,
        compute: ComputeConfig = _DEFAULT_COMPUTE,
    ) -> None:
        super().__init__(name="network")
        self.model_config, self.labels, self.compute = model_config, labels, compute
        self.image_size = (model_config.image_height, model_config.image_width)
        self.on_gpu = devices.on_gpu()
        self.num_classes = scoring.num_classes(labels, model_config.label_mode)
        self._convention = shared = backbones.convention(model_config, "rgb")
        self.rpn_coder = BoxCoder(shared.rpn_weights, shared.max_log_scale)
        self.head_coder = BoxCoder(shared.head_weights, shared.max_log_scale)
        # 1/9 for plain deltas (Ren et al. 2015); matterport's are ten times as large.
        self.rpn_beta = 1.0 if max(shared.rpn_weights) > 1.0 else 1.0 / 9
        strides = anchor_ops.STRIDES
        height, width = self.image_size
        shapes = [(-(-height // stride), -(-width // stride)) for stride in strides]
        self.anchors = anchor_ops.generate(shapes, strides, model_config.anchors)
        with _precision(compute.precision):
            self.backbones = self._backbones()
            self.temporal_fusion = self._temporal_fusion()
            self.rpn = self._rpn()
            self.features = self._features()
            self.roi_heads = self._roi_heads()
            self.mask_head = self._mask_head() if model_config.use_mask else None
            self.refiner = self._refiner() if model_config.use_refiner else None
        for part in self.parts().values():
            for each in (part, *part.layers):
                if isinstance(each, (ConvNorm, JoinedNorms)):
                    each.on_gpu = self.on_gpu

    def _pyramid(self, channels=None, frames=None):
        """Symbolic P2..P5."""
        lead = [] if frames is None else [frames]
        channels = channels or self.model_config.fpn_channels
        dtype = tf.keras.mixed_precision.global_policy().compute_dtype
        sizes = [[side // s for side in self.image_size] for s in anchor_ops.STRIDES[:4]]
        return [tf.keras.Input([*lead, *size, channels], dtype=dtype) for size in sizes]

    def _backbone(self, x, stream, norm):
        """Return what `Backbone.build` does, for 'rgb', 'flow', 'action' or 'refiner'."""
        c = self.model_config
        entry = backbones.find(c.backbone)
        if stream == "refiner" and c.refiner_backbone:
            entry = backbones.find(c.refiner_backbone, "refiner_backbone")
        return entry.build(
            x,
            c.width_multiplier,
            norm,
            convention=self._convention if stream != "flow" else backbones.convention(c, "flow"),
            # A group norm in the stem would erase the magnitude of the flow.
            stem_norm="none" if stream == "flow" and norm == "group_norm" else None,
            deviation=c.flow_scale if stream == "flow" else 64 / self._convention.std[0],
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
                x *= tf.minimum(1.0, tf.math.divide_no_nan(c.flow_bound, length * c.flow_scale))
            maps = self._backbone(x, "flow", c.motion_norm)
            self._maps += maps
            outputs["flow"] = fpn.fpn(maps, c.fpn_channels, "flow_fpn")
        return JoinedNorms(inputs, outputs, name="backbones")

    def _temporal_fusion(self):
        c = self.model_config
        inputs = {s: self._pyramid(frames=c.frames) for s in ("rgb", "flow")[: 1 + c.use_flow]}
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
        per_cell = [len(sizes) * len(anchor_ops.RATIOS) for sizes in self.model_config.anchors]
        outputs = fpn.rpn(levels, self.model_config.rpn_channels, per_cell)
        return JoinedNorms(pyramid, outputs, name="rpn")

    def _features(self):
        c = self.model_config
        inputs = {"rgb": tf.keras.Input([None, *self.image_size, 3], dtype=tf.uint8, name="rgb")}
        if c.use_flow:
            inputs["flow"] = tf.keras.Input([None, *self.image_size, 2], name="flow")
        frames = {}
        for name, clip in inputs.items():
            # Only the temporal field; time is folded into the batch.
            first = tf.shape(clip)[1] // 2 - c.temporal_layers
            field = clip[:, first : first + c.frames]
            frames[name] = tf.reshape(field, [-1, *self.image_size, clip.shape[-1]])
        pyramids = {
            name: [tf.reshape(x, [-1, c.frames, *x.shape[1:]]) for x in levels]
            for name, levels in self.backbones(frames).items()
        }
        return tf.keras.Model(inputs, self._fuse(pyramids), name="features")

    def _fuse(self, pyramids):
        """Compute the outputs of `features` from the pyramids of each frame of the field."""
        key = [self._pick_key_frame(x) for x in pyramids["actor"]]
        logits, deltas = self.rpn(key)
        around = {name: levels for name, levels in pyramids.items() if name != "actor"}
        return {
            "actor": key,
            "action": self.temporal_fusion(around),
            "rpn_logits": logits,
            "rpn_deltas": deltas,
        }

    def _pick_key_frame(self, x):
        """Pick the key frame: [B, T, ...] -> [B, ...].

        The gradient of a slice is many times slower than that of unstack, and unstacking a single
        frame many times slower than reshaping.
        """
        if self.model_config.frames == 1:
            return tf.squeeze(x, axis=1)
        return tf.unstack(x, axis=1)[self.model_config.temporal_layers]

    def _roi_heads(self):
        c = self.model_config
        fused = c.fpn_channels * (2 if c.use_flow else 1)
        actor, action = self._pyramid(), self._pyramid(fused)
        rois = tf.keras.Input([None, 4], name="rois")
        cartesian = c.label_mode == "cartesian"
        if cartesian and (c.use_flow or c.temporal_layers):
            # One softmax over the pairs reads the action's features, which hold both streams'.
            roi_features = [self._roi_align(7, "roi_align_an", action, rois)]
        else:
            roi_features = [self._roi_align(7, "roi_align_ar", actor, rois)]
        outputs = {}
        if not cartesian:
            motion = self._roi_align(7, "roi_align_an", action, rois)
            roi_features.append(motion)
            count = scoring.num_action_classes(self.labels, c.label_mode, c.has_action_background)
            if c.fusion == "late":
                # One head per stream; their logits are averaged.
                streams = zip(("action_rgb", "action_flow"), tf.split(motion, 2, axis=-1))
                logits = [heads.action_head(x, count, c.head_units, name) for name, x in streams]
                outputs["action_logits"] = 0.5 * (logits[0] + logits[1])
            else:
                outputs["action_logits"] = heads.action_head(motion, count, c.head_units)
        outputs["class_logits"], outputs["deltas"] = heads.actor_head(
            roi_features[0],
            self.num_classes,
            c.head_units,
            c.norm,
            epsilon=self._convention.epsilon,
        )
        inputs = {"actor": actor, "action": action, "rois": rois}
        return tf.keras.Model(inputs, outputs, name="roi_heads")

    def _roi_align(self, size, name, pyramid, rois):
        """Return the features of RoIs, [B, R, size, size, C]."""

        def align(*inputs: tf.Tensor) -> tf.Tensor:
            *pyramid, rois = inputs
            return roi_align.roi_align(
                pyramid,
                rois,
                size,
                self._convention.roi_align,
                image_size=self.image_size,
                gradient=roi_align.gradient_for(self.on_gpu),
            )

        return Function(align, name=name, dtype="float32")([*pyramid, rois])

    def _mask_head(self):
        c = self.model_config
        pyramid, rois = self._pyramid(), tf.keras.Input([None, 4], name="rois")
        inputs, patches = {"actor": pyramid, "rois": rois}, None
        roi_features = self._roi_align(14, "roi_align_mask", pyramid, rois)
        if c.mask_image:
            rgb = inputs["rgb"] = tf.keras.Input([*self.image_size, 3], dtype=tf.uint8, name="rgb")
            # Levels of any convention become small numbers.
            image = self._convention.preprocess(rgb) * min(1.0, self._convention.std[0] / 64)
            patches = refiner.patches(image, rois, MASK_SIZE)
        logits = heads.mask_head(
            roi_features,
            self.num_classes,
            c.mask_channels,
            c.mask_layers,
            norm=c.norm,
            epsilon=self._convention.epsilon,
            patches=patches,
        )
        return tf.keras.Model(inputs, logits, name="mask_head")

    def _refiner(self):
        c = self.model_config
        rgb = tf.keras.Input([*self.image_size, 3], dtype=tf.uint8, name="rgb")
        rois = tf.keras.Input([None, 4], name="rois")
        image, windows = self._convention.preprocess(rgb), refiner.windows(rois)
        patches = refiner.patches(image, windows, c.refiner_size)
        maps = self._backbone(patches, "refiner", c.norm)
        logits = refiner.segment(maps, c.refiner_channels)
        logits = tf.reshape(logits, [-1, tf.shape(rois)[1], *logits.shape[1:]])
        return tf.keras.Model({"rgb": rgb, "rois": rois}, logits, name="refiner")

    def inference(
        self,
        clip: dict[str, tf.Tensor],
        settings: InferenceConfig,
        features: dict[str, tf.Tensor] | None = None,
    ) -> dict:
        """Compute the scores of every RoI and the instances of a clip. To be called in a graph.

        Args:
          clip: {rgb uint8 [B, T, H, W, 3], flow [B, T, H, W, 2], size int32 [B, 2]}; `size` is the
            frames' height and width inside the canvas; all boxes are in its pixels.
          settings: a negative score_threshold counts as 0.
          features: `features` of the clip, if already computed.

        Returns:
          {rois [B, R, 4], valid [B, R], table (see `scoring.score_rois`), detections (see
          `scoring.select`, with masks [B, N, 28, 28])}.
        """
        if features is None:
            features = self.features({name: clip[name] for name in self.features.input_names})
        rois, valid = self._propose(features, clip["size"], settings)
        table = self._score(self._run_heads(features, rois), rois, valid, clip["size"])
        detections = scoring.select(table, self.labels, self.model_config.label_mode, settings)
        detections = self._with_masks(detections, clip["rgb"], features)
        return {"rois": rois, "valid": valid, "table": table, "detections": detections}

    def detect(
        self,
        pyramids: dict[str, list[tf.Tensor]],
        size: tf.Tensor,
        settings: InferenceConfig,
        rgb: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Compute the detections of a key frame from the backbones' outputs.

        This takes less time than `inference`, with the same result: the frames of a video pass the
        backbones once rather than 2L + 1 times, and the action head runs on the instances rather
        than on every RoI. To be called in a tf.function, which prunes unused outputs.

        Args:
          pyramids: {actor, rgb, flow: lists P2..P5 of [B, 2L + 1, h, w, C]}, of `backbones`; `rgb`
            defaults to the actor's.
          size, settings: as for `inference`.
          rgb: uint8 [B, 2L + 1, H, W, 3], where `masks_need_image`.

        Returns:
          The `detections` of `inference`.
        """
        features = self._fuse({"rgb": pyramids["actor"], **pyramids})
        rois, valid = self._propose(features, size, settings)
        outputs = self._run_heads(features, rois)
        outputs = {name: outputs[name] for name in ("class_logits", "deltas")}
        scores = scoring.score_classes(outputs, rois, valid, size, coder=self.head_coder)
        kept, roi = scoring.suppress(*scores, settings)
        number = kept["num_detections"]
        rois = tf.gather(rois, roi, batch_dims=1)
        outputs = {name: tf.gather(x, roi, batch_dims=1) for name, x in outputs.items()}
        if self.model_config.label_mode != "cartesian":
            outputs["action_logits"] = self._apply_to_used_rows(
                lambda rois: self._run_heads(features, rois)["action_logits"], number, rois
            )
        used = tf.sequence_mask(number, settings.max_detections)
        table = self._score(outputs, rois, used, size)
        detections = scoring.assign_actions(
            kept, table, self.labels, self.model_config.label_mode, settings.action_threshold
        )
        return self._with_masks(detections, rgb, features)

    def _propose(self, features, size, settings):
        logits, deltas = features["rpn_logits"], features["rpn_deltas"]
        counts = settings.proposals_before_nms, settings.test_proposals
        return fpn.propose(logits, deltas, self.anchors, size, self.rpn_coder, *counts)

    def _run_heads(self, features, rois):
        return self.roi_heads(
            {"actor": features["actor"], "action": features["action"], "rois": rois}
        )

    def _score(self, outputs, rois, valid, size):
        mode = self.model_config.label_mode
        return scoring.score_rois(
            outputs, rois, valid, size, labels=self.labels, label_mode=mode, coder=self.head_coder
        )

    def _apply_to_used_rows(self, function, number, *rows):
        return scoring.apply_to_used_rows(function, number, *rows, on_gpu=self.on_gpu)

    def _with_masks(self, detections, rgb, features):
        """Add masks to the detections; the costly heads see used rows only."""
        rows = (detections[name] for name in ("num_detections", "boxes", "class"))
        masks = functools.partial(self._masks, rgb, features)
        return {**detections, "masks": self._apply_to_used_rows(masks, *rows)}

    def _masks(self, rgb, features, boxes, class_index):
        """Masks [B, N, 28, 28] from the mask head or the refiner, else full boxes."""
        if self.mask_head is not None:
            logits = self.mask_head(self.mask_inputs(rgb, features, boxes))
            return tf.sigmoid(scoring.logits_of_classes(logits, class_index))
        shape = [-1, tf.shape(boxes)[1], MASK_SIZE, MASK_SIZE]
        if self.refiner is not None:
            logits = self.refiner({"rgb": rgb[:, tf.shape(rgb)[1] // 2], "rois": boxes})
            flat = tf.reshape(logits, [-1, *logits.shape[2:]])
            return tf.reshape(refiner.inside_box(flat, MASK_SIZE), shape)
        return tf.ones_like(tf.tile(boxes[..., :1, None], [1, 1, *shape[2:]]))

    def mask_inputs(
        self, rgb: tf.Tensor | None, features: dict[str, Any], rois: tf.Tensor
    ) -> dict[str, Any]:
        """Return the inputs of the mask head; `rgb` is the clip, where `masks_need_image`."""
        inputs = {"actor": features["actor"], "rois": rois}
        if rgb is not None and self.masks_need_image:
            inputs["rgb"] = rgb[:, tf.shape(rgb)[1] // 2]
        return inputs

    @property
    def masks_need_image(self) -> bool:
        """Whether masks are also made from the pixels of the key frame."""
        c = self.model_config
        return c.use_refiner or (c.use_mask and c.mask_image)

    def set_phase(self, phase: str, trains_backbones: bool = True) -> None:
        """Choose what is trained: 'joint' (both branches), 'actor', 'action' or 'refiner'.

        The actor branch is all that actors, boxes and masks are computed from; the action branch is
        the rest: the flow backbone, the temporal layers, the action head, and an RGB top-down or
        backbone of its own (section 4.3, "Ours w/o Joint Learning"). The refiner is trained
        separately. Without `trains_backbones`, all backbones except the refiner's keep theirs.
        """
        parts = self.parts()
        actor = [*self.rpn.layers, *getattr(self.mask_head, "layers", [])]
        actor += _layers_computing(self.backbones, self.backbones.output["actor"])
        heads_of_actor = [self.roi_heads.output[name] for name in ("class_logits", "deltas")]
        actor += _layers_computing(self.roi_heads, heads_of_actor)
        refine = getattr(parts.pop("refiner", None), "layers", [])
        for layer in refine:
            layer.trainable = phase == "refiner"
        for layer in (layer for part in parts.values() for layer in part.layers):
            layer.trainable = phase in ("joint", "actor" if layer in actor else "action")
        if not trains_backbones:
            for layer in _layers_computing(self.backbones, self._maps):
                layer.trainable = False

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """The variables that the phase trains, in a fixed order."""
        return [v for part in self.parts().values() for v in part.trainable_variables]

    @property
    def backbone_weights(self) -> list[tf.Variable]:
        """The variables of `trainable_weights` that belong to backbones, the refiner's excepted."""
        layers = _layers_computing(self.backbones, self._maps)
        return [v for layer in layers for v in layer.trainable_variables]

    @property
    def running_statistics(self) -> list[tf.Variable]:
        """The variables that a forward pass of training changes: those of batch norm."""
        layers = (layer for part in self.parts().values() for layer in part.layers)
        return [v for x in layers if isinstance(x, ConvNorm) for v in x.running_statistics()]

    def parts(self) -> dict[str, tf.keras.Model]:
        """Return the submodels with variables by name; each variable is in exactly one of them."""
        names = ("backbones", "temporal_fusion", "rpn", "roi_heads", "mask_head", "refiner")
        parts = {name: getattr(self, name) for name in names}
        return {name: part for name, part in parts.items() if part is not None}
