"""Print the instances in a video: python client.py SAVED_MODEL VIDEO.

Boxes are y1 x1 y2 x2, in pixels of the video. This program uses the folder of an export
with TensorFlow and OpenCV alone; copy and change it.
"""

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


def make_flow():
    """Return DIS flow with the settings that the network was trained on."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    dis.setPatchStride(5)
    dis.setVariationalRefinementIterations(1)
    return dis


def resize(image, height, width):
    """Resize an image by area to shrink it, else bilinearly."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


def prepare(frame, previous_grey, info, dis):
    """Return what the network takes of a frame.

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


def frames(path, info):
    """Yield (size, RGB, flow) of each frame, as the network takes them.

    The network answers a frame when it has seen those after it, so the last frame comes
    again, without motion, until all frames are answered.
    """
    dis = make_flow()
    video = cv2.VideoCapture(path)
    grey = None
    while True:
        is_read, frame = video.read()
        if not is_read:
            break
        size = frame.shape[:2]
        rgb, flow, grey = prepare(frame, grey, info, dis)
        yield size, rgb, flow
    if grey is None:
        return
    for _ in range(info["frames"] // 2 * info["clip_stride"]):
        yield size, rgb, np.zeros_like(flow)


def answers(model, path, info):
    """Yield the network's answer for each frame, {name: array}; see a2d_tf.json."""
    stream = model.signatures["stream"]
    state = {}
    for name, spec in stream.structured_input_signature[1].items():
        if name.startswith("state_"):
            state[name] = tf.zeros([1, *spec.shape[1:]], spec.dtype)
    for size, rgb, flow in frames(path, info):
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


def main(folder, path):
    """Print a line for each instance in each frame."""
    with open(f"{folder}/a2d_tf.json") as file:
        info = json.load(file)
    if info["flow_method"] != "dis":
        sys.exit(f"this program computes DIS flow only, not {info['flow_method']}")
    model = tf.saved_model.load(folder)
    for answer in answers(model, path, info):
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
