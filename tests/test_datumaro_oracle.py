"""Our readers and Datumaro's agree on exports of CVAT and on what Datumaro writes."""

import datumaro_env
import export_reading
import numpy as np
import pytest
from a2d_files import real

from a2d_tf.annotations import read_coco as coco
from a2d_tf.annotations import read_cvat as cvat
from a2d_tf.annotations import read_datumaro as datumaro

pytestmark = pytest.mark.slow

# Case, video, size; COCO's images name their size themselves.
EXPORTS = [
    (datumaro, "datumaro", "datumaro_json/export/clip2", (120, 160)),
    (datumaro, "datumaro", "datumaro_json/export/clip4", (112, 144)),
    (coco, "coco_instances", "cvat_coco/export/clip2", (120, 160)),
    (coco, "coco_instances", "cvat_coco/export/clip3", (120, 160)),
    # Datumaro reads neither masks on tracks nor projects.
    (cvat, "cvat", "cvat_video_xml/export/task_17*", (120, 160)),
]


@pytest.mark.parametrize("reader, format_name, pattern, size", EXPORTS)
def test_exports_of_cvat(reader, format_name, pattern, size):
    (folder,) = real("exports").glob(pattern)
    theirs = datumaro_env.instances(folder, format_name, size)
    (ours,) = export_reading.read(reader, folder, interpolated=True, empty_frames=True)
    assert len(ours.frames) == len(theirs) > 10
    for frame in ours.frames:
        key = f"frame_{frame.number - 1:06d}"
        export_reading.check_against_datumaro(frame.instances, theirs[key], size)


@pytest.fixture(scope="module")
def content():
    """What Datumaro is to write: a mask with holes, and a group of two polygons."""
    blob = (np.random.default_rng(0).random((30, 40)) < 0.4).astype(int).tolist()
    shapes = [
        {"label": 1, "group": 0, "attributes": {"action": "turn"}, "mask": blob},
        {"label": 0, "group": 2, "attributes": {"action": "run"}, "polygon": [1, 1, 9, 2, 5, 12]},
        {"label": 0, "group": 2, "attributes": {"action": "run"}, "polygon": [20, 4, 25, 4, 22, 9]},
    ]
    return {
        "labels": ["mouse", "wheel"],
        "size": [30, 40],
        "items": {
            "clip/00003": {"frame": 2, "shapes": shapes},
            "clip/00007": {"frame": 6, "shapes": shapes[:1]},
        },
    }


@pytest.mark.parametrize("reader, format_name", [(datumaro, "datumaro"), (coco, "coco_instances")])
def test_documents_that_datumaro_writes(reader, format_name, content, tmp_path):
    datumaro_env.write(tmp_path / "written", format_name, content)
    theirs = datumaro_env.instances(tmp_path / "written", format_name)
    (ours,) = export_reading.read(reader, tmp_path / "written")
    assert {(x.video, x.number, x.size) for x in ours.frames} == {
        ("clip", 3, (30, 40)),
        ("clip", 7, (30, 40)),
    }
    for frame in ours.frames:
        names = {(x.label, x.action) for x in frame.instances}
        assert names == {("wheel", "turn"), ("mouse", "run")} or frame.number == 7
        key = f"clip/{frame.number:05d}"
        export_reading.check_against_datumaro(frame.instances, theirs[key], (30, 40), pixels=0)
    (last,) = (frame for frame in ours.frames if frame.number == 7)
    blob = np.array(content["items"]["clip/00007"]["shapes"][0]["mask"], bool)
    np.testing.assert_array_equal(export_reading.mask(last.instances[0], (30, 40)), blob)
