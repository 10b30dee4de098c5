"""Link instances over time: an actor keeps its id, and its label is read from several
frames.

Linking is greedy on the IoU of masks between one answered frame and the next, as in
tracking by detection (Bochinski et al., AVSS 2017; Bewley et al., ICIP 2016), then on
distance; it needs no motion model. Only a sure instance begins a track, and less sure
ones continue it (Zhang et al., "ByteTrack", ECCV 2022). docs/prediction.md has the
measurements behind the constants.

Where the number of individuals is known, what was lost is linked to its track again,
wherever it is found. Memory does not grow with the video.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace

MIN_IOU = 0.3  # of an actor's mask with its last one
# the same, where the network now takes it for another kind of actor
MIN_IOU_OTHER = 0.5
# share of a mask in another, or of the other in it, from which both are one individual
GHOST = 0.5
SAME_PLACE = 0.4  # IoU of masks from which two kinds of actor are one individual
SURE = 0.8  # p(any actor) with which an instance begins a track
# of a diagonal: the least one of another kind that may be the same individual
ALIKE = 0.5
# of the mean diagonal of two boxes: how far an actor may be from its last place
NEAR = 0.35
# how many times the evidence for another label must be that for the one so far
LEAD = 1.5

Found = TypeVar("Found")
"""The N instances of a frame, with the attributes boxes [N, 4] (y1, x1, y2, x2), codes
[N], scores [N], masks (N RLEs), actor_scores [N, |X|], action_scores [N, |Y|].
"""


@dataclasses.dataclass(frozen=True)
class Linking:
    """How instances are linked.

    Attributes:
      window: answered frames from which a track's label is read; 1 is the network's own
        answer.
      patience: answered frames in a row that may miss an actor before its track is
        lost.
      max_tracks: the number of individuals, such as "4" or "mouse=2,wheel=1"; actors
        that are not named have any number. None: a track that is lost ends, and the
        actor begins another.
    """

    window: int = 9
    patience: int = 8
    max_tracks: str | None = None

    def limits(self, labels: LabelSpace) -> tuple[list[int], list[float]]:
        """Return (the group of each actor, the most tracks of each group).

        Instances are linked within a group: a named actor alone, or all others.

        Raises:
          InputError: `max_tracks` is no number of individuals, or names no actor of
            `labels`.
        """
        groups, most = [0] * len(labels.actors), [math.inf]
        for part in self.max_tracks.split(",") if self.max_tracks else ():
            actor, equals, count = part.rpartition("=")
            known = part == self.max_tracks and not equals
            if actor in labels.actors:  # once
                known = not groups[labels.actors.index(actor)]
            if not known or not count.isdecimal() or int(count) < 1:
                raise InputError(
                    f"--max_tracks={self.max_tracks}: '{part}' is not a number of"
                    " individuals; use one for all, or ACTOR=NUMBER with actors from"
                    f" {', '.join(labels.actors)}"
                )
            if equals:
                groups[labels.actors.index(actor)] = len(most)
                most.append(int(count))
            else:
                most[0] = int(count)
        return groups, most


LINKING = Linking()


@dataclasses.dataclass(eq=False)
class Track:
    """An actor while it is followed.

    Attributes:
      id: 1, 2, ... in the order of appearance.
      group: of `Linking.limits`.
      detections: (index, code, score, p(actor) [|X|], p(action) [|Y|]), the newest
        last.
      seen: index of the answered frame where it was last seen.
      place: its box [y1, x1, y2, x2] and its RLE where it was last seen.
      label: the code that was last read for it; None before that.
      apart: in how many more frames it was apart than it was a part of its like, or had
        one.
    """

    id: int
    group: int
    detections: collections.deque
    seen: int = -1
    place: Any = None
    label: int | None = None
    apart: int = 0


class _Sight(NamedTuple):
    """An instance; its actor is a 0-based index, `sureness` the sum of p(actor)."""

    actor: int
    group: int
    place: tuple
    detection: tuple
    sureness: float


class Tracker:
    """Assigns the instances of one frame after another to tracks.

    Attributes:
      lost: {id of each track that was lost by the newest frame: whether it has ended}.
      extra: how many sure instances of the newest frame are beyond the number of
        individuals.
    """

    def __init__(self, labels: LabelSpace, linking: Linking = LINKING) -> None:
        self._labels, self._linking = labels, linking
        self._groups, self._most = linking.limits(labels)
        self._tracks: list[Track] = []
        self._index, self._ids = -1, 0
        self.lost: dict[int, bool] = {}
        self.extra = 0

    def add(self, instances: Any) -> list[Track | None]:
        """Follow the actors into the next answered frame.

        An instance goes to the track whose last mask it overlaps most, first among
        those of its own actor, then among others; else to the nearest track that this
        frame misses, if that is near. Any other begins a track if it is sure; if the
        number of individuals is known, and all have a track, it continues the nearest
        one that this frame misses, wherever it is. Of instances that lie on one
        another, one has a track.

        Args:
          instances: N, with masks as RLEs, by descending p(actor).

        Returns:
          the track of each instance, or None.
        """
        self._index += 1
        # tracks that were seen before it are lost
        last = self._index - self._linking.patience - 1
        lost = (track for track in self._tracks if track.seen == last - 1)
        self.lost = {track.id: math.isinf(self._most[track.group]) for track in lost}
        self._tracks = [track for track in self._tracks if not self.lost.get(track.id)]
        followed = [track for track in self._tracks if track.seen >= last]
        sights = list(self._sights(instances))
        owners: list[Track | None] = [None] * len(sights)
        parts, twins = _ghosts(sights)
        ghosts = parts | twins
        kinds = [_actor(track.detections, self._labels) for track in followed]
        iou = _overlaps(
            [sight.place for sight in sights], [track.place for track in followed]
        )
        self._link(
            owners,
            sights,
            followed,
            _alike(sights, followed, kinds, iou),
            ghosts,
            twins,
        )
        self._link(
            owners,
            sights,
            followed,
            self._near(owners, sights, followed, kinds),
            ghosts,
        )
        left = []
        for i, sight in enumerate(sights):
            if owners[i] or _any(owners, ghosts[i]):
                continue
            # An individual of a known number, which is taken for another kind.
            near = [followed[k] for k in np.flatnonzero(iou[i] >= MIN_IOU_OTHER)]
            missed = (x.group for x in near if x.seen < self._index)
            if any(
                group != sight.group and self._most[group] < math.inf
                for group in missed
            ):
                continue
            if (
                sum(track.group == sight.group for track in self._tracks)
                == self._most[sight.group]
            ):
                left.append(i)
            elif sight.sureness >= SURE:
                self._ids += 1
                detections: collections.deque = collections.deque(
                    maxlen=self._linking.window
                )
                self._tracks.append(Track(self._ids, sight.group, detections))
                owners[i] = self._append(self._tracks[-1], sight)
        pairs = [
            (_distance(sights[i].place, track.place), track.id, i, k)
            for i in left
            for k, track in enumerate(self._tracks)
            if track.group == sights[i].group
        ]
        self._link(owners, sights, self._tracks, pairs, ghosts)
        for track, part in zip(owners, parts.any(axis=1)):
            if track:
                track.apart += -1 if part else 1
        beyond = [i for i in left if not owners[i] and not _any(owners, ghosts[i])]
        self.extra = sum(sights[i].sureness >= SURE for i in beyond)
        return owners

    def _sights(self, instances):
        labels = instances.codes.tolist(), instances.scores.tolist()
        columns = zip(*labels, instances.actor_scores, instances.action_scores)
        for place, detection in zip(zip(instances.boxes, instances.masks), columns):
            actor = self._labels.split(detection[0])[0] - 1
            sureness = float(detection[2].sum())
            yield _Sight(
                actor, self._groups[actor], place, (self._index, *detection), sureness
            )

    def _near(self, owners, sights, tracks, kinds):
        """Yield (..., i, k), the nearest first when sorted, where sight i is near track
        k.

        It is of the same actor, or where the number of individuals is unknown of about
        its size.
        """
        missed = [
            (k, track) for k, track in enumerate(tracks) if track.seen < self._index
        ]
        for i, sight in enumerate(sights):
            for k, track in missed if owners[i] is None else ():
                distance = _distance(sight.place, track.place)
                small, large = sorted((_diagonal(sight.place), _diagonal(track.place)))
                alike = math.isinf(self._most[track.group]) and small >= ALIKE * large
                if (
                    track.group == sight.group
                    and distance <= NEAR * (small + large) / 2
                ):
                    if alike or sight.actor == kinds[k]:
                        yield distance, track.id, i, k

    def _link(self, owners, sights, tracks, pairs, ghosts, apart=None):
        """Give sights i the tracks k that this frame misses, the best (..., i, k)
        first.

        Args:
          ghosts: bool [N, N], of which one has a track.
          apart: the same for tracks that were more often apart; by default `ghosts`.
        """
        for *_, i, k in sorted(pairs):
            others = ghosts if apart is None or tracks[k].apart <= 0 else apart
            if (
                not (owners[i] or _any(owners, others[i]))
                and tracks[k].seen < self._index
            ):
                owners[i] = self._append(tracks[k], sights[i])

    def _append(self, track, sight):
        track.seen, track.place = self._index, sight.place
        track.detections.append(sight.detection)
        return track


def _alike(sights, tracks, kinds, iou):
    """Yield (..., i, k), the best first when sorted, where sight i overlaps track k."""
    for i, k in zip(*np.nonzero(iou >= MIN_IOU)):
        same = sights[i].actor == kinds[k]
        if sights[i].group == tracks[k].group and (same or iou[i, k] >= MIN_IOU_OTHER):
            yield not same, -iou[i, k], tracks[k].id, i, k


def _any(owners, chosen):
    return any(owners[i] for i in np.flatnonzero(chosen))


def _ghosts(sights):
    """Which sights are one individual: (of one kind, bool [N, N]; of any two, bool
    [N, N]).
    """
    places, actors = (
        [sight.place for sight in sights],
        np.array([s.actor for s in sights], int),
    )
    share, others = _overlaps(places, places, True), ~np.eye(len(sights), dtype=bool)
    parts = (np.maximum(share, share.T) >= GHOST) & (actors[:, None] == actors) & others
    return parts, (_overlaps(places, places) >= SAME_PLACE) & others


def _diagonal(place):
    y1, x1, y2, x2 = place[0]
    return math.hypot(y2 - y1, x2 - x1)


def _distance(place, other):
    """The distance between the centres of two places, pixels."""
    (y1, x1, y2, x2), (v1, u1, v2, u2) = (
        np.asarray(box, np.float64) for box, _ in (place, other)
    )
    return math.hypot(y1 + y2 - v1 - v2, x1 + x2 - u1 - u2) / 2


def _overlaps(places, others, of_one=False):
    """IoU of places [N, K]: of their masks, of their boxes where a mask is empty.

    `of_one`: not IoU, but the share of each of `places` that lies in each of `others`.
    """
    if not places or not others:
        return np.zeros((len(places), len(others)))
    sides = places, others
    masks = [[mask for _, mask in side] for side in sides]
    boxes = [
        np.array(
            [[x1, y1, x2 - x1, y2 - y1] for (y1, x1, y2, x2), _ in side], np.float64
        )
        for side in sides
    ]
    crowd = [int(of_one)] * len(others)
    empty = [rle_tools.area(side) == 0 for side in masks]
    return np.where(
        empty[0][:, None] | empty[1],
        rle_tools.iou(*boxes, crowd),
        rle_tools.iou(*masks, crowd),
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
    """Index of the best evidence; `before` as long as none has LEAD times its
    evidence.
    """
    best = int(np.argmax(evidence))
    hold = before is not None and 0 < evidence[best] <= LEAD * evidence[before]
    return before if hold else best


def read_label(
    detections: Sequence[tuple],
    labels: LabelSpace,
    before: int | None = None,
    joint: bool = False,
) -> tuple[int, float]:
    """Read the label of an actor from several detections of it.

    The actor is that of most votes, see `_actor`, the action its valid one with the
    highest sum of p(action). The label before holds until another has LEAD times its
    sum.

    Args:
      detections: as in a Track, at least one.
      before: code of the frame before. Without it, a single detection keeps the
        network's answer.
      joint: whether p(action) is a sum over actors, as with cartesian and hierarchical
        labels. It then contains p(actor), and each detection is normalised to 1.

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
    scores = (
        np.array([actors[actor] for *_, actors, _ in detections]) * actions[:, action]
    )
    return labels.encode(actor, action), float(scores.mean())


