"""Fit the network's readout to the instances of the training videos."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import Config
from a2d_tf.data import clip_records, pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.model.heads.readout import LEAST_SKILL
from a2d_tf.model.network import Network

_INSTANCES = 1000  # about the most that are read, evenly over the videos
# Boxes beside the true one of each instance, since boxes of the network are not exact.
_MOVED_BOXES = 3
_SHIFT = 0.15  # of a box's sides, most that a side moves
_BATCH_SIZE = 4
_FIELDS = ("rgb", "boxes", "actors", "actions", "present", "video")

logger = logging.getLogger(__name__)


class _Instances(NamedTuple):
    """Instances as boxes on clips.

    Attributes:
      features: float32 [n, 2 D], see `Readout.fit`.
      actors, actions: int32 [n], 0-based.
      videos: [n], names.
    """

    features: np.ndarray
    actors: np.ndarray
    actions: np.ndarray
    videos: np.ndarray


class Skills(NamedTuple):
    """How well a readout knows videos that it was not fitted to, see `ridge.skill`.

    Attributes:
      actor, action: from 0 for chance to 1; None if the videos are too few to tell.
      worth: a sentence of what each kind of motion map adds for actions, "" without
        motion maps or where the videos are too few to tell.
    """

    actor: float | None
    action: float | None
    worth: str = ""


_UNFITTED = Skills(0.0, 0.0)


def fit_readout(network: Network, manifest: Manifest, config: Config) -> Skills:
    """Fit the readout, if there is one, by the backbone as it is now.

    No validation or test video and no action label of a zero-shot actor is read. The
    result depends on weights and records alone.

    Returns:
      its skills; 0 if nothing is fitted.

    Raises:
      InputError: damaged records.
    """
    if network.readout is None:
        return _UNFITTED
    counts = manifest.counts["train"]
    most = max(counts["records"], counts["instances"])
    every = -(-most // _INSTANCES)
    clips = pipeline.evaluation(
        manifest, "train", config, _BATCH_SIZE, fields=_FIELDS, every=every
    )
    rng = np.random.default_rng(0)
    features = _make_features(network)
    parts = []
    with clip_records.naming(manifest.directory):
        for batch in clips:
            parts.append(_read_instances(batch, features, rng))
    if not parts:
        return _UNFITTED  # training will say that no clip is left

    instances = _Instances._make(np.concatenate(columns) for columns in zip(*parts))
    zero_shot_actor = -1
    if config.training.zero_shot_actor:
        zero_shot_actor = manifest.label_space.actor_index(
            config.training.zero_shot_actor
        )
    withheld = instances.actors == zero_shot_actor
    actor, action = network.readout.fit(
        instances.features,
        instances.actors,
        np.where(withheld, -1, instances.actions),
        instances.videos,
    )
    skills = Skills(actor, action)
    logger.info(
        "readout: right in videos left out, from 0 for chance to 1: actors %s, actions"
        " %s; what is below %.2f is left to the network's heads",
        _in_words(skills.actor),
        _in_words(skills.action),
        LEAST_SKILL,
    )
    return skills


def _in_words(skill: float | None) -> str:
    return "(too few videos to tell)" if skill is None else f"{skill:.2f}"


def _make_features(network: Network) -> Callable[..., tf.Tensor]:
    """Return the function (clips, boxes [B, N, 4]) -> features [B, N, 2 D]."""
    readout = network.readout
    assert readout is not None

    @tf.function(reduce_retracing=True, autograph=False)
    def features(clips: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        clips = network.field(clips)
        frames = tf.reshape(clips, [-1, *clips.shape[2:]])
        pooled = []
        for level in network.readout_maps(frames, training=False):
            level = tf.reshape(level, [-1, clips.shape[1], *level.shape[1:]])
            # The average over the clip's frames, as of the logits in `Network`.
            mean = tf.reduce_mean(tf.cast(level, tf.float32), axis=1)
            pooled.append(readout.pool(mean, boxes))
        halves = tf.concat(pooled, axis=-1)
        return tf.concat(tf.unstack(halves, axis=2), axis=-1)

    return features


def _read_instances(batch, features, rng) -> _Instances:
    """Return the instances of a batch of clips: their true boxes, then moved ones."""
    boxes = batch["boxes"].numpy()
    present = batch["present"].numpy()
    sides = np.tile(boxes[..., 2:] - boxes[..., :2], 2)
    copies = 1 + _MOVED_BOXES
    moves = rng.uniform(-_SHIFT, _SHIFT, (copies, *boxes.shape)) * sides
    moves[0] = 0.0
    moved = np.float32(np.concatenate(list(boxes + moves), axis=1))
    videos = np.broadcast_to(batch["video"].numpy()[:, None], present.shape)
    counted = np.tile(present, copies)
    return _Instances(
        features=features(batch["rgb"], tf.constant(moved)).numpy()[counted],
        actors=np.tile(batch["actors"].numpy(), copies)[counted],
        actions=np.tile(batch["actions"].numpy(), copies)[counted],
        videos=np.tile(videos, copies)[counted],
    )
