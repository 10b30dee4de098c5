"""The training loop: clip in, five losses, one step (paper, section 3.3).

forward             features -> proposals -> sampled RoIs -> heads -> loss terms
make_train_step     gradients of the sum, clipped, applied
train_and_evaluate  the loop around it: data, checkpoints, TensorBoard, validation
"""

import math
import os
import time

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from a2d_tf.data import pipeline, records
from a2d_tf.errors import InputError
from a2d_tf.files import write_json
from a2d_tf.learning import losses, optimizer, refinement, targets
from a2d_tf.model import fpn, inference
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops import masks as mask_ops

VALIDATION_SEED = (0, 0)


def forward(network, batch, seed, config, training):
    """Loss terms of a batch.

    Args:
      network: a Network.
      batch: an element of `pipeline.training`.
      seed: int32 [2], of the sampling.
      config: a LearningConfig.
      training: whether batch normalisation, where there is one, uses the batch.

    Returns:
      (terms, health): terms maps each of losses.TERMS that the phase has to a list of (sum, count)
      whose quotients add up to it; health has `proposal_recall` (of instances, at IoU .5) and
      `positives` (RoIs a frame), as (sum, count).
    """
    labels, mode = network.labels, network.config.label_mode
    present, annotated = batch["present"], batch["annotated"]
    seeds = tf.random.experimental.stateless_split(seed, 2)
    inputs = {name: batch[name] for name in network.features.input_names}
    features = network.features(inputs, training=training)

    with tf.name_scope("proposals"):
        proposals, valid = fpn.propose(
            features["rpn_logits"], features["rpn_deltas"], network.anchors, batch["size"],
            network.rpn_coder, 2 * config.train_proposals, config.train_proposals,
        )  # fmt: skip
    with tf.name_scope("targets"):
        rows = targets.sample_rois(
            proposals, valid, batch["boxes"], present, annotated, config.roi_samples,
            config.positive_fraction, seeds[0], config.add_truth_rois,
        )  # fmt: skip
        classes = _classes(batch["actors"], batch["actions"], labels, mode)
        wanted = targets.roi_targets(
            rows, batch["boxes"], classes, batch["actors"], batch["actions"], network.num_classes,
            network.head_coder,
        )  # fmt: skip
    outputs = network.roi_heads(
        {"actor": features["actor"], "action": features["action"], "rois": rows["rois"]},
        training=training,
    )

    terms = {}
    if config.train_phase != "action":
        with tf.name_scope("targets"):
            anchors = targets.anchor_targets(
                network.anchors, batch["boxes"], present, batch["size"], annotated,
                config.rpn_samples, network.rpn_coder, seeds[1],
            )  # fmt: skip
        terms["roi_cls"] = [losses.objectness(features["rpn_logits"], anchors)]
        terms["box_reg"] = [
            losses.proposal_boxes(features["rpn_deltas"], anchors),
            losses.actor_boxes(outputs["deltas"], wanted, rows),
        ]
        terms["actor_cls"] = [losses.actor_class(outputs["class_logits"], wanted, rows)]
        if network.mask_head is not None:
            terms["mask"] = [_mask_term(network, features, batch, rows, wanted, config, training)]
    if config.train_phase != "actor" and "action_logits" in outputs:
        held_out = -1
        if config.zero_shot_actor:
            held_out = labels.actor_index(config.zero_shot_actor)
        terms["action_cls"] = [
            losses.action_class(
                outputs["action_logits"], wanted, rows, len(labels.actions), held_out
            )
        ]
    return terms, _health(proposals, batch, rows)


def _classes(actors, actions, labels, label_mode):
    """What the actor head should call instances: int32 of the shape of the 0-based labels given."""
    lookup = np.zeros(labels.valid.shape, np.int32)
    lookup[labels.valid] = inference.class_of_pair(labels, label_mode)
    # Padding is -1; no loss reads its class, but the lookup must bear it.
    return tf.gather_nd(lookup, tf.maximum(tf.stack([actors, actions], axis=-1), 0))


def _mask_term(network, features, batch, rows, wanted, config, training):
    """The mask loss on the static first rows, which hold every positive.

    Static, so that there is one trace and never an empty batch; few, for mask rows are dear.
    """
    most = targets.most_positives(config.roi_samples, config.positive_fraction)
    rois, match, positive = (rows[name][:, :most] for name in ("rois", "match", "positive"))
    logits = network.mask_head({"actor": features["actor"], "rois": rois}, training=training)
    with tf.name_scope("targets"):
        truth = mask_ops.crop_targets(batch["masks"], rois, match, logits.shape[2])
    return losses.mask(logits, truth, wanted["class_index"][:, :most], positive)


