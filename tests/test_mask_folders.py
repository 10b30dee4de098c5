"""Folders of mask PNGs and a list of objects: what counts, frames, there and back."""

import dataclasses
import io
import shutil

import cv2
import numpy as np
import pytest
from a2d_files import mask, moving_frames, write_video
from PIL import Image
from test_annotation_formats import open_source
from test_export_annotations import ragged
from test_outputs import FILM, write

from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.writers import tool_exports
from a2d_tf.behaviour.predicted_tracks import read_tracked_video
from a2d_tf.core.errors import InputError

SIZE = (24, 32)
CAT, DOG = mask(*SIZE, 1, 2, 5, 6), mask(*SIZE, 10, 8, 20, 24)
BOTH = np.uint8(CAT + 2 * DOG)
HEADER = "video,object,actor,action"
ROWS = f"{HEADER}\nclip,1,cat,sit\nclip,2,dog,run\n"


def png(values, form="L"):
    """A PNG: of a palette whose colours are not the numbers, grey, or in colours."""
    image, file = (
        Image.fromarray(np.uint16(values) if form == "I;16" else values),
        io.BytesIO(),
    )
    if form == "P":
        image.putpalette([7, 7, 7] * 256)
    (image.convert("RGB") if form == "RGB" else image).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Write videos of 6 frames: clip.mp4, clip1.mp4, and two folders of images.

    The images one/ count from 1, and zero/ from 0.
    """
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "clip.mp4", moving_frames(6, *SIZE, step=2))
    write_video(folder / "clip1.mp4", moving_frames(12, 60, 80, step=2))
    for name, first in (("one", 1), ("zero", 0)):
        (folder / name).mkdir()
        for number in range(first, first + 6):
            cv2.imwrite(str(folder / name / f"{number:05d}.jpg"), np.zeros((*SIZE, 3)))
    return folder


def make(folder, rows, pngs):
    """Write a list and PNGs {path: numbers or bytes}."""
    for name, content in {"objects.csv": rows.encode(), **pngs}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(
            content if isinstance(content, bytes) else png(content)
        )
    return folder


def content(source, vid="clip", size=SIZE):
    """{frame: [(pair, track, mask as bytes), ...]} of a source."""
    found = {}
    for number in source.annotated_frames(vid):
        read = source.read_annotation(vid, number, size)
        names = map(source.label_space.name, read.codes)
        tracks = [] if read.tracks is None else read.tracks.tolist()
        found[number] = list(zip(names, tracks, map(np.ndarray.tobytes, read.masks)))
    return found


@pytest.mark.parametrize("form", ["P", "L", "I;16"])
def test_masks_of_every_kind(tmp_path, videos, form):
    """No PNG: not annotated; a PNG of zeros: empty frame; 255 is not in the list."""
    ignored = np.where(mask(*SIZE, 21, 0, 24, 32), 255, BOTH).astype(np.uint8)
    pngs = {
        "clip/00002.png": png(ignored, form),
        "clip/4.png": 0 * BOTH,
        "sheet.png": b"",
    }
    source = open_source(
        make(tmp_path / "set", f"{ROWS}clip,3,dog,sit\n", pngs), videos
    )
    scene = [("cat-sit", 1, CAT.tobytes()), ("dog-run", 2, DOG.tobytes())]
    assert content(source) == {3: scene, 5: []}
    (document,) = source.documents
    assert document.format == "masks"
    assert document.left_out == {"masks without a row in objects.csv": 1}
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "set")
    assert content(
        open_source(tmp_path / packed, videos, options=ReadOptions(format_name="masks"))
    ) == content(source)


def test_scaled_masks_keep_their_smallest_parts(tmp_path, videos):
    speck = np.zeros((96, 129), np.uint8)  # almost of the video's shape
    speck[41, 6] = 3
    large = cv2.resize(BOTH, (129, 97), interpolation=cv2.INTER_NEAREST_EXACT)
    rows = ROWS + "clip,3,cat,sit\n"
    source = open_source(
        make(tmp_path, rows, {"clip/0.png": large, "clip/1.png": speck}), videos
    )
    assert (source.read_annotation("clip", 1).masks == [CAT, DOG]).all()
    assert source.read_annotation("clip", 2, SIZE).boxes.tolist() == [[10, 1, 11, 2]]


@pytest.mark.parametrize(
    "vid, names, frames, first_frame",
    [
        ("clip", ["00000", "00005"], [1, 6], None),
        ("clip", ["00001", "6"], [1, 6], 1),
        ("one", ["00001", "00006"], [1, 6], None),
        ("one", ["00000", "00005"], [1, 6], None),
        ("zero", ["00001", "frame_00005"], [2, 6], None),
    ],
)
def test_frames_count_from_0_or_are_images(
    tmp_path, videos, vid, names, frames, first_frame
):
    pngs = {f"{vid}/{name}.png": BOTH for name in names}
    folder = make(tmp_path, ROWS.replace("clip", vid), pngs)
    assert (
        list(
            content(
                open_source(
                    folder, videos, options=ReadOptions(first_frame=first_frame)
                ),
                vid,
            )
        )
        == frames
    )


def test_rows_of_an_object_follow_each_other(tmp_path, videos):
    head = f"\ufeff{HEADER.title()},First,Last\n"
    rows = f"{head}clip,1,cat,sit,,1\n,,,,,\nclip,1,cat,run,00002,3\n"
    source = open_source(
        make(tmp_path, rows, {f"clip/{n}.png": BOTH for n in range(5)}), videos
    )
    pairs = [[pair for pair, *_ in found] for found in content(source).values()]
    assert pairs == [["cat-sit"]] * 2 + [["cat-run"]] * 2 + [[]]


WHOLE = {"clip/00000.png": BOTH}
BROKEN = [
    (ROWS.replace(",action", ""), WHOLE, "objects.csv: line 1: missing column action"),
    (
        ROWS + "clip,1,cat,run\n",
        WHOLE,
        "objects.csv: line 4: object 1 is also in line 2",
    ),
    (
        f'{HEADER}\nclip,1,cat,"{"sit " * 40000}\n',
        WHOLE,
        "objects.csv: line 1: field larger than field limit (131072); save it again",
    ),
    (
        f"{HEADER},first,last\nclip,1,cat,sit,a\n",
        WHOLE,
        "objects.csv: line 2.first: 'a'",
    ),
    (
        f"{HEADER},first,last\nclip,1,cat,sit,4,2\n",
        WHOLE,
        "objects.csv: line 2.last: 2 is before",
    ),
    (ROWS.replace("2,dog", "0,dog"), WHOLE, "objects.csv: line 3.object: '0'"),
    (
        ROWS.replace("run", ""),
        WHOLE,
        "objects.csv: line 3 (clip, frame 0): no actor and action",
    ),
    (
        ROWS.replace("2,dog", "3,dog"),
        WHOLE,
        "'clip' contain objects [2], but the rows list [3]",
    ),
    (
        ROWS,
        {**WHOLE, "tram/0.png": BOTH},
        "'tram' contain objects [1, 2], but the rows list []",
    ),
    (
        ROWS,
        {"clip/0.png": np.uint8(255 * CAT)},
        "contain objects [255], but the rows list [1, 2]",
    ),
    (ROWS, {"clip/a.png": BOTH}, "left out: 1 PNGs whose names do not end in a number"),
    (ROWS, {}, "objects.csv: video: no PNG folder for 'clip' next to this file"),
    (ROWS + "tram,1,cat,sit\n", WHOLE, "objects.csv: video: no PNG folder for 'tram'"),
    (ROWS, {"clip/0.png": png(BOTH, "RGB")}, "clip/0.png: is an RGB image"),
    (ROWS, {"clip/0.png": png(BOTH)[:-20]}, "clip/0.png: not an image, truncated"),
    (
        ROWS,
        {"clip/0.png": BOTH[:, :24]},
        "objects.csv: clip/0.png: 'width' and 'height' say 24x24",
    ),
]


@pytest.mark.parametrize(
    "rows, pngs, named", BROKEN, ids=[named for *_, named in BROKEN]
)
def test_broken_sets_have_one_clear_error(tmp_path, videos, rows, pngs, named):
    with pytest.raises(InputError) as caught:
        content(open_source(make(tmp_path, rows, pngs), videos))
    assert named in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("offset", [0, 300])  # of tracks: in 8 bits and in 16
def test_predictions_come_back_as_the_same_instances(tmp_path, videos, offset):
    """Where masks overlap, the one of the higher score has the pixels."""
    scene = ragged()
    tracks = []
    for track in scene.tracks:
        shapes = (dataclasses.replace(s, score=1 / track.id) for s in track.shapes)
        tracks.append(
            dataclasses.replace(track, id=track.id + offset, shapes=tuple(shapes))
        )
    scene = dataclasses.replace(scene, tracks=tuple(tracks))
    tool_exports.save(scene, str(tmp_path / "set.zip"), "masks")
    found = content(open_source(tmp_path / "set.zip", videos), "clip1", scene.size)
    assert list(found) == list(scene.frames)
    for number, drawn in scene.by_frame().items():
        expected, free = [], np.ones(scene.size, bool)
        for track, shape in drawn:
            seen = shape.decoded() & free
            free &= ~seen
            expected.append((f"{track.actor}-{shape.action}", track.id, seen.tobytes()))
        assert found[number] == expected


def test_masks_of_images_have_their_names(tmp_path):
    write(
        tmp_path / "out",
        FILM,
        name="one",
        images=tuple(f"{n:04d}.png" for n in range(1, 7)),
    )
    video = read_tracked_video(tmp_path / "out")
    assert [shape.score for shape in video.tracks[0].shapes] == [
        0.5,
        0.75,
        0.9,
        0.7,
        0.4,
    ]
    tool_exports.save(video, str(tmp_path / "set"), "masks")
    assert {path.stem for path in tmp_path.glob("set/one/*.png")} == {
        f"{n:04d}" for n in range(1, 7)
    }
    rows = (tmp_path / "set" / "objects.csv").read_text().splitlines()[1:]
    first = [
        "one,1,adult,running,,2",
        "one,1,adult,walking,3,5",
        "one,1,adult,running,6,",
    ]
    assert rows == [*first, "one,2,ball,flying,,"]
    with pytest.raises(InputError, match="--format=masks"):
        tool_exports.save(
            dataclasses.replace(video, boxes_only=True), str(tmp_path / "a"), "masks"
        )
    assert not (tmp_path / "a").exists()


def test_a_mistyped_action_is_doubted_unless_the_label_space_is_given(tmp_path, videos):
    rows = f"{HEADER}\nclip,1,cat,running\nclip,2,dog,running\nzero,1,cat,runing\n"
    pngs = {f"clip/0000{n}.png": BOTH for n in (1, 2)} | {
        "zero/00003.png": np.uint8(CAT)
    }
    source = open_source(make(tmp_path, rows, pngs), videos)
    (note,) = source.doubts
    assert note.startswith(f"{tmp_path}/") and note.endswith(
        "action 'runing' (instances: 1, first in frame 4 of 'zero'): did you mean"
        " 'running'?"
    )
    known = open_source(tmp_path, videos, label_space=source.label_space)
    assert known.doubts == ()
