"""Print the instances in a video: python client.py SAVED_MODEL VIDEO. Needs tensorflow, opencv."""

import json
import sys

import cv2
import numpy as np
import tensorflow as tf


def answers(folder, path):
    """Yield the outputs of each frame, {name: array}, in its pixels; a2d_tf.json explains them."""
    info, model = json.load(open(f"{folder}/a2d_tf.json")), tf.saved_model.load(folder)
    stream, limits = model.signatures["stream"], (info["image_height"], info["image_width"])
    specs = stream.structured_input_signature[1].items()
    state = {k: tf.zeros([1, *s.shape[1:]], s.dtype) for k, s in specs if k.startswith("state_")}
    dis = {"dis": cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)}[info["flow_method"]]
    video, grey, lag = cv2.VideoCapture(path), None, info["frames"] // 2 * info["clip_stride"]
    while (frame := video.read()[1]) is not None or (grey is not None and (lag := lag - 1) >= 0):
        before = None if frame is None else grey  # at its end a video stands still
        if frame is not None:  # at the size of the records, where the flow is made too
            scale = min(limit / side for limit, side in zip(limits, frame.shape))
            size = [max(1, min(round(s * scale), limit)) for s, limit in zip(frame.shape, limits)]
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            stored, native = cv2.resize(frame, size[::-1], interpolation=how), frame.shape[:2]
            grey = cv2.cvtColor(stored, cv2.COLOR_BGR2GRAY)
        flow = np.zeros((*size, 2), np.float32) if before is None else dis.calc(before, grey, None)
        rgb, flow = tf.constant(stored[None, ..., ::-1]), tf.constant(flow[None])
        found = stream(rgb=rgb, flow=flow, size=tf.constant(native), **state)
        state = {name: found[name] for name in state}
        if found["number"][0] >= 1:
            yield {name: x[0].numpy() for name, x in found.items() if name not in state}


if __name__ == "__main__" and (len(sys.argv) == 3 or sys.exit(__doc__)):
    names = json.load(open(f"{sys.argv[1]}/a2d_tf.json"))["labels"]
    for found in answers(*sys.argv[1:]):
        for i in range(found["num_detections"]):
            who, what = (names[f"{x}s"][found[x][i] - 1] for x in ("actor", "action"))
            print(f"{found['number']}: {who} {what} {found['score'][i]:.4f} {found['boxes'][i]}")
