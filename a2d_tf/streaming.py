"""From the frames of a video to overlay, label maps and detections, in memory that stays flat.

The clip of a frame is made as the records make it; only the frames that clips still need are kept.
"""

import contextlib
import json
import os
import re
import shutil
import signal

import cv2
import numpy as np
from tqdm import tqdm

from a2d_tf import video, visualize
from a2d_tf.data.convert import clip_sources
from a2d_tf.data.flow import Flow, fit, resize_frame
from a2d_tf.errors import InputError
from a2d_tf.evaluation import coco_results

RESULTS = ("overlay.mp4", "label_maps", "detections.json")


def clips(frames, facts):
    """The clip of every frame of a video, made exactly as `data.convert` makes records.

    Flow is computed once a frame, between neighbours of the video at the stored size. A missing
    neighbour is the nearest frame, with zero flow.

    Args:
      frames: iterable of native frames, RGB uint8 [H, W, 3].
      facts: of the network: `frames` (2L + 1), `clip_stride`, `flow_method`, `image_height`,
        `image_width`, `use_flow`.

    Yields:
      (native frame, rgb uint8 [2L + 1, h, w, 3], flow float32 [2L + 1, h, w, 2]).
    """
    length, stride = facts["frames"], facts["clip_stride"]
    reach = length // 2 * stride
    flow = Flow(facts["flow_method"]) if facts["use_flow"] else None
    kept, number = {}, 0  # number, 1-based -> (native, stored, flow)

    def clip(key):
        sources, missing = clip_sources(key, length, stride, number)
        rgb = np.stack([kept[source][1] for source in sources])
        moved = np.stack([kept[source][2] for source in sources])
        moved[list(missing)] = 0
        return kept[key][0], rgb, moved

    for number, native in enumerate(frames, 1):
        stored = resize_frame(native, *fit(*native.shape[:2], facts["image_height"],
                                           facts["image_width"]))  # fmt: skip
        motion = np.zeros((*stored.shape[:2], 2), np.float32)
        if flow and number > 1:
            motion = flow(kept[number - 1][1], stored)
        kept[number] = native, stored, motion
        if number > reach:
            yield clip(number - reach)
            # The last frame stays, for the flow of the next one.
            kept.pop(number - max(2 * reach, 1), None)
    for key in range(max(number - reach, 0) + 1, number + 1):
        yield clip(key)


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
                for frame, rgb, flow in clips(reader, predictor.facts):
                    outputs.add(frame, predictor(rgb, flow, reader.size), predictor.labels)
                    bar.update()
                    if stops:
                        break
    except OSError as error:
        raise InputError(f"--output={output}: cannot be written ({error})") from error
    return predictor, outputs.frames, bool(stops)
