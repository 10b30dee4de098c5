"""Frames as networks see them: the same in records, in videos and in the client."""

import runpy

import numpy as np
import pytest
from a2d_files import moving_frames
from processes import ROOT

from a2d_tf.data.preparation.stored_frames import FramePreparer


@pytest.mark.parametrize("size", [(48, 64), (120, 200), (320, 400), (30, 20)])
def test_the_client_prepares_frames_to_the_bit(size):
    client = runpy.run_path(str(ROOT / "tools" / "client.py"))
    info = {"image_height": 96, "image_width": 128}
    preparer = FramePreparer(96, 128, "dis")
    dis = client["make_flow"]()
    previous = grey = None
    for native in moving_frames(3, *size, step=2):
        frame = preparer.prepare(native)
        bgr = np.ascontiguousarray(native[..., ::-1])
        rgb, flow, grey = client["prepare"](bgr, grey, info, dis)
        np.testing.assert_array_equal(rgb, frame.rgb)
        np.testing.assert_array_equal(grey, frame.grey_frame)
        np.testing.assert_array_equal(flow, preparer.flow(previous, frame))
        previous = frame
