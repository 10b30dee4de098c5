"""Print the instances in a video, boxes in its pixels: python client.py SAVED_MODEL
VIDEO.
"""

import json
import sys

import numpy as np
import tensorflow as tf

try:  # an export needs neither films nor OpenCV's flow
    import cv2
except ImportError:
    sys.exit(
        "OpenCV is missing, which reads the video: pip install opencv-python-headless"
    )
# which warns
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def answers(folder, path):  # (a2d_tf.json, the outputs that it explains) of each frame
    info, model = json.load(open(f"{folder}/a2d_tf.json")), tf.saved_model.load(folder)
    stream, limits = (
        model.signatures["stream"],
        (info["image_width"], info["image_height"]),
    )
    specs = stream.structured_input_signature[1].items()
    state = {
        k: tf.zeros([1, *s.shape[1:]], s.dtype)
        for k, s in specs
        if k.startswith("state_")
    }
    dis = {"dis": cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)}[
        info["flow_method"]
    ]
    (
        dis.setFinestScale(0),
        dis.setPatchStride(5),
        dis.setVariationalRefinementIterations(1),
    )
    video, grey, lag = (
        cv2.VideoCapture(path),
        None,
        info["frames"] // 2 * info["clip_stride"],
    )
    while (frame := video.read()[1]) is not None or (
        grey is not None and (lag := lag - 1) >= 0
    ):
        before = grey  # at its end a video stands still
        if frame is not None:
            wh = np.int32(frame.shape[1::-1])
            size = np.int_(np.clip(np.rint(wh * min(limits / wh)), 1, limits))
            fine = np.maximum(
                size, np.int_(np.rint(wh * min(1, (61440 / wh.prod()) ** 0.5)))
            )
            how = cv2.INTER_AREA if size.prod() < wh.prod() else cv2.INTER_LINEAR
            stored = cv2.resize(frame, size, interpolation=how)
            grey = cv2.resize(
                cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), fine, interpolation=how
            )
        # back in time, negated
        flow = dis.calc(grey, grey if before is None else before, None)
        flow = cv2.resize(flow * -np.float32(size / fine), size, interpolation=how)
        found = stream(
            rgb=stored[None, ..., ::-1], flow=flow[None], size=wh[::-1], **state
        )
        state = {name: found[name] for name in state}
        if found["number"][0] >= 1:
            yield (
                info,
                {name: x[0].numpy() for name, x in found.items() if name not in state},
            )


if __name__ == "__main__" and (len(sys.argv) == 3 or sys.exit(__doc__)):
    for info, found in answers(*sys.argv[1:]):
        for i, box in enumerate(found["boxes"][: found["num_detections"]]):
            who, what = (
                info["labels"][f"{x}s"][found[x][i] - 1] for x in ("actor", "action")
            )
            print(
                f"{found['number']}: {who} {what} {found['score'][i]:.4f} y1 x1 y2 x2"
                f" {box}"
            )