def _health(proposals, batch, rows):
    overlaps = tf.reduce_max(box_ops.iou(batch["boxes"], proposals), axis=2)
    present = tf.cast(batch["present"], tf.float32)
    found = tf.cast(overlaps >= 0.5, tf.float32) * present
    frames = tf.reduce_sum(tf.cast(batch["annotated"], tf.float32))
    positives = tf.reduce_sum(tf.cast(rows["positive"], tf.float32))
    return {
        "proposal_recall": (tf.reduce_sum(found), tf.reduce_sum(present)),
        "positives": (positives, frames),
    }


def weighted(terms, config):
    """Eq. 1: each term's value times its lambda, and their sum as `total`."""
    values = {
        name: getattr(config, f"lambda_{name}")
        * tf.add_n([tf.math.divide_no_nan(total, count) for total, count in parts])
        for name, parts in terms.items()
    }
    return dict(values, total=tf.add_n(list(values.values())))


def _scalars(network, batch, seed, config, training):
    """What a step reports: the weighted terms, their total, and the health figures."""
    run = refinement.forward if config.train_phase == "refiner" else forward
    # What is no part of the network has a scope of its own, for profiles and TensorBoard's graph.
    with tf.name_scope("losses"):
        terms, health = run(network, batch, seed, config, training)
        ratios = {name: tf.math.divide_no_nan(*pair) for name, pair in health.items()}
        return {**weighted(terms, config), **ratios}


