"""Damaged, foreign and mixed exports: one clear error each, which names the file and the place."""

import base64
import copy
import json
import zipfile

import pytest
from a2d_files import moving_frames, write_video

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.matching import Export
from a2d_tf.core.errors import InputError

SQUARE = [2, 1, 6, 1, 6, 5, 2, 5]
COCO = {
    "images": [{"id": 1, "file_name": "clip/00002.jpg", "width": 32, "height": 24}],
    "categories": [{"id": 1, "name": "cat-sit"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [SQUARE]}],
}
LABELME = {
    "imagePath": "clip_00002.jpg",
    "imageHeight": 24,
    "imageWidth": 32,
    "shapes": [{"label": "cat-sit", "shape_type": "polygon", "points": [[2, 1], [6, 1], [6, 5]]}],
}
VIS = {
    "videos": [{"id": 1, "file_names": ["clip/00000.jpg", "clip/00001.jpg"]}],
    "categories": [{"id": 1, "name": "cat-sit"}],
    "annotations": [{"id": 1, "video_id": 1, "category_id": 1, "segmentations": [[SQUARE], None]}],
}
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><id>1</id><name>t</name><size>6</size><source>clip.mp4</source>
<start_frame>0</start_frame><stop_frame>5</stop_frame><frame_filter></frame_filter>
<original_size><width>32</width><height>24</height></original_size></task></meta>
<track id="0" label="cat"><mask frame="1" keyframe="1" outside="0" occluded="0" rle="4, 4"
 left="2" top="1" width="4" height="2"><attribute name="action">sit</attribute></mask></track>
