"""Fit the network's readout to the training videos, in closed form."""

from __future__ import annotations

import logging

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import Config
from a2d_tf.data import clip_records, pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.model.heads.readout import LEAST_SKILL
from a2d_tf.model.network import Network

_INSTANCES = 1000  # about the most that are read, evenly over the videos
# of each instance, beside the true box, as boxes that the network finds are not exact
_MOVED = 3
_SHIFT = 0.15  # of a box's sides, most that a side moves
_FIELDS = ("rgb", "boxes", "actors", "actions", "present", "video")

logger = logging.getLogger(__name__)


def fit_readout(network: Network, manifest: Manifest, config: Config) -> list[float]:
    """Fit the readout, if there is one, by the backbone as it is now.

    No video that is held out and no action label of a zero-shot actor is read. The
    result depends on weights and records alone.

    Returns:
      the skill with actors and actions, see `ridge`; zeros where nothing is fitted.

    Raises:
      InputError: damaged records.
    """
    if network.readout is None:
        return [0.0, 0.0]
    held_out, readout, maps = -1, network.readout, network.readout_maps
    if config.training.zero_shot_actor:
        held_out = manifest.label_space.actor_index(config.training.zero_shot_actor)

    @tf.function(reduce_retracing=True, autograph=False)
    def features(clips: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        clips = network.field(clips)
        levels = maps(tf.reshape(clips, [-1, *clips.shape[2:]]), training=False)
        # The average over the clip's frames, as of the logits in `Network`.
        levels = [tf.reshape(x, [-1, clips.shape[1], *x.shape[1:]]) for x in levels]
        levels = [tf.reduce_mean(tf.cast(x, tf.float32), axis=1) for x in levels]
        halves = tf.concat([readout.pool(x, boxes) for x in levels], axis=-1)
        return tf.concat(tf.unstack(halves, axis=2), axis=-1)

    every = -(
        -max(manifest.counts["train"][n] for n in ("records", "instances"))
        // _INSTANCES
    )
    clips = pipeline.evaluation(
        manifest, "train", config, 4, fields=_FIELDS, every=every
    )
    rng, rows = np.random.default_rng(0), []
    with clip_records.naming(manifest.directory):
        for batch in clips:
            boxes, present = batch["boxes"].numpy(), batch["present"].numpy()
            sides = np.tile(boxes[..., 2:] - boxes[..., :2], 2)
            moves = rng.uniform(-_SHIFT, _SHIFT, (1 + _MOVED, *boxes.shape)) * sides
            moves[0] = 0.0
            moved = np.float32(np.concatenate([*(boxes + moves)], axis=1))
            found = features(batch["rgb"], tf.constant(moved)).numpy()
            videos = np.broadcast_to(batch["video"].numpy()[:, None], present.shape)
            labels = batch["actors"].numpy(), batch["actions"].numpy(), videos
            counted = np.tile(present, 1 + _MOVED)
            rows.append(
                [x[counted] for x in (found, *(np.tile(y, 1 + _MOVED) for y in labels))]
            )
    if not rows:
        return [0.0, 0.0]  # training will say that no clip is left
    x, actors, actions, videos = (np.concatenate(parts) for parts in zip(*rows))
    skills = readout.fit(x, actors, np.where(actors == held_out, -1, actions), videos)
    logger.info(
        "readout: right in videos left out, from 0 for chance to 1 (or too few to"
        " tell): actors %.2f, actions %.2f; what is below %.2f is left to the network's"
        " heads",
        *(*skills, LEAST_SKILL),
    )
    return skills
