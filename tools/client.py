"""Print the instances in a video: python client.py SAVED_MODEL VIDEO.

Boxes are y1 x1 y2 x2, in pixels of the video. This program uses the folder of an export
with TensorFlow and OpenCV alone; copy and change it.

A network that reads motion maps is asked by the signatures block, histograms, frame and
key_frame, others by stream. Frames of a camera do as well as those of a file.
"""

import collections
import json
import sys

import numpy as np
import tensorflow as tf

try:  # the exported network needs no OpenCV, but reading a video and flow do
    import cv2
except ImportError:
    sys.exit(
        "OpenCV is missing, which reads the video: pip install opencv-python-headless"
    )
# TensorFlow's meta optimizer prints a warning for each call.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

FLOW_PIXELS = 320 * 192  # of the frames that flow is computed on
FLOW_LEAST_SIDE = 16
BLOCK = 32  # frames of the signature block, counted from the first of the video
BLOCK_MAPS = {"mixed_4f": 4, "mixed_5c": 8}  # frames of each map in it
SPAN = 16  # frames before and after a key frame over which these are averaged
REACH = SPAN - 2  # frames before and after a key frame whose blocks have such a map
FLOW_SPAN = 6  # the same for the histograms of flow, one for each two frames


def make_flow():
    """Return OpenCV's DIS flow with the settings that the network was trained on."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    dis.setPatchStride(5)
    dis.setVariationalRefinementIterations(1)
    return dis


def resize(image, height, width):
    """Resize an image [H, W] or [H, W, C]: by area to shrink it, else bilinearly.

    Args:
      image: the image.
      height, width: the new size in pixels.
    """
    if image.shape[:2] == (height, width):
        return image
    shrinks = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


def prepare(frame, previous_grey, info, dis):
    """Scale a frame as the network takes it, and compute its flow.

    Args:
      frame: BGR uint8 [H, W, 3], as OpenCV reads it.
      previous_grey: the third result for the frame before; None for the first frame.
      info: the contents of a2d_tf.json.
      dis: the result of make_flow.

    Returns:
      (RGB uint8 [h, w, 3]; flow float32 [h, w, 2], (u, v) in pixels; the frame in grey,
      from which the next frame's flow is computed).
    """
    native_height, native_width = frame.shape[:2]
    scale = min(
        info["image_height"] / native_height, info["image_width"] / native_width
    )
    height = max(round(native_height * scale), 1)
    width = max(round(native_width * scale), 1)
    rgb = resize(frame, height, width)[..., ::-1]

    scale = min(1.0, (FLOW_PIXELS / (native_height * native_width)) ** 0.5)
    rows = max(round(native_height * scale), height, FLOW_LEAST_SIDE)
    columns = max(round(native_width * scale), width, FLOW_LEAST_SIDE)
    grey = resize(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), rows, columns)
    if previous_grey is None:
        return rgb, np.zeros((height, width, 2), np.float32), grey
    # From this frame back to the one before, and negated.
    flow = -dis.calc(grey, previous_grey, None)
    flow *= np.array([width / columns, height / rows], np.float32)
    return rgb, resize(flow, height, width), grey


def read(path):
    """Yield the frames of a video file, BGR uint8 [H, W, 3].

    Args:
      path: path of the file.
    """
    video = cv2.VideoCapture(path)
    while True:
        is_read, frame = video.read()
        if not is_read:
            return
        yield frame


def answers(model, video, info):
    """Predict the instances in each frame of a video.

    Args:
      model: the SavedModel, as TensorFlow loads it.
      video: the frames, BGR uint8 [H, W, 3], in any iterable.
      info: the contents of a2d_tf.json, which also describes the outputs.

    Yields:
      {name of an output: array} for each frame, in order; "number" is that of the
      frame, from 1.
    """
    if "motion" not in info:
        yield from answers_of_stream(model, video, info)
        return
    follower = Follower(model, info)
    for frame in video:
        yield from follower.add(frame)
    yield from follower.end()


def prepared(video, info):
    """Yield each frame as the network takes it.

    The network answers a frame when it has seen those after it, so the last frame comes
    again, without motion, until all frames are answered.

    Args:
      video: the frames, BGR uint8 [H, W, 3].
      info: the contents of a2d_tf.json.

    Yields:
      ((height, width) of the frame; RGB uint8 [h, w, 3]; flow float32 [h, w, 2]).
    """
    dis = make_flow()
    grey = None
    for frame in video:
        size = frame.shape[:2]
        rgb, flow, grey = prepare(frame, grey, info, dis)
        yield size, rgb, flow
    if grey is None:
        return
    for _ in range(info["frames"] // 2 * info["clip_stride"]):
        yield size, rgb, np.zeros_like(flow)


def answers_of_stream(model, video, info):
    """Predict the instances in each frame by a network that reads no motion maps.

    It is called by its signature stream, whose state is handed from frame to frame. For
    arguments and results see answers.
    """
    stream = model.signatures["stream"]
    state = {}
    for name, spec in stream.structured_input_signature[1].items():
        if name.startswith("state_"):
            state[name] = tf.zeros([1, *spec.shape[1:]], spec.dtype)
    for size, rgb, flow in prepared(video, info):
        outputs = stream(
            rgb=tf.constant(rgb[None]),
            flow=tf.constant(flow[None]),
            size=tf.constant(size, tf.int32),
            **state,
        )
        answer = {}
        for name, value in outputs.items():
            if name in state:
                state[name] = value
            else:
                answer[name] = value[0].numpy()
        if answer["number"] >= 1:  # else it is not yet the first frame's
            yield answer


class MotionMaps:
    """The motion maps of a video, computed from frames that come one by one.

    A motion map says how each part of a key frame moves, from the frames around it.
    Call add for each frame, then end; around gives the maps of a frame.

    Args:
      signatures: the functions of the SavedModel, by name.
      info: the contents of a2d_tf.json.
      native_size: (height, width) of the video.

    Attributes:
      size: (height, width) to which frames are scaled for the maps.
      count: number of frames that have come.
    """

    def __init__(self, signatures, info, native_size):
        self._signatures = signatures
        self._has_blocks = bool(info["motion"]["action_backbone"])
        self._has_flow = info["motion"]["flow_histograms"]
        self._dis = make_flow()
        self._block = []  # the newest frames
        self._maps = collections.defaultdict(dict)  # {name: {middle frame: map}}
        self._previous_grey = None
        self.count = 0
        short, long = sorted(native_size)
        longer = min(32 * round(160 * (long / short) / 32), 416)
        is_tall = native_size[0] > native_size[1]
        self.size = (longer, 160) if is_tall else (160, longer)

    def add(self, frame):
        """Take the next frame, BGR uint8 [H, W, 3], and compute what it completes."""
        small = np.ascontiguousarray(resize(frame, *self.size)[..., ::-1])
        self._block.append(small)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        if self._has_flow and self.count % 2 == 1:
            flow = -self._dis.calc(grey, self._previous_grey, None)
            histograms = self._signatures["histograms"](flow=tf.constant(flow[None]))
            for name, values in histograms.items():
                self._maps[name][self.count - 0.5] = values[0].numpy()
        self._previous_grey = grey
        self.count += 1
        if self.count % BLOCK == 0:
            self.end()

    def end(self):
        """Compute the maps of the newest block, at its end or at the video's."""
        own_frames = len(self._block)
        if self._has_blocks and own_frames:
            padding = [self._block[-1]] * (BLOCK - own_frames)
            block = np.stack(self._block + padding)
            for name, maps in self._signatures["block"](rgb=block[None]).items():
                frames = BLOCK_MAPS[name]
                for i in range(-(-own_frames // frames)):  # others are padding alone
                    middle = self.count - own_frames + i * frames + (frames - 1) / 2
                    self._maps[name][middle] = maps[0, i].numpy()
        self._block = []

    def last_needed(self, key):
        """Return the 0-based index of the last frame that a key frame's maps depend on.

        Args:
          key: 0-based index of the key frame.
        """
        if self._has_blocks:
            return (key + REACH) // BLOCK * BLOCK + BLOCK - 1
        return key + FLOW_SPAN

    def around(self, key):
        """Return the motion maps of a key frame as inputs of the signature key_frame.

        Older maps are dropped, so keys must ascend.

        Args:
          key: 0-based index of the key frame.

        Returns:
          {name of an input: tensor [1, ...]}.
        """
        motion = {"motion_size": np.array([self.size], np.int32)}
        if self._has_flow:
            motion["flow_histograms"] = self._mean("flow_histograms", key, FLOW_SPAN)
        if self._has_blocks:
            for name in BLOCK_MAPS:
                motion[name] = self._mean(name, key, SPAN)
        return {name: tf.constant(values) for name, values in motion.items()}

    def _mean(self, name, key, span):
        maps = self._maps[name]
        for middle in list(maps):
            if middle < key - span:
                del maps[middle]
        around = [maps[middle] for middle in maps if middle <= key + span]
        if around:
            return np.mean(around, axis=0)[None]
        # A video of a single frame has no flow.
        return np.zeros([1, self.size[0] // 8, self.size[1] // 8, 27], np.float32)


class Follower:
    """Predicts a video, whose frames come one by one, by a network with motion maps.

    A frame is answered when the frames have come on which its motion maps depend: at
    most 45 frames later, or later still if its clip reaches further. Only what later
    answers need is kept in memory.

    Args:
      model: the SavedModel, as TensorFlow loads it.
      info: the contents of a2d_tf.json.
    """

    def __init__(self, model, info):
        self._signatures = model.signatures
        self._info = info
        self._stride = info["clip_stride"]
        self._reach = info["frames"] // 2 * self._stride
        self._dis = make_flow()
        self._grey = None
        self._size = None
        self._maps = None
        self._kept = {}  # {index of a frame: (RGB, flow)}
        self._answered = 0  # so many frames are

    def add(self, frame):
        """Take the next frame, and return the answers that are then complete.

        Args:
          frame: BGR uint8 [H, W, 3].

        Returns:
          a list, often empty, of {name of an output: array}, in the order of the
          frames.
        """
        if self._maps is None:
            self._size = frame.shape[:2]
            self._maps = MotionMaps(self._signatures, self._info, self._size)
        rgb, flow, self._grey = prepare(frame, self._grey, self._info, self._dis)
        self._kept[self._maps.count] = rgb, flow
        self._maps.add(frame)
        due = []
        while self._maps.count > self._last_needed(self._answered):
            due.append(self._next_answer())
        return due

    def end(self):
        """Return the answers to the remaining frames when the video has ended."""
        due = []
        if self._maps is not None:
            self._maps.end()
            while self._answered < self._maps.count:
                due.append(self._next_answer())
        return due

    def _last_needed(self, key):
        """Return the index of the last frame that the answer to a frame depends on."""
        return max(key + self._reach, self._maps.last_needed(key))

    def _next_answer(self):
        """Answer the first frame that waits."""
        key = self._answered
        clip = []
        for index in range(key - self._reach, key + self._reach + 1, self._stride):
            clip.append(self._features(index))
        inputs = self._maps.around(key)
        for name in clip[0]:
            inputs[name] = tf.stack([features[name] for features in clip], axis=1)
        outputs = self._signatures["key_frame"](
            size=tf.constant(self._size, tf.int32), **inputs
        )
        self._kept.pop(key - self._reach, None)
        self._answered += 1
        answer = {name: values[0].numpy() for name, values in outputs.items()}
        answer["number"] = self._answered
        return answer

    def _features(self, index):
        """Return those of a frame; beyond an end, of the nearest, without motion."""
        nearest = min(max(index, 0), self._maps.count - 1)
        rgb, flow = self._kept[nearest]
        if nearest != index:
            flow = np.zeros_like(flow)
        return self._signatures["frame"](
            rgb=tf.constant(rgb[None]), flow=tf.constant(flow[None])
        )


def main(folder, path):
    """Print a line for each instance in each frame of a video.

    Args:
      folder: path of the folder of the export.
      path: path of the video file.
    """
    with open(f"{folder}/a2d_tf.json") as file:
        info = json.load(file)
    if info["flow_method"] != "dis":
        sys.exit(f"this program computes DIS flow only, not {info['flow_method']}")
    model = tf.saved_model.load(folder)
    for answer in answers(model, read(path), info):
        for i in range(answer["num_detections"]):
            actor = info["labels"]["actors"][answer["actor"][i] - 1]
            action = info["labels"]["actions"][answer["action"][i] - 1]
            print(
                f"{answer['number']}: {actor} {action} {answer['score'][i]:.4f}"
                f" y1 x1 y2 x2 {answer['boxes'][i]}"
            )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
