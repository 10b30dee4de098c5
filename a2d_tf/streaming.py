"""From the frames of a video to overlay, label maps and detections, in memory that stays flat.

Each frame passes the backbones once. What they make of it is kept as long as a frame's answer still
needs it, and is the same as in the clip that the records would hold of that frame.
"""

import collections
import contextlib
import json
import os
import re
import shutil
import signal
from concurrent import futures

import cv2
import numpy as np
from tqdm import tqdm

from a2d_tf import video, visualize
from a2d_tf.data.flow import Flow, fit, resize_frame
from a2d_tf.errors import InputError
from a2d_tf.evaluation import coco_results

RESULTS = ("overlay.mp4", "label_maps", "detections.json")


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
        self._still, self._count = {}, 0

    def push(self, frame):
        """Add the video's next frame: a dict of tensors, those of the flow named `flow_*`.

        Returns:
          the 2L + 1 frames around the key frame L stride before it; None if there is none yet.
        """
        if not self._count:
            self._still = {name: x for name, x in frame.items() if name.startswith("flow_")}
            self._frames.extend([frame] * 2 * self._reach)
        self._frames.append(frame)
        self._count += 1
        return list(self._frames)[:: self._stride] if self._count > self._reach else None

    def finish(self):
        """The video is over: yield what `push` would return of the key frames that are left."""
        last = {**self._frames[-1], **self._still}
        for _ in range(self._reach):
            frames = self.push(last)
            if frames:
                yield frames


def _moving(frames, facts):
    """Yield (native, stored, its flow) of each frame, as `data.convert` makes them."""
    flow = Flow(facts["flow_method"]) if facts["use_flow"] else None
    previous = None
    for native in frames:
        size = fit(*native.shape[:2], facts["image_height"], facts["image_width"])
        stored = resize_frame(native, *size)
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


def answers(predictor, frames):
    """What is found in every frame of a video; each passes the backbones once.

    Flow is computed between neighbours of the video, at the size of the records, while the network
    works on the frame before. Memory does not grow with the video.

    Args:
      predictor: a `serving.Predictor`.
      frames: iterable of native frames, RGB uint8 [H, W, 3].

    Yields:
      (native frame, its `serving.Instances`).
    """
    ring = Ring(predictor.facts["frames"], predictor.facts["clip_stride"])
    waiting = collections.deque()

    def windows():
        for native, stored, flow in _ahead(_moving(frames, predictor.facts)):
            waiting.append(native)
            yield ring.push(predictor.frame(stored, flow))
        yield from ring.finish()

    for window in filter(None, windows()):
        native = waiting.popleft()
        yield native, predictor.key_frame(window, native.shape[:2])


class Outputs:
    """The files of a prediction, written frame by frame into a hidden folder beside their places.

    As a context manager it publishes whole files at the end, and nothing after an exception.

    Args:
      folder: made if missing; results of an earlier prediction there are replaced.
      fps: of the overlay.
      size: (height, width) of the frames.

    Raises:
      InputError: the folder cannot be written, or holds a `label_maps` of something else.
    """

    def __init__(self, folder, fps, size):
        self.folder, self.partial = folder, os.path.join(folder, ".partial")
        self.frames, self._empty = 0, True
        try:
            older = os.path.join(folder, "label_maps")
            for name in os.listdir(older) if os.path.isdir(older) else ():
                if not re.fullmatch(r"\d{5,}\.png", name):
                    raise InputError(
                        f"{older}: holds {name}, which is no prediction; give another --output"
                    )
            shutil.rmtree(self.partial, ignore_errors=True)
            os.makedirs(os.path.join(self.partial, "label_maps"))
            self._json = open(self._path("detections.json"), "w", encoding="utf-8")
        except OSError as error:
            raise InputError(f"--output={folder}: cannot be written ({error.strerror})") from error
        self._json.write("[")
        self._video = video.Writer(self._path("overlay.mp4"), fps, size)

    def _path(self, *names):
        return os.path.join(self.partial, *names)

    def add(self, frame, found, labels):
        """Append a frame: RGB uint8 [H, W, 3] and its `serving.Instances`."""
        self.frames += 1
        order = np.argsort(found.scores, kind="stable")  # the best one is drawn last, on top
        masks = [found.masks[i] for i in order]
        self._video.write(
            visualize.draw_instances(
                frame, found.boxes[order], found.codes[order], masks, labels, found.scores[order]
            )
        )
        png = cv2.imencode(".png", found.label_map)[1]
        with open(self._path("label_maps", f"{self.frames:05d}.png"), "wb") as file:
            file.write(png.tobytes())
        for result in coco_results.entries(
            self.frames, found.boxes, found.codes, found.scores, found.masks
        ):
            self._json.write(("\n" if self._empty else ",\n") + json.dumps(result))
            self._empty = False

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self._video.close()
        with self._json:
            self._json.write("\n]\n")
        if kind is None and self.frames:
            for name in RESULTS:
                place = os.path.join(self.folder, name)
                if os.path.isdir(place):
                    shutil.rmtree(place)
                os.replace(self._path(name), place)
        shutil.rmtree(self.partial, ignore_errors=True)


@contextlib.contextmanager
def _stop_on_signal():
    """Yields a list that is no longer empty once Ctrl-C or SIGTERM came; a second one is final."""
    stops, old = [], {}

    def stop(number, _):
        stops.append(number)
        signal.signal(number, old[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        old[number] = signal.signal(number, stop)
    try:
        yield stops
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def predict(load, reader, output):
    """Predict every frame of a video and write the results.

    Ctrl-C or SIGTERM ends it after the frame in hand, with whole files of the frames so far.

    Args:
      load: callable -> a `serving.Predictor`; called when `output` is known to be writable.
      reader: a `video.Reader`.
      output: folder of the RESULTS.

    Returns:
      (the predictor, frames written, whether a signal ended it).

    Raises:
      InputError: `output` cannot be written, or what `load` and `reader` raise.
    """
    try:
        with _stop_on_signal() as stops, Outputs(output, reader.fps, reader.size) as outputs:
            predictor = load()
            with tqdm(desc="predict", unit="frame", total=reader.count) as bar:
                for frame, found in answers(predictor, reader):
                    outputs.add(frame, found, predictor.labels)
                    bar.update()
                    if stops:
                        break
    except OSError as error:
        raise InputError(f"--output={output}: cannot be written ({error})") from error
    return predictor, outputs.frames, bool(stops)
