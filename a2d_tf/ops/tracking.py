"""Link instances over time: an individual keeps its id, and its label is steady.

Linking is greedy on the IoU of masks between one answered frame and the next, as in
tracking by detection (Bochinski et al., AVSS 2017; Bewley et al., ICIP 2016), then on
distance; it needs no motion model. Only a sure instance begins a track, and less sure
ones continue it (Zhang et al., "ByteTrack", ECCV 2022). docs/prediction.md has the
measurements behind the constants.

If the number of individuals is known, an individual that was lost gets its track back
wherever it appears again. Memory does not grow with the video.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops import regions, track_groups
from a2d_tf.ops.regions import Region
from a2d_tf.ops.track_labels import Detection, read_label, vote_actor

# The least IoU of an instance's mask with the last mask of its track.
MIN_IOU = 0.3
# The same, if the network now says that it is another actor.
MIN_IOU_OTHER = 0.5
# Two instances of one actor are one individual from this share of a mask in the other.
GHOST = 0.5
# Two instances of any actors are one individual from this IoU of their masks.
SAME_PLACE = 0.4
# The least p(any actor) with which an instance begins a track.
SURE = 0.8
# A near instance of another actor continues a track if the smaller of the two boxes'
# diagonals is at least this share of the larger one.
ALIKE = 0.5
# An instance is near a track within this share of the mean diagonal of the two boxes.
NEAR = 0.35


@dataclasses.dataclass(frozen=True)
class Linking:
    """How instances are linked.

    Attributes:
      window: answered frames from which a track's label is read; 1 is the network's own
        answer.
      patience: answered frames in a row that may miss an actor before its track is
        lost.
      max_tracks: the number of individuals, see `track_groups.parse`. None: a track
        that is lost ends, and the actor begins another.
    """

    window: int = 9
    patience: int = 8
    max_tracks: str | None = None


LINKING = Linking()


class FoundInstances(Protocol):
    """The N instances of an answered frame, by descending p(actor)."""

    @property
    def boxes(self) -> np.ndarray:
        """[N, 4], y1, x1, y2, x2, pixels."""

    @property
    def codes(self) -> np.ndarray:
        """int [N], pairs of actor and action; see `LabelSpace`."""

    @property
    def scores(self) -> np.ndarray:
        """[N], of the codes."""

    @property
    def masks(self) -> Sequence[dict]:
        """N RLEs."""

    @property
    def actor_scores(self) -> np.ndarray:
        """[N, |X|], p(actor)."""

    @property
    def action_scores(self) -> np.ndarray:
        """[N, |Y|], p(action)."""


@dataclasses.dataclass(eq=False)
class Track:
    """An individual while it is followed.

    Attributes:
      id: 1, 2, ... in the order of appearance.
      group: see `track_groups.Groups`.
      detections: those of the last `Linking.window` frames with it, the newest last.
      last_seen: index of the last answered frame in which it was seen.
      region: where it was in that frame.
      label: the code that was last read for it; None before that.
      apart: the number of frames in which it did not overlap an instance of the same
        actor, minus the number in which it did.
    """

    id: int
    group: int
    detections: collections.deque[Detection]
    last_seen: int
    region: Region
    label: int | None = None
    apart: int = 0


@dataclasses.dataclass(frozen=True)
class _Sight:
    """An instance of the newest frame.

    Attributes:
      actor: a 0-based index.
      group: see `track_groups.Groups`.
      sureness: p(any actor).
    """

    actor: int
    group: int
    region: Region
    detection: Detection
    sureness: float


class _Link(NamedTuple):
    """A sight that may continue a track; of two links the one of lower rank is better.

    Attributes:
      rank: ends with the track's id and the sight, so that no two are equal.
      sight: index of the sight.
    """

    rank: tuple
    sight: int
    track: Track


class _Frame:
    """The N sights of the newest frame, and the track that each of them has so far.

    Attributes:
      tracks: N tracks or None.
      parts: bool [N, N], the sights of one actor that are one individual.
      twins: bool [N, N], the sights of any actors that are one individual.
      ghosts: bool [N, N], `parts` or `twins`; of these, one has a track.
    """

    def __init__(self, sights: Sequence[_Sight]) -> None:
        self.sights = sights
        self.tracks: list[Track | None] = [None for _ in sights]
        self.parts, self.twins = _same_individuals(sights)
        self.ghosts = self.parts | self.twins

    def is_linked(self, sight: int) -> bool:
        """Return whether a sight, or its like in the same place, has a track."""
        return self.tracks[sight] is not None or self.has_track(self.ghosts[sight])

    def has_track(self, is_chosen: np.ndarray) -> bool:
        """Return whether any of the sights that bool [N] chooses has a track."""
        for sight in np.flatnonzero(is_chosen):
            if self.tracks[sight] is not None:
                return True
        return False


def _same_individuals(sights):
    """Return the `parts` and the `twins` of a `_Frame`."""
    places = [sight.region for sight in sights]
    actors = np.array([sight.actor for sight in sights], int)
    is_same_actor = actors[:, None] == actors
    is_other_sight = ~np.eye(len(sights), dtype=bool)
    share = regions.share_inside(places, places)
    lies_on = np.maximum(share, share.T) >= GHOST
    parts = lies_on & is_same_actor & is_other_sight
    twins = (regions.iou(places, places) >= SAME_PLACE) & is_other_sight
    return parts, twins


class Tracker:
    """Assigns the instances of one frame after another to tracks.

    Attributes:
      lost: {id of each track that was lost by the newest frame: whether it has ended}.
      extra: how many sure instances of the newest frame are beyond the number of
        individuals.
    """

    def __init__(self, labels: LabelSpace, linking: Linking = LINKING) -> None:
        self._labels = labels
        self._linking = linking
        self._groups = track_groups.parse(linking.max_tracks, labels)
        self._tracks: list[Track] = []
        self._index = -1
        self._last_id = 0
        self.lost: dict[int, bool] = {}
        self.extra = 0

    def add(self, instances: FoundInstances) -> list[Track | None]:
        """Follow the individuals into the next answered frame.

        An instance goes to the track whose last mask it overlaps most, first among
        those of its own actor, then among others; else to the nearest track that this
        frame misses, if that is near. Any other begins a track if it is sure; if the
        number of individuals is known, and all have a track, it continues the nearest
        one that this frame misses, wherever it is. Of instances that lie on one
        another, one has a track.

        Returns:
          the track of each instance, or None.
        """
        self._index += 1
        followed = self._lose()
        actors = [vote_actor(track.detections, self._labels) for track in followed]
        frame = _Frame(self._sights(instances))
        overlaps = regions.iou(
            [sight.region for sight in frame.sights],
            [track.region for track in followed],
        )
        self._link_overlapping(frame, followed, actors, overlaps)
        self._link_near(frame, followed, actors)
        waiting = self._begin(frame, followed, overlaps)
        self._link_anywhere(frame, waiting)

        for track, is_part in zip(frame.tracks, frame.parts.any(axis=1)):
            if track is not None and is_part:
                track.apart -= 1
            elif track is not None:
                track.apart += 1
        self.extra = 0
        for i in waiting:
            if not frame.is_linked(i) and frame.sights[i].sureness >= SURE:
                self.extra += 1
        return frame.tracks

    def _lose(self):
        """Lose the tracks that were missed too long; return those still followed."""
        oldest = self._index - self._linking.patience - 1
        self.lost = {}
        for track in self._tracks:
            if track.last_seen == oldest - 1:
                self.lost[track.id] = math.isinf(self._groups.most_tracks[track.group])
        self._tracks = [track for track in self._tracks if not self.lost.get(track.id)]
        return [track for track in self._tracks if track.last_seen >= oldest]

    def _sights(self, instances):
        sights = []
        codes = instances.codes.tolist()
        scores = instances.scores.tolist()
        for i, code in enumerate(codes):
            actor = self._labels.split(code)[0] - 1
            actor_scores = instances.actor_scores[i]
            sights.append(
                _Sight(
                    actor=actor,
                    group=self._groups.of_actors[actor],
                    region=Region(instances.boxes[i], instances.masks[i]),
                    detection=Detection(
                        frame_index=self._index,
                        code=code,
                        score=scores[i],
                        actor_scores=actor_scores,
                        action_scores=instances.action_scores[i],
                    ),
                    sureness=float(actor_scores.sum()),
                )
            )
        return sights

    def _link_overlapping(self, frame, tracks, actors, overlaps):
        """Link sights to the tracks of their group that they overlap.

        Args:
          actors: the actor of each track.
          overlaps: IoU [sights, tracks].
        """
        links = []
        for i, k in zip(*np.nonzero(overlaps >= MIN_IOU)):
            sight = frame.sights[i]
            track = tracks[k]
            is_other_actor = sight.actor != actors[k]
            if sight.group != track.group:
                continue
            if is_other_actor and overlaps[i, k] < MIN_IOU_OTHER:
                continue
            rank = (is_other_actor, -overlaps[i, k], track.id, i)
            links.append(_Link(rank, i, track))
        for link in sorted(links):
            rivals = frame.ghosts[link.sight]
            # An individual that was apart stays itself while it lies on its like.
            if link.track.apart > 0:
                rivals = frame.twins[link.sight]
            self._link(frame, link, rivals)

    def _link_near(self, frame, tracks, actors):
        """Link sights to the nearest tracks of their group that this frame misses.

        They are of one actor or, if the number of individuals is unknown, of about one
        size.
        """
        links = []
        for i, sight in enumerate(frame.sights):
            if frame.tracks[i] is not None:
                continue
            for track, actor in zip(tracks, actors):
                if track.last_seen == self._index or track.group != sight.group:
                    continue
                distance = sight.region.distance(track.region)
                small, large = sorted(
                    (sight.region.diagonal(), track.region.diagonal())
                )
                if distance > NEAR * (small + large) / 2:
                    continue
                is_unlimited = math.isinf(self._groups.most_tracks[track.group])
                is_alike = is_unlimited and small >= ALIKE * large
                if is_alike or sight.actor == actor:
                    links.append(_Link((distance, track.id, i), i, track))
        for link in sorted(links):
            self._link(frame, link, frame.ghosts[link.sight])

    def _begin(self, frame, followed, overlaps):
        """Begin tracks with the sure sights that have none.

        Returns:
          the indices of the sights whose group has as many tracks as it may have.
        """
        waiting = []
        for i, sight in enumerate(frame.sights):
            if frame.is_linked(i) or self._is_misread(sight, followed, overlaps[i]):
                continue
            count = sum(track.group == sight.group for track in self._tracks)
            if count == self._groups.most_tracks[sight.group]:
                waiting.append(i)
            elif sight.sureness >= SURE:
                self._last_id += 1
                track = Track(
                    id=self._last_id,
                    group=sight.group,
                    detections=collections.deque(maxlen=self._linking.window),
                    last_seen=self._index,
                    region=sight.region,
                )
                self._tracks.append(track)
                self._give(frame, i, track)
        return waiting

    def _is_misread(self, sight, followed, overlaps):
        """Return whether it is an individual of another group, of a known number.

        The network has then taken the individual for another actor.
        """
        for track, overlap in zip(followed, overlaps):
            is_missed = track.last_seen < self._index
            is_limited = self._groups.most_tracks[track.group] < math.inf
            if overlap >= MIN_IOU_OTHER and is_missed:
                if is_limited and track.group != sight.group:
                    return True
        return False

    def _link_anywhere(self, frame, waiting):
        """Link sights to the nearest missed tracks of their group, however far."""
        links = []
        for i in waiting:
            sight = frame.sights[i]
            for track in self._tracks:
                if track.group == sight.group:
                    distance = sight.region.distance(track.region)
                    links.append(_Link((distance, track.id, i), i, track))
        for link in sorted(links):
            self._link(frame, link, frame.ghosts[link.sight])

    def _link(self, frame, link, rivals):
        """Give a sight a track that this frame misses.

        Nothing happens if the sight, or one of its rivals (bool [N]), has a track.
        """
        is_free = frame.tracks[link.sight] is None and not frame.has_track(rivals)
        if is_free and link.track.last_seen < self._index:
            self._give(frame, link.sight, link.track)

    def _give(self, frame, i, track):
        """Give sight i a track, which goes on there."""
        sight = frame.sights[i]
        track.last_seen = self._index
        track.region = sight.region
        track.detections.append(sight.detection)
        frame.tracks[i] = track


class Followed(NamedTuple):
    """An answered frame with the tracks and the steady labels of its N instances.

    Attributes:
      frame, instances: as they were given to `follow`.
      ids: int64 [N], of the tracks; 0 is no track.
      codes: int64 [N], the labels of the tracks; without a track the network's own.
      scores: float64 [N], of `codes`.
      lost, extra: as of `Tracker`.
    """

    frame: Any
    instances: Any
    ids: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    lost: Mapping[int, bool]
    extra: int


class _Linked(NamedTuple):
    """A frame whose instances are linked, and whose labels are still to be read."""

    frame_index: int
    frame: Any
    instances: Any
    tracks: Sequence[Track | None]
    lost: Mapping[int, bool]
    extra: int


def follow(
    answers: Iterable[tuple[Any, FoundInstances]],
    labels: LabelSpace,
    linking: Linking = LINKING,
    *,
    joint: bool = False,
) -> Iterator[Followed]:
    """Add tracks and steady labels to the instances of every answered frame.

    The label of an instance is read from the track's detections in the `window` frames
    around it, so that it does not lag; a frame is yielded once the window // 2 frames
    after it are there.

    Args:
      answers: (frame, its instances) in order; a frame may be anything.
      joint: as for `read_label`.

    Yields:
      the frames in the same order.
    """
    tracker = Tracker(labels, linking)
    waiting: collections.deque[_Linked] = collections.deque()
    for index, (frame, instances) in enumerate(answers):
        tracks = tracker.add(instances)
        waiting.append(
            _Linked(index, frame, instances, tracks, tracker.lost, tracker.extra)
        )
        if len(waiting) > linking.window // 2:
            yield _steady(waiting.popleft(), labels, linking.window, joint)
    while waiting:
        yield _steady(waiting.popleft(), labels, linking.window, joint)


def _steady(linked, labels, window, joint):
    """Read the labels of the tracks in a frame from the frames around it."""
    last = linked.frame_index + window // 2
    first = last - window + 1
    ids = np.zeros(len(linked.tracks), np.int64)
    codes = np.array(linked.instances.codes, np.int64)
    scores = np.array(linked.instances.scores, np.float64)
    for i, track in enumerate(linked.tracks):
        if track is None:
            continue
        detections = [x for x in track.detections if first <= x.frame_index <= last]
        ids[i] = track.id
        codes[i], scores[i] = read_label(detections, labels, track.label, joint)
        if window > 1:
            track.label = int(codes[i])
    return Followed(
        frame=linked.frame,
        instances=linked.instances,
        ids=ids,
        codes=codes,
        scores=scores,
        lost=linked.lost,
        extra=linked.extra,
    )
