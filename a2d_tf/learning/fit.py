"""The training loop: clip in, five losses, one step (paper, section 3.3).

forward             features -> proposals -> sampled RoIs -> heads -> loss terms
make_train_step     gradients of the sum, clipped, applied
train_and_evaluate  the loop around it: data, checkpoints, TensorBoard, validation
"""

import contextlib
import math
import os
import time

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json
from a2d_tf.core.stopping import stop_at_once, stop_on_signal
from a2d_tf.data import pipeline, records
from a2d_tf.learning import averaging, divergence, losses, optimizer, refinement, replicas, targets
from a2d_tf.learning.runs.events import Events
from a2d_tf.learning.runs.keeper import Keeper
from a2d_tf.model import fpn, inference
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops import masks as mask_ops

VALIDATION_SEED = (0, 0)


def forward(network, batch, seed, config, training, features=None):
    """Loss terms of a batch.

    Args:
      network: a Network.
      batch: an element of `pipeline.training`.
      seed: int32 [2], of the sampling.
      config: a LearningConfig.
      training: whether batch normalisation, where there is one, uses the batch.
      features: what `network.features` makes of the batch, where that is known.

    Returns:
      (terms, health): terms maps each of losses.TERMS that the phase has to a list of (sum, count)
      whose quotients add up to it; health has `proposal_recall` (of instances, at IoU .5) and
      `positives` (RoIs a frame), as (sum, count).
    """
    labels, mode = network.labels, network.config.label_mode
    present, annotated = batch["present"], batch["annotated"]
    draws = targets.Draws(seed, batch["row"], config.batch_size).split(2)
    if features is None:
        inputs = {name: batch[name] for name in network.features.input_names}
        features = network.features(inputs, training=training)

    with tf.name_scope("proposals"):
        proposals, valid = fpn.propose(
            features["rpn_logits"],
            features["rpn_deltas"],
            network.anchors,
            batch["size"],
            network.rpn_coder,
            config.before_nms,
            config.train_proposals,
        )
    with tf.name_scope("targets"):
        rows = targets.sample_rois(
            proposals,
            valid,
            batch["boxes"],
            present,
            annotated,
            config.roi_samples,
            config.positive_fraction,
            draws[0],
            config.add_truth_rois,
        )
        classes = _classes(batch["actors"], batch["actions"], labels, mode)
        wanted = targets.roi_targets(
            rows,
            batch["boxes"],
            classes,
            batch["actors"],
            batch["actions"],
            network.num_classes,
            network.head_coder,
        )
    outputs = network.roi_heads(
        {"actor": features["actor"], "action": features["action"], "rois": rows["rois"]},
        training=training,
    )

    terms = {}
    if config.train_phase != "action":
        with tf.name_scope("targets"):
            anchors = targets.anchor_targets(
                network.anchors,
                batch["boxes"],
                present,
                batch["size"],
                annotated,
                config.rpn_samples,
                network.rpn_coder,
                draws[1],
            )
        terms["roi_cls"] = [losses.objectness(features["rpn_logits"], anchors)]
        terms["box_reg"] = [
            losses.proposal_boxes(
                features["rpn_deltas"],
                anchors,
                config.rpn_beta or network.rpn_beta,
                config.box_normaliser,
            ),
            losses.actor_boxes(outputs["deltas"], wanted, rows, config.box_normaliser),
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
                outputs["action_logits"],
                wanted,
                rows,
                len(labels.actions),
                network.config.has_action_background,
                held_out,
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


def _scalars(network, batch, seed, config, training, features=None):
    """What a step reports: the weighted terms, their total, and the health figures.

    In a replica the sums are its own and the counts those of all: added up over the replicas they
    are the figures of the whole batch.
    """
    # What is no part of the network has a scope of its own, for profiles and TensorBoard's graph.
    with tf.name_scope("losses"):
        if config.train_phase == "refiner":
            terms, health = refinement.forward(network, batch, seed, config, training)
        else:
            terms, health = forward(network, batch, seed, config, training, features)
        pairs = {"terms": terms, "health": health}
        flat = tf.nest.flatten(pairs)
        flat[1::2] = replicas.total(flat[1::2])
        pairs = tf.nest.pack_sequence_as(pairs, flat)
        ratios = {name: tf.math.divide_no_nan(*pair) for name, pair in pairs["health"].items()}
        return {**weighted(pairs["terms"], config), **ratios}


def _gradients(network, batch, seed, config, scale=1.0):
    """What a step reports, its gradient norm last, and the clipped gradients; in a replica.

    Args:
      scale: factor on the loss while gradients are computed.
    """
    variables = network.trainable_weights
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        values = _scalars(network, batch, seed, config, training=True)
        loss = values["total"] * scale
    gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    values, gradients = replicas.total((values, gradients))
    with tf.name_scope("optimizer"):
        gradients, norm = optimizer.clipped(gradients, config.clip_norm, scale)
    return {**values, "gradient_norm": norm}, gradients


def make_train_step(network, opt, config, loss_scale=None, averages=None):
    """The compiled step: (batch, step int64 scalar) -> dict of scalar losses and health.

    It runs on every replica of the strategy in whose scope it is made; a batch is then what
    `pipeline.training` distributes.

    A step whose gradients are no numbers changes no weight. With an `optimizer.LossScale` such a
    step lowers the scale, and reports a gradient norm of 0 unless the scale is at its least. With
    `averaging.Averages` these take part in the step.
    """
    strategy = tf.distribute.get_strategy()

    def gradients(batch, seed, scale):
        return _gradients(network, batch, seed, config, scale)

    def apply(found):
        variables = network.trainable_weights
        opt.apply_gradients(
            zip(found, variables),
            decay_var_list=optimizer.decaying(variables),
            experimental_aggregate_gradients=False,
        )

    @tf.function(reduce_retracing=True)
    def train_step(batch, step):
        seed = tf.stack([tf.constant(config.seed, tf.int64), step])
        scale = loss_scale.value.read_value() if loss_scale else 1.0
        values, found = strategy.run(gradients, (batch, seed, scale))
        values = replicas.first(values)
        finite = tf.math.is_finite(values["gradient_norm"])
        finite &= tf.math.is_finite(values["total"])

        def update():
            with tf.name_scope("optimizer"):
                strategy.run(apply, (found,))
                if averages:
                    averages.update(step)
            return True

        tf.cond(finite, update, lambda: False)
        if loss_scale:
            norm = tf.where(finite | (scale <= 1.0), values["gradient_norm"], 0.0)
            values = {**values, "gradient_norm": norm, "loss_scale": scale}
            loss_scale.update(finite)
        return values

    return train_step


def make_probe(network, config):
    """What a step reports of clips as it would without an update: (batch, step) -> dict.

    A batch may be some rows of a step's: they draw what they drew in it. Every replica gets all of
    it.
    """
    strategy = tf.distribute.get_strategy()

    @tf.function(reduce_retracing=True)
    def probe(batch, step):
        seed = tf.stack([tf.constant(config.seed, tf.int64), step])
        values, _ = strategy.run(_gradients, (network, batch, seed, config))
        return replicas.first(values)

    return probe


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


def batches(manifest, canvas, frames, config, step=0, input_context=None):
    """The endless `pipeline.training` of a LearningConfig, from a step on."""
    return pipeline.training(
        manifest,
        canvas,
        frames,
        config.batch_size,
        config.seed,
        config.max_instances,
        config.val_fraction,
        config.shuffle_buffer,
        config.flip,
        config.scale_jitter,
        config.colour_jitter,
        step,
        input_context,
    )


def without_names(batch):
    """A batch without its strings: they are of no use to a step, and have no place on a GPU."""
    return {name: value for name, value in batch.items() if value.dtype != tf.string}


def _distributed(manifest, canvas, frames, config, step):
    """An iterator over `batches`, each replica's part on its device."""

    def part(context):
        return batches(manifest, canvas, frames, config, step, context).map(without_names)

    return iter(tf.distribute.get_strategy().distribute_datasets_from_function(part))


def make_measure(network, config):
    """The losses of validation: (batch, its features) -> dict of scalar losses and health.

    For `runner.Evaluator`, whose pass through the videos held out it shares.
    """

    def measure(batch, features):
        seed = tf.constant(VALIDATION_SEED, tf.int64)
        return _scalars(network, batch, seed, config, training=False, features=features)

    return measure


def check_finite(values, step):
    """Stop at a loss that is no number, and say which.

    Raises:
      Diverged: names the term.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise divergence.Diverged(f"step {step}: the loss term '{name}' is {value}")


def train_and_evaluate(network, manifest, config, workdir, evaluate):
    """Fit the network and keep its checkpoints; a run that was stopped goes on from its last one.

    Called in the scope of the strategy in which the network was made. A run that is done already
    is left as it is. SIGTERM or Ctrl-C end it after the step in hand, which is kept.

    Args:
      network: a Network.
      manifest: of the records.
      config: a Config.
      workdir: gets `checkpoints/`, `best/`, `tensorboard/` and, at the end, `finished.json`.
      evaluate: callable() -> ({tag: scalar}, {tag: uint8 image [1, H, W, 3]}), run at every
        validation.

    Raises:
      InputError: unusable records or checkpoint, or a loss that is not finite.
      KeyboardInterrupt: a signal ended it.
    """
    learning, chief = config.learning, replicas.is_chief()
    network.set_phase(learning.train_phase)
    schedule, opt = learner(learning)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    scale, averages = make_loss_scale(config), None
    if learning.average_decay:
        averages = averaging.Averages(network.variables, learning.average_decay)
    keeper = Keeper(workdir, network, opt, step, learning.keep_checkpoints, averages, scale, chief)
    log = Events(workdir, chief)
    resumed = keeper.resume()
    now = int(step.numpy())
    if not replicas.agree(now):
        raise InputError(
            f"{workdir}: the workers find different checkpoints there (this one step {now}); all "
            "of them must see the same folder"
        )
    # Its validation may have been cut off.
    due = now % learning.validate_every == 0 or now >= learning.steps
    if resumed:
        if _is_finished(workdir, max(now, learning.steps)):
            print(f"{workdir}: trained to step {now} already", flush=True)
            return
        print(f"resuming at step {now} of {learning.steps}", flush=True)
    # What the run said between its last checkpoint and its end, it will say again.
    log.trim("train", now)
    for name in ("validation", "training_clips"):
        log.trim(name, now - due)
    train_step = make_train_step(network, opt, learning, scale, averages)

    def validate():
        # It can be repeated, for its step is kept.
        with stop_at_once():
            _validate()

    def _validate():
        with averages.in_place() if averages else contextlib.nullcontext():
            scalars, images = evaluate()
        # Without a validation split there are only pictures, of clips it has trained on.
        log.write("validation" if scalars else "training_clips", now, scalars, images)
        if "segmentation/joint_miou" in scalars:
            keeper.save_best(scalars["segmentation/joint_miou"], scalars["segmentation/threshold"])

    if resumed and due and now < learning.steps:
        validate()
    bar = tqdm(
        total=learning.steps,
        initial=now,
        unit="step",
        dynamic_ncols=True,
        smoothing=0.1,
        disable=not chief,
    )
    window, timed, began, waited = keeper.window.values, 0, time.monotonic(), 0.0
    stream = _distributed(manifest, network.image_size, config.model.frames, learning, now)
    stop_anywhere, alone = replicas.make_any(), replicas.is_alone()
    with bar, stop_on_signal() as stops:
        while now < learning.steps:
            before = time.monotonic()
            with records.naming(manifest.directory):
                batch = next(stream)
            waited += time.monotonic() - before
            values = train_step(batch, tf.constant(now, tf.int64))
            values = {name: float(value) for name, value in values.items()}
            try:
                check_finite(values, now + 1)
            except divergence.Diverged as error:
                _explain(error, network, manifest, config, workdir, now)
            now += 1
            step.assign(now)
            window.append(values)
            timed += 1
            bar.update()
            terms = {name: f"{values[name]:.3f}" for name in losses.TERMS if name in values}
            bar.set_postfix(terms, refresh=False)
            if now % learning.log_every == 0 or now == learning.steps:
                elapsed = time.monotonic() - began
                log.write(
                    "train",
                    now,
                    {
                        **_means(window, values),
                        "run/learning_rate": schedule(now),
                        "run/clips_per_second": timed * learning.batch_size / elapsed,
                        "run/step_ms": 1e3 * elapsed / timed,
                        "run/wait_ms": 1e3 * waited / timed,
                    },
                )
                window.clear()
                timed, began, waited = 0, time.monotonic(), 0.0
            stopping = stop_anywhere(bool(stops))
            validating = now % learning.validate_every == 0 or now == learning.steps
            if stopping or validating or now % learning.checkpoint_every == 0:
                keeper.save()
                stopping = stopping or (alone and bool(stops))
            if stopping:
                bar.close()
                print(
                    f"stopped at step {now}, which is kept; the same command goes on from there",
                    flush=True,
                )
                raise KeyboardInterrupt
            if validating and now < learning.steps:
                validate()
                timed, began, waited = 0, time.monotonic(), 0.0
    validate()
    if chief:
        write_json(_finished(workdir), {"steps": now})


def _explain(error, network, manifest, config, workdir, step):
    """Keep the batch of a step that diverged, find its clips, and raise an error that names them.

    The weights are still those before the step.
    """
    canvas, frames = network.image_size, config.model.frames
    with records.naming(manifest.directory):
        batch = next(iter(batches(manifest, canvas, frames, config.learning, step)))
    divergence.keep(network, batch, step, workdir, replicas.is_chief())
    clips = divergence.probe_clips(batch, step, make_probe(network, config.learning))
    found = ", ".join(divergence.culprits(batch, clips)) or "no clip alone"
    raise divergence.Diverged(
        f"{error}, from {found}; tools/replay_batch.py --workdir={workdir} shows more of it. Mend "
        "the clip, or lower --learning_rate, lengthen --warmup_steps or lower --clip_norm; the "
        "same command goes on from the last checkpoint. Where the same comes at once, its weights "
        f"are spoilt: delete the newest of {workdir}/checkpoints"
    ) from error


def _finished(workdir):
    return os.path.join(workdir, "finished.json")


def _is_finished(workdir, steps):
    """Whether a run is through with its last validation, after so many steps."""
    try:
        return read_json(_finished(workdir)) == {"steps": steps}
    except (OSError, ValueError):
        return False


def _means(window, names):
    """{tag: mean over the steps that have it}; those of another precision may lack some."""
    found = {name: [values[name] for values in window if name in values] for name in names}
    return tagged({name: sum(values) / len(values) for name, values in found.items()})


def tagged(values):
    """{name: loss or health figure} by their names in TensorBoard."""
    groups = {name: "loss" for name in (*losses.TERMS, "total")}
    return {f"{groups.get(name, 'run')}/{name}": value for name, value in values.items()}