def make_train_step(network, opt, config, loss_scale=None):
    """The compiled step: (batch, step int64 scalar) -> dict of scalar losses and health.

    With an `optimizer.LossScale`, a step whose gradients overflow changes nothing but the scale,
    and reports a gradient norm of 0; unless the scale is at its least.
    """

    @tf.function(reduce_retracing=True)
    def train_step(batch, step):
        seed = tf.stack([tf.constant(config.seed, tf.int64), step])
        variables = network.trainable_weights
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            values = _scalars(network, batch, seed, config, training=True)
            loss = values["total"] * loss_scale.value if loss_scale else values["total"]
        gradients = tape.gradient(
            loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        with tf.name_scope("optimizer"):
            return {**values, **_apply(gradients, variables)}

    def _apply(gradients, variables):
        if loss_scale:
            gradients = [gradient / loss_scale.value for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        if config.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, config.clip_norm, norm)

        def apply():
            opt.apply_gradients(
                zip(gradients, variables), decay_var_list=optimizer.decaying(variables)
            )
            return norm

        if not loss_scale:
            return {"gradient_norm": apply()}
        scale, finite = loss_scale.value.read_value(), tf.math.is_finite(norm)
        skipped = tf.where(scale > 1.0, 0.0, norm)
        applied = tf.cond(finite, apply, lambda: skipped)
        loss_scale.update(finite)
        return {"gradient_norm": applied, "loss_scale": scale}

    return train_step


def learner(config):
    """(schedule, optimizer) of a LearningConfig."""
    schedule = optimizer.Schedule(
        config.learning_rate, config.steps, config.warmup_steps, config.schedule
    )
    return schedule, optimizer.make_optimizer(
        config.optimizer, schedule, config.momentum, config.weight_decay
    )


def make_loss_scale(config):
    """The `optimizer.LossScale` of a Config whose precision needs one, else None."""
    return optimizer.LossScale() if config.compute.precision == "mixed_float16" else None


def batches(manifest, canvas, frames, config, step=0):
    """The endless `pipeline.training` of a LearningConfig, from a step on."""
    return pipeline.training(
        manifest, canvas, frames, config.batch_size, config.seed, config.max_instances,
        config.val_fraction, config.shuffle_buffer, config.flip, config.scale_jitter,
        config.colour_jitter, step,
    )  # fmt: skip


def make_validation_step(network, config):
    """The compiled step without an update: batch -> dict of scalar losses and health."""

    @tf.function(reduce_retracing=True)
    def validation_step(batch):
        seed = tf.constant(VALIDATION_SEED, tf.int64)
        return _scalars(network, batch, seed, config, training=False)

    return validation_step


def check_finite(values, step):
    """Stop at a loss that is no number, and say which.

    Raises:
      InputError: names the term.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise InputError(
                f"step {step}: the loss term '{name}' is {value}; lower --learning_rate, lengthen "
                "--warmup_steps or lower --clip_norm, and start again from the last checkpoint"
            )


def train_and_evaluate(network, manifest, config, workdir, evaluate):
    """Fit the network and keep its checkpoints; a run that was stopped goes on from its last one.

    A run that is done already is left as it is.

    Args:
      network: a Network.
      manifest: of the records.
      config: a Config.
      workdir: gets `checkpoints/`, `tensorboard/` and, at the end, `finished.json`.
      evaluate: callable() -> ({tag: scalar}, {tag: uint8 image [1, H, W, 3]}), run at every
        validation.

    Raises:
      InputError: unusable records or checkpoint, or a loss that is not finite.
    """
    learning = config.learning
    network.set_phase(learning.train_phase)
    schedule, opt = learner(learning)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    scale = make_loss_scale(config)
    kept = {"network": network, "optimizer": opt, "step": step}
    extra = {"loss_scale": scale} if scale else {}
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(**kept, **extra), os.path.join(workdir, "checkpoints"),
        learning.keep_checkpoints,
    )  # fmt: skip
    if manager.latest_checkpoint:
        try:
            # Partial only lest TensorFlow tells of a mismatch in a line per variable.
            status = tf.train.Checkpoint(**kept).restore(manager.latest_checkpoint)
            status.expect_partial().assert_existing_objects_matched()
            # It is not there after steps in another precision.
            tf.train.Checkpoint(**extra).restore(manager.latest_checkpoint).expect_partial()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise InputError(
                f"{manager.latest_checkpoint}: a checkpoint of another network "
                f"({str(error).splitlines()[0]}); give another --workdir"
            ) from error
        if int(step) >= learning.steps and os.path.exists(_finished(workdir)):
            print(f"{workdir}: trained to step {int(step)} already", flush=True)
            return
        print(f"resuming at step {int(step)} of {learning.steps}", flush=True)
    train_step = make_train_step(network, opt, learning, scale)
    validation_step = make_validation_step(network, learning)
    writers = {
        name: tf.summary.create_file_writer(os.path.join(workdir, "tensorboard", name))
        for name in ("train", "validation")
    }

    def validate():
        values = _mean_losses(validation_step, manifest, config, network.image_size)
        scalars, images = evaluate()
        with writers["validation"].as_default(int(step)):
            for name, value in {**values, **scalars}.items():
                tf.summary.scalar(name, value)
            for name, image in images.items():
                tf.summary.image(name, image)
        writers["validation"].flush()

    bar = tqdm(
        total=learning.steps, initial=int(step), unit="step", dynamic_ncols=True, smoothing=0.1
    )
    window, began = [], time.monotonic()
    waited = 0.0
    stream = iter(batches(manifest, network.image_size, config.model.frames, learning, int(step)))
    while int(step) < learning.steps:
        before = time.monotonic()
        with records.naming(manifest.directory):
            batch = next(stream)
        waited += time.monotonic() - before
        values = train_step(batch, step.value())
        step.assign_add(1)
        now = int(step)
        values = {name: float(value) for name, value in values.items()}
        check_finite(values, now)
        window.append(values)
        bar.update()
        bar.set_postfix({k: f"{values[k]:.3f}" for k in losses.TERMS if k in values}, refresh=False)
        if now % learning.log_every == 0 or now == learning.steps:
            elapsed = time.monotonic() - began
            with writers["train"].as_default(now):
                for name in window[0]:
                    tf.summary.scalar(_tag(name), sum(v[name] for v in window) / len(window))
                tf.summary.scalar("run/learning_rate", schedule(now))
                tf.summary.scalar(
                    "run/clips_per_second", len(window) * learning.batch_size / elapsed
                )
                tf.summary.scalar("run/input_wait_percent", 100 * waited / elapsed)
            writers["train"].flush()
            window, began, waited = [], time.monotonic(), 0.0
        if now % learning.checkpoint_every == 0 or now == learning.steps:
            manager.save(now)
        if now % learning.validate_every == 0 and now < learning.steps:
            validate()
            began, waited = time.monotonic(), 0.0
    bar.close()
    validate()
    write_json(_finished(workdir), {"steps": int(step)})


def _finished(workdir):
    return os.path.join(workdir, "finished.json")


def _tag(name):
    return f"loss/{name}" if name in losses.TERMS or name == "total" else f"run/{name}"


def _mean_losses(validation_step, manifest, config, canvas):
    """Losses over the validation split, each batch weighing alike; empty without such a split."""
    learning = config.learning
    batches = pipeline.evaluation(
        manifest, "val", canvas, config.model.frames, learning.batch_size,
        learning.max_instances, learning.val_fraction,
    )  # fmt: skip
    sums, count = {}, 0
    for batch in batches:
        for name, value in validation_step(batch).items():
            sums[name] = sums.get(name, 0.0) + float(value)
        count += 1
    return {_tag(name): total / count for name, total in sums.items()}