</annotations>"""


def changed(content, *path, value=...):
    """A copy of `content` with the entry at a path replaced, or removed where it is `...`."""
    content = copy.deepcopy(content)
    *parents, last = path
    entry = content
    for key in parents:
        entry = entry[key]
    if value is ...:
        del entry[last]
    else:
        entry[last] = value
    return content


def annotation(**fields):
    return {**COCO, "annotations": [{**COCO["annotations"][0], **fields}]}


ROBOFLOW = changed(
    COCO,
    "images",
    value=[
        {"id": 1, "file_name": "clip_mp4-1_jpg.rf.0123456789abcdef0123456789abcdef.jpg"},
        {"id": 2, "file_name": "clip_mp4-1_jpg.rf.ffffffffffffffff0123456789abcdef.jpg"},
    ],
)
LABEL_STUDIO = {
    **changed(COCO, "images", 0, "file_name", value="../../upload/1/0123abcd-photo.jpg"),
    "info": {"contributor": "Label Studio"},
}
YOLO = {"data.yaml": "names:\n  0: cat-sit\n", "labels/train/clip_00002.txt": "0 .1 .1 .5 .1 .5 .4"}
MASK = {"shape_type": "mask", "points": [[2, 1], [5, 4]], "label": "cat-sit"}

# What is in the export, and what the error says: first the file.
BROKEN = {
    "an empty folder": ({}, "export: no annotations of a known format.*there is none"),
    "images alone": ({"a.jpg": b"x"}, "export: no annotations of a known format"),
    "a foreign JSON": ({"x.json": {"frames": []}}, r"'x.json' is none of these.*--format"),
    "a torn JSON": ({"x.json": json.dumps(COCO)[:90]}, "x.json: not a readable JSON"),
    "a deep JSON": ({"x.json": "[" * 100000}, "x.json: not a readable JSON"),
    "Pascal VOC": ({"x.xml": "<annotation><object/></annotation>"}, "'x.xml' is none of these"),
    "a torn XML": ({"x.xml": CVAT[:400]}, "x.xml: .*line"),
    "an XML with entities": (
        {"x.xml": CVAT.replace("<annotations>", '<!DOCTYPE a [<!ENTITY b "c">]><annotations>', 1)},
        "x.xml: .*DOCTYPE",
    ),
    "no name of an image": (
        {"x.json": changed(COCO, "images", 0, "file_name")},
        r"x.json: images\[0\].file_name: None",
    ),
    "a name without a frame": (
        {"x.json": changed(COCO, "images", 0, "file_name", value="photo.jpg")},
        r"x.json: images\[0\].file_name: 'photo.jpg' names no frame",
    ),
    "an image that is not there": (
        {"x.json": annotation(image_id=7)},
        r"x.json: annotations\[0\].image_id: 7",
    ),
    "a category that is not there": (
        {"x.json": annotation(category_id=7)},
        r"x.json: annotations\[0\].category_id: 7",
    ),
    "boxes alone": (
        {"x.json": annotation(segmentation=[])},
        "x.json: annotations: none has a mask",
    ),
    "a polygon of another image": (
        {"x.json": annotation(segmentation=[[0, 0, 999, 0, 999, 999]])},
        r"x.json: annotations\[0\].segmentation: a polygon leaves the frame of 32x24",
    ),
    "an RLE of another size": (
        {"x.json": annotation(segmentation={"size": [4, 4], "counts": [0, 16]})},
        r"x.json: annotations\[0\].segmentation: the RLE's size \[4, 4\]",
    ),
    "a size of another video": (
        {"x.json": changed(COCO, "images", 0, "width", value=33)},
        r"x.json: images\[0\]: .* say 33x24, but the frames of .*clip.mp4 are 32x24",
    ),
    "a frame beyond the end": (
        {"x.json": changed(COCO, "images", 0, "file_name", value="clip/00007.jpg")},
        r"x.json: images\[0\]: names frame 7, but .*clip.mp4 has 6 in a row",
    ),
    "labels without an action": (
        {"x.json": changed(COCO, "categories", 0, "name", value="cat")},
        r"x.json: no actor and action for the labels 'cat' \(1\)",
    ),
    "another video": (
        {"x.json": changed(COCO, "images", 0, "file_name", value="other/00002.jpg")},
        "videos: neither a video other.mp4",
    ),
    "augmentation": ({"_annotations.coco.json": ROBOFLOW}, r"coco.json: images\[1\]: .*augment"),
    "Label Studio's photo": ({"result.json": LABEL_STUDIO}, r"result.json: images\[0\].file_name"),
    "an image's path": (
        {"photo.json": changed(LABELME, "imagePath", value="photo.jpg")},
        "photo.json: imagePath: 'photo.jpg' names no frame",
    ),
    "a polygon of two points": (
        {"x.json": changed(LABELME, "shapes", 0, "points", value=[[1, 1], [2, 2]])},
        r"x.json: shapes\[0\].points: a polygon of 2 points",
    ),
    "a mask that is no PNG": (
        {"x.json": {**LABELME, "shapes": [{**MASK, "mask": base64.b64encode(b"a").decode()}]}},
        r"x.json: shapes\[0\].mask: no PNG",
    ),
    "tracks and frames that differ": (
        {"x.json": changed(VIS, "annotations", 0, "segmentations", value=[None])},
        r"x.json: annotations\[0\].segmentations: not a list of 2",
    ),
    "a mask that does not fill its box": (
        {"x.xml": CVAT.replace('rle="4, 4"', 'rle="4, 5"')},
        'x.xml: .*id="0".*',
    ),
    "a frame beyond the task": (
        {"x.xml": CVAT.replace('frame="1"', 'frame="x"')},
        "x.xml: .*track.*frame",
    ),
    "a class that is not there": (
        {**YOLO, "labels/train/clip_00002.txt": "3 .1 .1 .5 .1 .5 .4"},
        "clip_00002.txt: line 1: class '3' is not among",
    ),
    "pixels in place of shares": (
        {**YOLO, "labels/train/clip_00002.txt": "0 10 10 50 10 50 40"},
        "clip_00002.txt: line 1: '10' is no share",
    ),
    "two tools on one frame": (
        {"x.json": COCO, "clip_00002.json": changed(LABELME, "shapes", value=[])},
        "frame 2 of 'clip' is also .*export/clip_00002.json: imagePath",
    ),
}


def write(folder, files):
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def read_all(folder, **options):
    """Every annotation of an export, decoded."""
    videos = folder.parent / "videos"
    write_video(videos / "clip.mp4", moving_frames(6, 24, 32, step=2))
    source = AnnotatedVideos([Export(folder)], videos, **options)
    frames = [(v.vid, number) for v in source.videos for number in source.annotated_frames(v.vid)]
    return frames, [source.read_annotation(*frame, (24, 32)) for frame in frames]


@pytest.mark.parametrize("name", BROKEN)
def test_broken_exports_have_one_clear_error(tmp_path, name):
    files, words = BROKEN[name]
    with pytest.raises(InputError, match=words) as caught:
        read_all(write(tmp_path / "export", files))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("content", [COCO, LABELME, VIS, CVAT, YOLO])
def test_what_the_broken_ones_are_made_from_is_whole(tmp_path, content):
    files = content if content is YOLO else {"clip.json": content}
    files = {"clip.xml": content} if content is CVAT else files
    frames, annotations = read_all(write(tmp_path / "export", files))
    assert frames[-1] == ("clip", 2) and annotations[0].codes.tolist() == [11]
    assert annotations[0].masks.any()


def test_a_format_that_the_user_says(tmp_path):
    folder = write(tmp_path / "export", {"x.json": COCO, "clip_00003.json": LABELME})
    frames, _ = read_all(folder, format_name="coco")
    assert frames == [("clip", 2)]
    with pytest.raises(InputError, match="export: no annotations of the format 'yolo'"):
        read_all(folder, format_name="yolo")


def test_a_zip_within_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("task.zip", b"PK")
    with pytest.raises(InputError, match="export.zip: no annotations of a known format"):
        read_all(tmp_path / "export.zip")
