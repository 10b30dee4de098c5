"""The check of a source: its table, its problems and notes, and its command line."""

import json
import re
import shutil

import numpy as np
import pytest
from a2d_files import (
    add_rows,
    encode_video,
    mask,
    moving_frames,
    row,
    write_h5,
    write_images,
    write_video,
)
from processes import run_a2d

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.readers.exports import Export
from a2d_tf.core.errors import InputError
from a2d_tf.data.conversion import convert
from a2d_tf.data.decoding import decoder
from a2d_tf.data.sources.release import Release
from a2d_tf.data.sources.source_check import check

SIZE = (64, 96)


def test_every_problem_is_found(small_copy):
    """Also what the converter would not come to, such as the end of a video."""
    write_video(small_copy / "clips320H/-b.mp4", moving_frames(7, *SIZE, step=4))
    (small_copy / "Annotations/mat/-b/00001.mat").write_text("two\nlines")
    (small_copy / "Annotations/mat/--a/00003.mat").unlink()
    (small_copy / "clips320H/c.mp4").unlink()
    images = write_images(
        small_copy / "pngs320H/c", moving_frames(6, *SIZE, step=4, seed=2)
    )
    (images / "00005.png").write_bytes(b"")
    rows = ("d", *SIZE, 6, 1, 1), ("e", *SIZE, 6, 2, 1)
    add_rows(small_copy, *(row(*cells) for cells in rows))
    write_video(small_copy / "clips320H/e.mp4", moving_frames(6, *SIZE, step=2))
    shutil.copytree(small_copy / "Annotations/mat/c", small_copy / "Annotations/mat/e")

    reports = [check(Release(small_copy), workers=n) for n in (1, 2)]
    assert reports[0] == reports[1]
    expected = (
        ("clips320H/-b.mp4: 7 frames decode", "not 8 as listed in videoset.csv"),
        ("Annotations/mat/-b/00001.mat: ", "HDF5"),
        ("Annotations/mat/--a: annotates 0 frames", "not 1 as listed in videoset.csv"),
        ("pngs320H/c/00005.png: not an image, truncated, or larger than", "restore"),
        ("clips320H: no d.*; it holds --a.mp4, -b.mp4, e.mp4; ", "restore"),
        ("Annotations/mat/d: annotates 0 frames", "not 1 as listed in videoset.csv"),
        ("Annotations/mat/e: annotates 1 frames", "not 2 as listed in videoset.csv"),
    )
    report, problems = reports[0]
    assert len(problems) == len(expected)
    for problem, (start, words) in zip(problems, expected):
        assert problem.startswith(f"{small_copy}/{start}") and words in problem
        assert "\n" not in problem
    lines = report.splitlines()
    assert [int(line.split()[-1]) for line in lines[2:8]] == [0, 0, 0, 23, 3, 3]
    assert lines[-1] == "problems: 7, notes: 2"


def test_a_damaged_video_is_a_problem_and_skipped_or_ends_the_records(
    small_copy, tmp_path
):
    path = small_copy / "clips320H/c.mp4"
    encode_video(path, moving_frames(6, *SIZE, step=4), "libx264", crf="5")
    data = bytearray(path.read_bytes())
    for place in range(data.index(b"mdat") + 2000, len(data) - 1200, 40):
        data[place] ^= 8
    path.write_bytes(data)
    with decoder.Decoder(path, "") as video:
        first, *others = (i for i, x in enumerate(video.frames(), 1) if x.is_damaged)
    problem = (
        f"{path}: frame {first} is damaged, and {len(others)} frames after it;"
        " restore it"
    )
    source, settings = Release(small_copy), convert.ConversionSettings()
    _, (said,) = check(source, workers=1)
    assert said.startswith(problem)
    with pytest.raises(InputError, match=f"^{re.escape(problem)}"):
        convert.convert(source, tmp_path / "none", settings, 1)
    manifest, _ = convert.convert(
        source, tmp_path / "out", settings, 1, on_error="skip"
    )
    (skipped,) = manifest.skipped
    assert skipped["item"] == "clips320H/c.mp4" and skipped["reason"].startswith(
        problem
    )


