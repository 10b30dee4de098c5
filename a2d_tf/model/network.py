"""The network: submodels over one set of variables, and its heads.

    backbones        RGB and flow of a frame -> pyramids (paper, 3.1 and 3.2)
    temporal_fusion  pyramids of 2L + 1 frames -> the fused one (3.2)
    rpn              RGB pyramid of the key frame -> proposals (3.1)
    features         a clip through these three
    roi_heads        RoIAlign-AR and actor head, RoIAlign-AN and action head
    mask_head        RoIAlign-AR, the box's pixels with --mask_image, and mask head
    refiner          RGB and boxes -> masks, in place of mask_head (4.3, w/o Mask + SM)
    action_backbone  frames around a key frame -> motion maps
    motion_readout   motion maps -> action logits, added to those of the readout

`submodels.py` builds the first five; a head with a submodel of its own builds it
(`InstanceHead.build_model`). Heads also own their labels, loss terms and decoding.
`training/step/forward.py` and `inference.py` run the submodels one after the other.

In mixed precision, backbones, temporal_fusion, rpn and the heads behind RoIAlign
compute in 16 bits. The backbones' inputs, RoIAlign, the heads' outputs and all
variables are float32.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.machine import devices
from a2d_tf.core.settings.config import ComputeConfig, ModelConfig
from a2d_tf.model import backbones, label_modes, submodels
from a2d_tf.model.backbones.entry import Convention
from a2d_tf.model.building import Builder
from a2d_tf.model.heads import INSTANCE_HEADS
from a2d_tf.model.heads.action import ActionHead
from a2d_tf.model.heads.actor import ActorHead
from a2d_tf.model.heads.base import Head, InstanceHead
from a2d_tf.model.heads.proposals import Proposals
from a2d_tf.model.readout.motion_readout import MotionReadout
from a2d_tf.model.readout.readout import Readout
from a2d_tf.model.structures import Features, HeadInputs
from a2d_tf.ops import anchors as anchor_ops
from a2d_tf.ops import motion_maps
from a2d_tf.ops.boxes import BoxCoder

_DEFAULT_COMPUTE = ComputeConfig()


def layers_computing(
    model: tf.keras.Model, tensors: Any
) -> list[tf.keras.layers.Layer]:
    """Return the layers of a Keras model that some of its tensors depend on.

    Args:
      model: a functional model.
      tensors: symbolic tensors of the model, in any nested structure.
    """
    return tf.keras.Model(model.inputs, tensors).layers


class Network(tf.Module):
    """The submodels over one set of variables.

    The canvas is the network's input, --image_height x --image_width = H x W pixels, in
    whose top left corner frames lie. A clip has T frames with the key frame in the
    middle; the network reads the middle 2L + 1 of them. Boxes are (y1, x1, y2, x2) in
    pixels of the padded canvas. B is the number of clips, N that of frames, R the RoIs
    and A the anchors of a frame, C the classes of the actor head without background.

    Args:
      model_config: settings of the architecture.
      labels: the actors, actions and valid pairs.
      compute: precision of the activations.
      label_mode: a label mode in place of the config's, over the same labels; None for
        the config's.

    Attributes:
      backbones: {rgb [N, H, W, 3] uint8, flow [N, H, W, 2]} -> {actor, rgb, flow: lists
        P2..P5}; `rgb` is the action branch's RGB pyramid, the actor's unless the
        top-down is its own. With a readout also `labels`, its maps.
      temporal_fusion: {rgb, flow: lists of [B, 2L + 1, h, w, C]} -> the action branch's
        pyramid.
      rpn: P2..P5 of the actor branch -> (logits [B, A], deltas [B, A, 4]).
      features: {rgb [B, T, H, W, 3], flow [B, T, H, W, 2]} -> {actor, action,
        rpn_logits, rpn_deltas}, of the middle 2L + 1 of T frames. `extract_features`
        runs it.
      roi_heads: {actor, action, rois [B, R, 4]} -> {class_logits, deltas,
        action_logits}, as the heads decode them.
      mask_head: {actor, rois}, and rgb uint8 [B, H, W, 3] with --mask_image -> logits
        [B, R, 28, 28, C]; absent without masks.
      refiner: {rgb uint8 [B, H, W, 3], rois} -> logits [B, R, m, m] over
        `refiner.windows`; absent without a refiner.
      label_mode: the classes of the heads, and the scores of pairs.
      proposals: the head of the proposal network.
      actor: the head of classes and boxes.
      action: the head of actions; None with cartesian labels.
      instance_heads: {name of a result: the head that computes it for instances}.
      readout: labels instances in place of actor and action head; None if the network
        has none.
      readout_maps: rgb uint8 [N, H, W, 3] -> C4 and C5, the features that the readout
        is fitted to; None without a readout.
      action_backbone: uint8 [N, T, h, w, 3], RGB of motion frames -> {name: a map of
        `motion_maps.BACKBONE_MAPS`, [N, T/frames, h/stride, w/stride, C]}; or None. It
        never trains. Float32 in any precision, as the maps of records are.
      motion_readout: {name: a map of the action backbone} -> {name: action logits at
        each cell, [..., 2 |Y|]}; also has the readout's weights for flow histograms.
        None if no motion maps are read.
      on_gpu: whether TensorFlow computes on a GPU.
    """

    def __init__(
        self,
        model_config: ModelConfig,
        labels: LabelSpace,
        compute: ComputeConfig = _DEFAULT_COMPUTE,
        label_mode: label_modes.LabelMode | None = None,
    ) -> None:
        super().__init__(name="network")
        self.model_config = model_config
        self.labels = labels
        self.compute = compute
        self.image_size = (model_config.image_height, model_config.image_width)
        self.on_gpu = devices.on_gpu()
        self.label_mode = label_mode or label_modes.make(
            model_config.label_mode, labels, model_config.action_background
        )
        convention = backbones.convention(model_config, "rgb")
        self._make_heads(convention)
        with _precision(compute.precision):
            self._build_submodels(Builder(model_config, convention, self.on_gpu))

    @property
    def heads(self) -> list[Head]:
        """The heads that learn from sampled RoIs: actor head, mask head, action head.

        Heads that are switched off, or learn in a phase of their own, are not among
        them.
        """
        heads: list[Head] = [self.actor]
        for head in self.instance_heads.values():
            if head.branch:
                heads.append(head)
        if self.action is not None:
            heads.append(self.action)
        return heads

    def middle_frames(self, clips: tf.Tensor) -> tf.Tensor:
        """Return the middle 2L + 1 frames of clips, which alone the network reads.

        L is --temporal_layers; the key frame is the middle one of all.

        Args:
          clips: [B, T, ...], such as RGB or flow; T is at least 2L + 1.

        Returns:
          [B, 2L + 1, ...].
        """
        first = tf.shape(clips)[1] // 2 - self.model_config.temporal_layers
        return clips[:, first : first + self.model_config.frames]

    def extract_features(
        self, clip: Mapping[str, tf.Tensor], training: bool = False
    ) -> Features:
        """Run backbones, temporal fusion and proposal network on clips.

        Args:
          clip: {rgb: uint8 [B, T, H, W, 3]; flow: (u, v) in pixels, float32 [B, T, H,
            W, 2], if the network has a motion stream}, frames on the padded canvas with
            the key frame in the middle. If the readout reads motion maps, also these
            and `motion_size`, see `Readout.read_motion_maps`; they are not read in
            training. `clip_fields` lists the names.
          training: whether the network is being trained.

        Returns:
          the features of the key frames; `motion` is None in training.
        """
        inputs = {name: clip[name] for name in self.features.input_names}
        features = Features(**self.features(inputs, training=training))
        if training or self.readout is None:
            return features
        return features._replace(motion=self.readout.read_motion_maps(clip))

    def features_from_pyramids(
        self, pyramids: Mapping[str, list[tf.Tensor]]
    ) -> Features:
        """Compute the features of key frames from pyramids that are already computed.

        In a video, neighbouring clips share frames. So each frame passes the backbones
        once, not 2L + 1 times.

        Args:
          pyramids: {actor, rgb, flow: lists P2 to P5 of [B, 2L + 1, h, w, C]; labels:
            the readout's logits of C4 and C5, [B, 2L + 1, h, w, channels]}, outputs of
            the submodel `backbones`, stacked over the frames around each of B key
            frames. Without `rgb`, the pyramid `actor` takes its place.

        Returns:
          the features, without motion maps.
        """
        return Features(**self._run_on_pyramids({"rgb": pyramids["actor"], **pyramids}))

    @property
    def clip_fields(self) -> list[str]:
        """The names of the fields of a clip that `extract_features` reads.

        They are rgb, flow if there is a motion stream, and those of motion maps.
        """
        fields = [*self.features.input_names]
        if self.readout is not None:
            fields += self.readout.motion_fields
        return fields

    def run_roi_heads(
        self,
        features: Features,
        rois: tf.Tensor,
        rgb: tf.Tensor | None = None,
        training: bool = False,
    ) -> HeadInputs:
        """Run the heads that run on all RoIs: the actor head and the action head.

        Args:
          features: features of the B key frames.
          rois: float32 [B, R, 4] (y1, x1, y2, x2), pixels of the padded canvas.
          rgb: the clips, uint8 [B, T, H, W, 3]; needed only if `needs_image`.
          training: whether the network is being trained.

        Returns:
          the inputs of loss terms and decoding: the features, the outputs of these
          heads, and the key frames if a head reads them.
        """
        inputs = {"actor": features.actor, "action": features.action, "rois": rois}
        outputs = self.roi_heads(inputs, training=training)
        return HeadInputs(features, outputs, self.key_image(rgb), training)

    def key_image(self, rgb: tf.Tensor | None) -> tf.Tensor | None:
        """Return the key frames of clips, for heads that read their pixels.

        Args:
          rgb: the clips, uint8 [B, T, H, W, 3], with the key frame in the middle, or
            None.

        Returns:
          uint8 [B, H, W, 3]; None if no head reads pixels, or if there are no clips.
        """
        if rgb is None or not self.needs_image:
            return None
        return rgb[:, tf.shape(rgb)[1] // 2]

    @property
    def needs_image(self) -> bool:
        """Whether a head reads pixels of the key frame (--mask_image, or a refiner)."""
        return any(head.needs_image for head in self.instance_heads.values())

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """The variables that the training phase trains, in a fixed order.

        A phase switches the layers on or off before (`training/step/phases.py`).
        """
        variables: list[tf.Variable] = []
        for part in self.parts().values():
            variables += part.trainable_variables
        return variables

    @property
    def backbone_weights(self) -> list[tf.Variable]:
        """The trainable variables in backbones, which have their own learning rate.

        --backbone_rate is its factor. The refiner's backbone is not among them.
        """
        variables: list[tf.Variable] = []
        for layer in self.backbone_layers:
            variables += layer.trainable_variables
        return variables

    @property
    def backbone_layers(self) -> list[tf.keras.layers.Layer]:
        """The layers of appearance and motion backbones.

        The layers of pyramids, and the refiner's backbone, are not among them.
        """
        return layers_computing(self.backbones, self._backbone_maps)

    def parts(self) -> dict[str, tf.keras.Model]:
        """Return the submodels that own variables, by the names that checkpoints have.

        Returns:
          {name: submodel}: backbones, temporal_fusion, rpn, roi_heads, then mask_head
          or refiner, action_backbone and motion_readout if the network has them. No two
          share a variable.
        """
        parts: dict[str, tf.keras.Model] = {
            "backbones": self.backbones,
            "temporal_fusion": self.temporal_fusion,
            "rpn": self.rpn,
            "roi_heads": self.roi_heads,
        }
        for head in self.instance_heads.values():
            if head.part:
                parts[head.part] = head.model
        if self.action_backbone is not None:
            parts["action_backbone"] = self.action_backbone
        if self.motion_readout is not None:
            parts["motion_readout"] = self.motion_readout
        return parts

    def _make_heads(self, convention: Convention) -> None:
        """Make the heads, without their layers."""
        config = self.model_config
        height, width = self.image_size
        shapes = []
        for stride in anchor_ops.STRIDES:
            shapes.append((-(-height // stride), -(-width // stride)))
        anchors = anchor_ops.generate(shapes, anchor_ops.STRIDES, config.anchors)
        rpn_coder = BoxCoder(convention.rpn_weights, convention.max_log_scale)
        self.proposals = Proposals(anchors, config.anchors, rpn_coder)
        coder = BoxCoder(convention.head_weights, convention.max_log_scale)
        self.actor = ActorHead(self.label_mode, coder)
        self.action: ActionHead | None = None
        if self.label_mode.num_actions:
            self.action = ActionHead(self.label_mode, config.fusion == "late")
        self.readout: Readout | None = None
        if config.readout:
            groups = motion_maps.groups(config.action_backbone, config.flow_histograms)
            self.readout = Readout(self.labels, self.image_size, groups)
        self.instance_heads: dict[str, InstanceHead] = {}
        for head_class in INSTANCE_HEADS:
            enabled = not head_class.setting or getattr(config, head_class.setting)
            if enabled and head_class.result not in self.instance_heads:
                head = head_class.make(config, self.actor)
                self.instance_heads[head_class.result] = head

    def _build_submodels(self, builder: Builder) -> None:
        """Build the submodels and assign them to attributes.

        Their order decides the initial weights. Checkpoints name variables by the
        attributes, which is why each submodel is one, also that of an instance head.
        """
        built = submodels.build_backbones(builder, self.readout)
        self._backbone_maps = built.maps
        self.readout_maps: tf.keras.Model | None = built.readout_maps
        self.backbones = built.model
        self.temporal_fusion = submodels.build_temporal_fusion(builder)
        self.rpn = submodels.build_rpn(builder, self.proposals)
        self.features = self._build_features()
        self.roi_heads = submodels.build_roi_heads(builder, self.actor, self.action)
        for head in self.instance_heads.values():
            if head.part:
                head.model = head.build_model(builder)
                setattr(self, head.part, head.model)
        self.action_backbone: tf.keras.Model | None = None
        if self.model_config.action_backbone:
            self.action_backbone = backbones.build_action_backbone(
                self.model_config.action_backbone
            )
        self.motion_readout: MotionReadout | None = None
        if self.readout is not None and self.readout.motion_groups:
            self.motion_readout = self.readout.build_motion_model()

    def _build_features(self) -> tf.keras.Model:
        """Build the submodel from clips to features."""
        config = self.model_config
        rgb = tf.keras.Input([None, *self.image_size, 3], dtype=tf.uint8, name="rgb")
        clip = {"rgb": rgb}
        if config.use_flow:
            clip["flow"] = tf.keras.Input([None, *self.image_size, 2], name="flow")
        frames = {}
        for name, values in clip.items():
            # Time is folded into the batch.
            middle = self.middle_frames(values)
            frames[name] = tf.reshape(middle, [-1, *self.image_size, values.shape[-1]])
        pyramids = {}
        for name, levels in self.backbones(frames).items():
            pyramids[name] = [
                tf.reshape(x, [-1, config.frames, *x.shape[1:]]) for x in levels
            ]
        return tf.keras.Model(clip, self._run_on_pyramids(pyramids), name="features")

    def _run_on_pyramids(
        self, pyramids: Mapping[str, list[tf.Tensor]]
    ) -> dict[str, Any]:
        """Run RPN and temporal fusion on pyramids of 2L + 1 frames.

        Returns:
          the outputs of `features`, by the fields of `Features`.
        """
        key = [self._pick_key_frame(x) for x in pyramids["actor"]]
        logits, deltas = self.rpn(key)
        outputs = {"rpn_logits": logits, "rpn_deltas": deltas, "actor": key}
        streams = {name: pyramids[name] for name in self.temporal_fusion.input}
        outputs["action"] = self.temporal_fusion(streams)
        if self.readout is not None:
            maps = pyramids["labels"]
            outputs["readout_logits"] = [tf.reduce_mean(x, axis=1) for x in maps]
        return outputs

    def _pick_key_frame(self, x: tf.Tensor) -> tf.Tensor:
        """Pick the key frame: [B, T, ...] -> [B, ...].

        The gradient of a slice is many times slower than that of unstack, and
        unstacking a single frame many times slower than reshaping.
        """
        if self.model_config.frames == 1:
            return tf.squeeze(x, axis=1)
        return tf.unstack(x, axis=1)[self.model_config.temporal_layers]


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Let the layers that are built inside compute in this precision."""
    usual_policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(usual_policy)
