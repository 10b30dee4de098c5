"""From the frames of a video to what is found in them, in memory that stays flat.

Each frame passes the backbones once. What they make of it is kept as long as a frame's answer still
needs it, and is the same as in the clip that the records would hold of that frame.
"""

import collections
import dataclasses
import itertools
import math
from concurrent import futures
from typing import Optional

import numpy as np
from tqdm import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.stopping import stop_on_signal
from a2d_tf.data.flow import Flow, fit, resize_frame
from a2d_tf.evaluation import coco_results
from a2d_tf.video import tracking, video_files
from a2d_tf.video.outputs import Outputs


@dataclasses.dataclass(frozen=True)
class Span:
    """Which frames of a video are answered, by 0-based index.

    Attributes:
      first: the first one.
      last: the one behind the last, or None for all.
      every: 1 for each frame, N for each Nth from the first.
    """

    first: int = 0
    last: Optional[int] = None
    every: int = 1

    @classmethod
    def of_seconds(cls, fps, start=0.0, end=None, every=1):
        """The frames that begin in [start, end), seconds; frame i begins at i / fps.

        Raises:
          InputError: a time that is no number.
        """
        for name, seconds in (("start", start), ("end", end)):
            if seconds is not None and not math.isfinite(seconds * fps):
                raise InputError(f"--{name}={seconds:g}: no time in a video; give seconds")
        # 0.4 s of 30 frames a second is frame 12, whatever 0.4 * 30 comes to.
        indices = (None if s is None else math.ceil(s * fps - 1e-6) for s in (start, end))
        return cls(*indices, every)

    def __contains__(self, index):
        beyond = self.last is not None and index >= self.last
        return not beyond and index >= self.first and (index - self.first) % self.every == 0

    def any(self, low, high):
        """Whether a frame in [low, high] is answered."""
        steps = max(0, -(-(low - self.first) // self.every))
        index = self.first + steps * self.every
        return index <= high and index in self

    def numbers(self):
        """The 1-based numbers of these frames, without end."""
        return itertools.count(self.first + 1, self.every)

    def count(self, frames):
        """How many frames of a video of `frames` are answered; None where neither end is known."""
        ends = [end for end in (frames, self.last) if end is not None]
        return len(range(self.first, min(ends), self.every)) if ends else None


EVERY_FRAME = Span()


def reach(facts):
    """How many frames before and after a key frame its answer looks."""
    return facts["frames"] // 2 * facts["clip_stride"]


class Ring:
    """What `serving.Predictor.frame` made of a video's last 2 L stride + 1 frames, and of no more.

    A missing neighbour is the nearest frame with zero flow, as in the records. The first frame has
    no flow: it is its own neighbour as it stands, and lends the last one what a still flow gives.

    Args:
      length: 2L + 1; stride: frames from one of a clip to the next.
    """

    def __init__(self, length, stride):
        self._stride, self._reach = stride, length // 2 * stride
        self._frames = collections.deque(maxlen=2 * self._reach + 1)
        self._still, self._count = None, 0

    def push(self, frame):
        """Add the video's next frame: a dict of tensors, those of the flow named `flow_*`.

        A frame that no answer needs may be None.

        Returns:
          the 2L + 1 frames around the key frame L stride before it; None if there is none yet.
        """
        if not self._count:
            if frame is not None:
                self._still = {name: x for name, x in frame.items() if name.startswith("flow_")}
            self._frames.extend([frame] * 2 * self._reach)
        self._frames.append(frame)
        self._count += 1
        return list(self._frames)[:: self._stride] if self._count > self._reach else None

    def finish(self, still_last):
        """The video is over: yield what `push` would return of the key frames that are left.

        Args:
          still_last: callable -> what the last frame and a flow of zero make, where it must be made
            for this.
        """
        last = self._frames[-1]
        if last is None or self._still is None:
            last = still_last()
        else:
            last = {**last, **self._still}
        for _ in range(self._reach):
            frames = self.push(last)
            if frames:
                yield frames


def _moving(frames, facts, span):
    """Yield (native, stored, its flow) of each frame, as `data.convert` makes them.

    Stored is None where no answer looks, flow where no answer needs what the backbones make of it.
    """
    flow = Flow(facts["flow_method"]) if facts["use_flow"] else None
    far, stride = reach(facts), facts["clip_stride"]
    previous = None
    for index, native in enumerate(frames):
        stored = motion = None
        if span.any(index - far, index + far + 1):
            size = fit(*native.shape[:2], facts["image_height"], facts["image_width"])
            stored = resize_frame(native, *size)
            steps = range(-far, far + 1, stride)
            # The first frame also stands in for those before it.
            if any(index + k in span for k in steps) or (index == 0 and span.any(0, far)):
                motion = np.zeros((*size, 2), np.float32)
                if flow and previous is not None:
                    motion = flow(previous, stored)
        yield native, stored, motion
        previous = stored


def _ahead(items):
    """The items of an iterator; a thread makes the next one while this one is in use."""
    with futures.ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while True:
            item = coming.result()
            if item is None:
                return
            coming = pool.submit(next, items, None)
            yield item


def answers(predictor, frames, span=EVERY_FRAME):
    """What is found in the frames of a video; each passes the backbones once, or not at all.

    Flow is computed between neighbours of the video, at the size of the records, while the network
    works on the frame before. Memory does not grow with the video.

    Args:
      predictor: a `serving.Predictor`.
      frames: iterable of all native frames, RGB uint8 [H, W, 3]; anything, as None, where no frame
        within `reach`, or one before that, is answered.
      span: the `Span` of the frames to answer.

    Yields:
      (native frame, its `serving.Instances`) of the frames of `span`.
    """
    facts = predictor.facts
    far = reach(facts)
    ring = Ring(facts["frames"], facts["clip_stride"])
    waiting = collections.deque()

    def windows():
        """(index of the key frame, the frames around it)."""
        index, last = -1, None
        for index, (native, stored, flow) in enumerate(_ahead(_moving(frames, facts, span))):
            if index in span:
                waiting.append(native)
            yield index - far, ring.push(None if flow is None else predictor.frame(stored, flow))
            if span.last is not None and index - far >= span.last - 1:
                return
            last = stored
        if span.any(max(0, index + 1 - far), index):
            still = np.zeros((*last.shape[:2], 2), np.float32)
            left = ring.finish(lambda: predictor.frame(last, still))
            yield from enumerate(left, max(0, index + 1 - far))

    for key, window in windows():
        if window and key in span:
            native = waiting.popleft()
            yield native, predictor.key_frame(window, native.shape[:2])


def _sure(found, threshold, facts, labels):
    """Those of the `serving.Instances` with p(actor) >= threshold, as the graph would have it."""
    sure = found.scores
    if facts.get("label_mode") != "cartesian":
        actors = labels.split(found.codes)[0] - 1
        sure = np.take_along_axis(found.actor_scores, actors[:, None], axis=1)[:, 0]
    keep = np.flatnonzero(sure >= threshold)
    return found if len(keep) == len(sure) else found.only(keep, facts["paint"])


def followed(predictor, answered, window=tracking.WINDOW, threshold=0.0, every=1):
    """What `answers` yields, with tracks and steady labels; see `tracking.follow`.

    Args:
      predictor: whose answers they are.
      window: answered frames of which a label is read; 1 is the network's own answer.
      threshold: on p(actor), where it is above the predictor's own.
      every: of so many frames one is answered; of too many, cuts of the film are not looked for.

    Yields:
      (native frame, its `serving.Instances` with masks as RLEs, ids int [N], codes int [N], scores
      float [N]): the track of each instance, its steady label and score.
    """
    facts, labels = predictor.facts, predictor.labels

    def light():
        for native, found in answered:
            found = _sure(found, threshold, facts, labels)
            # Frames wait for those that their labels are read of: masks must be small.
            masks = [coco_results.encode_mask(mask) for mask in found.masks]
            yield native, dataclasses.replace(found, masks=masks)

    is_cut = video_files.is_cut if every <= video_files.CUT_REACH else None
    joint = facts.get("label_mode", "decoupled") != "decoupled"
    yield from tracking.follow(light(), labels, window, is_cut, joint)


def _until(items, stops):
    """The items up to the one in hand when `stops` is no longer empty."""
    for item in items:
        yield item
        if stops:
            return


def predict(load, reader, output, span=EVERY_FRAME, window=tracking.WINDOW, threshold=0.0):
    """Predict the frames of a video and write the results.

    Ctrl-C or SIGTERM ends it after the frame in hand, with whole files of the frames so far.

    Args:
      load: callable -> a `serving.Predictor`; called when `output` is known to be writable.
      reader: a `video.Reader`.
      output: folder of the `outputs.RESULTS`.
      span: the `Span` of the frames to answer.
      window, threshold: as for `followed`.

    Returns:
      (the predictor, frames written, whether a signal ended it).

    Raises:
      InputError: `output` cannot be written, the video ends before the span begins, or what `load`
        and `reader` raise.
    """
    total = span.count(reader.count)
    try:
        files = Outputs(output, reader.fps, reader.size, span.every)
        with stop_on_signal() as stops, files as outputs:
            predictor = load()
            far = reach(predictor.facts)

            def frames():
                near = reader.frames(lambda index: span.any(index - far, index + far + 1))
                for index, frame in enumerate(near):
                    if stops and index < span.first - far:
                        return
                    yield frame

            answered = _until(answers(predictor, frames(), span), stops)
            shown = followed(predictor, answered, window, threshold, span.every)
            with tqdm(desc="predict", unit="frame", total=total) as bar:
                for number, answer in zip(span.numbers(), shown):
                    outputs.add(number, *answer, predictor.labels)
                    bar.update()
            if not outputs.frames and not stops:
                raise InputError("no frame of the video lies between --start and --end")
    except OSError as error:
        raise InputError(f"--output={output}: cannot be written ({error})") from error
    return predictor, outputs.frames, bool(stops)