def test_what_was_mended_and_what_does_no_harm_are_notes(small_copy):
    write_video(small_copy / "clips320H/c.mp4", moving_frames(7, *SIZE, step=4))
    shutil.rmtree(small_copy / "Annotations/mat/c")
    inside = mask(*SIZE, 8, 16, 40, 48)
    path = small_copy / "a2d_annotation_with_instances/c/00004.h5"
    write_h5(
        path,
        np.where(inside, 34, 0),
        [inside] * 2,
        [34],
        [[17, 9, 48, 40]],
        instances=[0],
    )
    report, problems = check(Release(small_copy), workers=1)
    longer, repaired, total = report.splitlines()[-3:]
    start = (
        f"note: {small_copy}/clips320H/c.mp4: 7 frames decode, not 6 as listed in"
        " videoset.csv"
    )
    assert longer == f"{start}; the extra frames are ignored"
    surplus = "'reMask' has 2 instances, but 'instance' has 1: the surplus is dropped"
    assert repaired == f"note: {path}: {surplus}"
    assert problems == [] and total == "problems: 0, notes: 4"


def test_the_command_line(small_copy, tmp_path):
    words = ["--release", small_copy, "--check", "--workers=1"]
    (small_copy / "clips320H/c.mp4").write_bytes(b"none")
    done = run_a2d("records", *words)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"problem: {small_copy}/clips320H/c.mp4: cannot be decoded" in done.stdout
    assert done.stdout.endswith("problems: 1, notes: 2\n")
    chosen = tmp_path / "have.txt"
    chosen.write_text("-b\n--a\n")
    done = run_a2d("records", *words, f"--videos={chosen}")
    assert done.returncode == 0 and done.stdout.endswith("problems: 0, notes: 2\n")
    assert {path.name for path in tmp_path.iterdir()} == {"Release", "have.txt"}


def test_the_pairs_by_split_and_what_they_lack(tmp_path):
    """Two mice on a frame, one that is mistyped, and a wheel in one video alone."""
    frames = {
        "a": [["mouse-run", "mouse-run"], ["mouse-run"]],
        "b": [["mouse-run", "wheel-turn"]],
    }
    frames["c"] = [["mouse-run"], [], ["mouse-runn"]]
    images, annotations = [], []
    for vid, found in frames.items():
        write_video(tmp_path / f"videos/{vid}.mp4", moving_frames(4, *SIZE, step=4))
        for number, labels in enumerate(found, 1):
            sizes = {
                "height": SIZE[0],
                "width": SIZE[1],
                "split": "train" if vid < "c" else "test",
            }
            images.append(
                {"id": len(images), "file_name": f"{vid}/{number}.png", **sizes}
            )
            for actor, action in (label.split("-") for label in labels):
                where = {"image_id": len(images) - 1, "bbox": [8, 8, 20, 20]}
                annotations.append({**where, "actor": actor, "action": action})
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    report, problems = check(
        AnnotatedVideos.read([Export(path)], tmp_path / "videos"), workers=1
    )
    assert problems == [] and report.splitlines()[8:] == [
        "",
        "            train                      test",
        "pair        videos  frames  instances  videos  frames  instances",
        "mouse-run        2       3          4       1       1          1",
        "mouse-runn       0       0          0       1       1          1",
        "wheel-turn       1       1          1       0       0          0",
        "",
        "note: pairs without a test video: wheel-turn",
        "note: pairs with one training video or none: mouse-runn, wheel-turn",
        (
            f"note: {path}: annotations[6]: action 'runn' (instances: 1, first in frame"
            " 3 of 'c'): did you mean 'run'?"
        ),
        "problems: 0, notes: 3",
    ]
