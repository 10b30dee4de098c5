"""Instances linked over time: one actor keeps its id, and its action is read of several frames.

Linking is greedy on the IoU of masks between one answered frame and the next, as in tracking by
detection (Bochinski et al., AVSS 2017; Bewley et al., ICIP 2016), so it needs no motion model and
sees no further back than the last sight of an actor. Memory does not grow with the video.
"""

import collections
import dataclasses
from typing import Optional

import numpy as np
from pycocotools import mask as rle_tools

PATIENCE = 8  # answered frames in a row that an actor may be missing and still keep its id
MIN_IOU = 0.3  # of an actor's mask with its last one
MIN_IOU_OTHER = 0.5  # the same, where the network now takes it for another kind of actor
WINDOW = 9
LEAD = 1.5  # how many times the evidence for another label must be that for the one so far


@dataclasses.dataclass
class Track:
    """An actor while it is followed.

    Attributes:
      id: 1, 2, ... in the order of appearance.
      seen: index of the answered frame where it was last seen.
      box: [y1, x1, y2, x2]; mask: RLE; both as last seen.
      sights: deque of (index, code, score, p(actor) [|X|], p(action) [|Y|]), the newest last.
      label: code that it was last called, which may be of an earlier frame; None before that.
    """

    id: int
    seen: int
    box: np.ndarray
    mask: dict
    sights: collections.deque
    label: Optional[int] = None


class Tracker:
    """Gives the instances of one frame after another to tracks.

    Args:
      labels: the LabelSpace.
      window: answered frames of which a label is read.
    """

    def __init__(self, labels, window=WINDOW):
        self._labels, self._window = labels, window
        self._tracks, self._frames, self._ids = [], 0, 0

    def add(self, found):
        """Follow the actors into the next answered frame.

        An instance goes to the track whose last mask it covers best, first to one of its own kind
        of actor, then to one of another; what is left begins a track.

        Args:
          found: with `boxes` [N, 4] (y1, x1, y2, x2), `codes` and `scores` [N], `actor_scores`
            [N, |X|], `action_scores` [N, |Y|] and `masks`, N RLEs.

        Returns:
          the Track of each instance: list of N.
        """
        index, self._frames = self._frames, self._frames + 1
        self._tracks = [t for t in self._tracks if index - t.seen <= PATIENCE + 1]
        owners = self._match(found)
        for i, owner in enumerate(owners):
            if owner is None:
                self._ids += 1
                owner = Track(self._ids, index, None, None, collections.deque(maxlen=self._window))
                owners[i] = owner
                self._tracks.append(owner)
            owner.seen, owner.box, owner.mask = index, found.boxes[i], found.masks[i]
            owner.sights.append(
                (
                    index,
                    int(found.codes[i]),
                    float(found.scores[i]),
                    found.actor_scores[i],
                    found.action_scores[i],
                )
            )
        return owners

    def cut(self):
        """The film was cut: no one in the next frame is one of those so far."""
        self._tracks = []

    def _match(self, found):
        owners, tracks = [None] * len(found.boxes), self._tracks
        actors = self._labels.split(np.asarray(found.codes))[0]
        kinds = [_actor(track.sights, self._labels) + 1 for track in tracks]
        iou = _iou(found, tracks)
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


def _iou(found, tracks):
    """IoU of instances and tracks [N, K]: of their masks, of their boxes where a mask is empty."""
    if not len(found.boxes) or not tracks:
        return np.zeros((len(found.boxes), len(tracks)))
    masks = list(found.masks), [track.mask for track in tracks]
    boxes = [
        np.float64([[x1, y1, x2 - x1, y2 - y1] for y1, x1, y2, x2 in side])
        for side in (found.boxes, [track.box for track in tracks])
    ]
    crowd = [0] * len(tracks)
    empty = [rle_tools.area(side) == 0 for side in masks]
    return np.where(
        empty[0][:, None] | empty[1], rle_tools.iou(*boxes, crowd), rle_tools.iou(*masks, crowd)
    )


def _actor(sights, labels, before=None):
    """What several sights of an actor take it for, by p(actor): a 0-based index."""
    votes = np.zeros(len(labels.actors))
    for _, code, _, actors, _ in sights:
        actor = labels.split(code)[0] - 1
        votes[actor] += max(actors[actor], 1e-30)
    return _best(votes, before)


def _best(evidence, before):
    """Index of the best evidence; the one before as long as none has LEAD times its evidence."""
    best = int(np.argmax(evidence))
    hold = before is not None and 0 < evidence[best] <= LEAD * evidence[before]
    return before if hold else best


def read_label(sights, labels, before=None, joint=False):
    """What an actor is and does, of several sights of it.

    It is the kind of actor that it was taken for with the highest sum of p(actor). Its action is
    the valid one with the highest sum of p(action). What it was called before holds until another
    has LEAD times its sum.

    Args:
      sights: as in a Track, at least one.
      labels: the LabelSpace.
      before: code of the frame before. Without it, one sight alone keeps the network's own answer.
      joint: whether p(action) is a sum over actors, as with cartesian and hierarchical labels: it
        then has p(actor) in it already, and each sight counts as if it summed to 1.

    Returns:
      (code, score): the score is the mean over the sights of p(actor) p(action).
    """
    if before is None and len(sights) == 1:
        return sights[0][1:3]
    old_actor, old_action = (None, None) if before is None else np.array(labels.split(before)) - 1
    actor = _actor(sights, labels, old_actor)
    actions = np.stack([np.float64(actions) for *_, actions in sights])
    if joint:
        actions /= np.maximum(actions.sum(axis=1, keepdims=True), 1e-30)
    # Underflow may leave every action at 0: an invalid one must still lose.
    evidence = np.where(labels.valid[actor], actions.sum(axis=0), -1)
    action = _best(evidence, old_action if actor == old_actor else None)
    scores = [actors[actor] for *_, actors, _ in sights] * actions[:, action]
    return labels.encode(actor, action), float(scores.mean())


def follow(answers, labels, window=WINDOW, is_cut=None, joint=False):
    """Give the instances of every answered frame their tracks and steady labels.

    The label of an instance in a frame is read of the track's sights in the `window` frames around
    it, window // 2 of them to come: an action that begins there begins there, and does not lag.
    Answers wait as long, and the last ones for no more.

    Args:
      answers: iterable of (frame, found as for `Tracker.add`); the frame may be anything.
      labels: the LabelSpace.
      window: answered frames; 1 is the network's own answer.
      is_cut: callable (frame, the next one) -> whether the film was cut between them, where all
        tracks end; None for a film of one shot.
      joint: as for `read_label`.

    Yields:
      (frame, found, ids int [N], codes int [N], scores float [N]) in the same order.
    """
    tracker, waiting = Tracker(labels, window), collections.deque()
    ahead, before = window // 2, None

    def settle():
        index, frame, found, tracks = waiting.popleft()
        first, last = index + ahead - window + 1, index + ahead
        codes, scores = np.zeros(len(tracks), np.int64), np.zeros(len(tracks))
        for i, track in enumerate(tracks):
            sights = [sight for sight in track.sights if first <= sight[0] <= last]
            codes[i], scores[i] = read_label(sights, labels, track.label, joint)
            track.label = int(codes[i]) if window > 1 else None
        return frame, found, np.array([track.id for track in tracks], np.int64), codes, scores

    for index, (frame, found) in enumerate(answers):
        if is_cut and index and is_cut(before, frame):
            tracker.cut()
        before = frame
        waiting.append((index, frame, found, tracker.add(found)))
        if len(waiting) > ahead:
            yield settle()
    while waiting:
        yield settle()