def follow(
    answers: Iterable[tuple[Any, Found]],
    labels: LabelSpace,
    linking: Linking = LINKING,
    *,
    joint: bool = False,
) -> Iterator[
    tuple[Any, Found, np.ndarray, np.ndarray, np.ndarray, dict[int, bool], int]
]:
    """Add tracks and steady labels to the instances of every answered frame.

    The label of an instance is read from the track's detections in the `window` frames
    around it, so that it does not lag; a frame is yielded once the window // 2 frames
    after it are there.

    Args:
      answers: (frame, its instances with masks as RLEs), in order.
      joint: as for `read_label`.

    Yields:
      (frame, instances, ids int [N], codes int [N], scores float [N], `Tracker.lost`,
      `Tracker.extra`) in the same order. An instance without a track has id 0 and the
      network's own label.
    """
    tracker, window = Tracker(labels, linking), linking.window
    waiting: collections.deque = collections.deque()
    ahead = window // 2

    def labelled() -> (
        tuple[Any, Found, np.ndarray, np.ndarray, np.ndarray, dict[int, bool], int]
    ):
        index, frame, instances, tracks, *changes = waiting.popleft()
        first, last = index + ahead - window + 1, index + ahead
        ids = np.array([track.id if track else 0 for track in tracks], np.int64)
        codes, scores = (
            np.array(instances.codes, np.int64),
            np.array(instances.scores, np.float64),
        )
        for i, track in enumerate(tracks):
            if track:
                detections = [x for x in track.detections if first <= x[0] <= last]
                codes[i], scores[i] = read_label(detections, labels, track.label, joint)
                track.label = int(codes[i]) if window > 1 else None
        return (frame, instances, ids, codes, scores, *changes)

    for index, (frame, instances) in enumerate(answers):
        tracks = tracker.add(instances)
        waiting.append((index, frame, instances, tracks, tracker.lost, tracker.extra))
        if len(waiting) > ahead:
            yield labelled()
    while waiting:
        yield labelled()
