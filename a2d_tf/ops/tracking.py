"""Link instances over time: an actor keeps its id, and its label is read from several frames.

Linking is greedy on the IoU of masks between one answered frame and the next, as in tracking by
detection (Bochinski et al., AVSS 2017; Bewley et al., ICIP 2016); it needs no motion model.
Memory does not grow with the video.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace

PATIENCE = 8  # answered frames in a row that an actor may be missing and still keep its id
MIN_IOU = 0.3  # of an actor's mask with its last one
MIN_IOU_OTHER = 0.5  # the same, where the network now takes it for another kind of actor
WINDOW = 9
LEAD = 1.5  # how many times the evidence for another label must be that for the one so far


Found = TypeVar("Found")
"""The N instances of a frame, with the attributes boxes [N, 4] (y1, x1, y2, x2), codes [N], scores
[N], masks (N RLEs), actor_scores [N, |X|], action_scores [N, |Y|]."""


@dataclasses.dataclass
class Track:
    """An actor while it is followed.

    Attributes:
      id: 1, 2, ... in the order of appearance.
      detections: (index, code, score, p(actor) [|X|], p(action) [|Y|]), the newest last.
      seen: index of the answered frame where it was last seen.
      box: [y1, x1, y2, x2] where it was last seen.
      mask: RLE of the same.
      label: the code that was last read for it; None before that.
    """

    id: int
    detections: collections.deque
    seen: int = 0
    box: Any = None
    mask: Any = None
    label: int | None = None


class Tracker:
    """Assigns the instances of one frame after another to tracks.

    Args:
      window: answered frames from which a label is read.
    """

    def __init__(self, labels: LabelSpace, window: int = WINDOW):
        self._labels, self._window = labels, window
        self._tracks: list[Track] = []
        self._frames, self._ids = 0, 0

    def add(self, instances: Any) -> list[Track]:
        """Follow the actors into the next answered frame.

        An instance goes to the track with whose last mask it has the highest IoU, first among those
        of its own kind of actor, then among others. The instances that are left begin a track.

        Args:
          instances: N, with masks as RLEs.

        Returns:
          the track of each instance.
        """
        index, self._frames = self._frames, self._frames + 1
        self._tracks = [t for t in self._tracks if index - t.seen <= PATIENCE + 1]
        owners = self._match(instances)
        for i, owner in enumerate(owners):
            if owner is None:
                self._ids += 1
                owner = owners[i] = Track(self._ids, collections.deque(maxlen=self._window))
                self._tracks.append(owner)
            owner.seen, owner.box, owner.mask = index, instances.boxes[i], instances.masks[i]
            code, score = int(instances.codes[i]), float(instances.scores[i])
            shares = instances.actor_scores[i], instances.action_scores[i]
            owner.detections.append((index, code, score, *shares))
        return owners

    def _match(self, instances):
        """The track of each instance, or None."""
        owners, tracks = [None] * len(instances.boxes), self._tracks
        actors = self._labels.split(np.asarray(instances.codes))[0]
        kinds = [_actor(track.detections, self._labels) + 1 for track in tracks]
        iou = _iou(instances, tracks)
        pairs = []
        for i, k in zip(*np.nonzero(iou >= MIN_IOU)):
            same = actors[i] == kinds[k]
            if same or iou[i, k] >= MIN_IOU_OTHER:
                pairs.append((not same, -iou[i, k], tracks[k].id, i, k))
        taken = set()
        for _, _, _, i, k in sorted(pairs):
            if owners[i] is None and k not in taken:
                owners[i] = tracks[k]
                taken.add(k)
        return owners


def _iou(instances, tracks):
    """IoU of instances and tracks [N, K]: of their masks, of their boxes where a mask is empty."""
    if not len(instances.boxes) or not tracks:
        return np.zeros((len(instances.boxes), len(tracks)))
    masks = list(instances.masks), [track.mask for track in tracks]
    boxes = [
        np.float64([[x1, y1, x2 - x1, y2 - y1] for y1, x1, y2, x2 in side])
        for side in (instances.boxes, [track.box for track in tracks])
    ]
    crowd = [0] * len(tracks)
    empty = [rle_tools.area(side) == 0 for side in masks]
    return np.where(
        empty[0][:, None] | empty[1], rle_tools.iou(*boxes, crowd), rle_tools.iou(*masks, crowd)
    )


def _actor(detections, labels, before=None):
    """The kind of actor that several detections vote for: a 0-based index.

    Each votes for the actor of its own code, with p(actor).
    """
    votes = np.zeros(len(labels.actors))
    for _, code, _, actors, _ in detections:
        actor = labels.split(code)[0] - 1
        votes[actor] += max(actors[actor], 1e-30)
    return _best(votes, before)


def _best(evidence, before):
    """Index of the best evidence; `before` as long as none has LEAD times its evidence."""
    best = int(np.argmax(evidence))
    hold = before is not None and 0 < evidence[best] <= LEAD * evidence[before]
    return before if hold else best


def read_label(
    detections: Sequence[tuple], labels: LabelSpace, before: int | None = None, joint: bool = False
) -> tuple[int, float]:
    """Read the label of an actor from several detections of it.

    Each detection votes for the actor of its own code, with p(actor); the actor is the one with the
    highest sum, the action the valid one with the highest sum of p(action). The label before holds
    until another has LEAD times its sum.

    Args:
      detections: as in a Track, at least one.
      before: code of the frame before. Without it, a single detection keeps
        the network's answer.
      joint: whether p(action) is a sum over actors, as with cartesian and hierarchical labels. It
        then contains p(actor), and each detection is normalised to 1.

    Returns:
      (code, score): the score is the mean over the detections of p(actor) p(action).
    """
    if before is None and len(detections) == 1:
        return detections[0][1:3]
    old_actor = old_action = None
    if before is not None:
        old_actor, old_action = (number - 1 for number in labels.split(before))
    actor = _actor(detections, labels, old_actor)
    actions = np.stack([actions for *_, actions in detections]).astype(np.float64)
    if joint:
        actions /= np.maximum(actions.sum(axis=1, keepdims=True), 1e-30)
    # Underflow may leave every action at 0: an invalid one must still lose.
    evidence = np.where(labels.valid[actor], actions.sum(axis=0), -1)
    action = _best(evidence, old_action if actor == old_actor else None)
    scores = np.array([actors[actor] for *_, actors, _ in detections]) * actions[:, action]
    return labels.encode(actor, action), float(scores.mean())


def follow(
    answers: Iterable[tuple[Any, Found]],
    labels: LabelSpace,
    window: int = WINDOW,
    *,
    joint: bool = False,
) -> Iterator[tuple[Any, Found, np.ndarray, np.ndarray, np.ndarray]]:
    """Add tracks and steady labels to the instances of every answered frame.

    The label of an instance is read from the track's detections in the `window` frames around it,
    so that it does not lag; a frame is yielded once the window // 2 frames after it are there.

    Args:
      answers: (frame, its instances with masks as RLEs), in order.
      window: answered frames; 1 is the network's own answer.
      joint: as for `read_label`.

    Yields:
      (frame, instances, ids int [N], codes int [N], scores float [N]) in the same order.
    """
    tracker = Tracker(labels, window)
    waiting: collections.deque = collections.deque()
    ahead = window // 2

    def labelled():
        index, frame, instances, tracks = waiting.popleft()
        first, last = index + ahead - window + 1, index + ahead
        codes, scores = np.zeros(len(tracks), np.int64), np.zeros(len(tracks))
        for i, track in enumerate(tracks):
            detections = [x for x in track.detections if first <= x[0] <= last]
            codes[i], scores[i] = read_label(detections, labels, track.label, joint)
            track.label = int(codes[i]) if window > 1 else None
        return frame, instances, np.array([track.id for track in tracks], np.int64), codes, scores

    for index, (frame, instances) in enumerate(answers):
        waiting.append((index, frame, instances, tracker.add(instances)))
        if len(waiting) > ahead:
            yield labelled()
    while waiting:
        yield labelled()
