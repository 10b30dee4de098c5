"""Which frames of predictions are to be corrected next: the ranking, and the files."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from processes import complaint, run_a2d, succeeded
from test_outputs import BOX, OTHER, frame, reader, write

from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.formats import read_export
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data.record_folder import asked_frames
from a2d_tf.data.record_folder.read_records import read_records
from a2d_tf.video.choice import chosen_frames
from a2d_tf.video.outputs import output_folder

WALKS = {n: [(1, 17 if n < 20 else 18, 0.9, BOX)] for n in range(1, 31)}
LOST = {n: [(1, 77, 0.9, BOX)] if n < 11 else [] for n in range(1, 16)}
LEAVES = {n: [(1, 77, 0.9, [4, 0, 24, 30])] if n < 11 else [] for n in range(1, 16)}
MARGINS = {5: 0.06, 28: 0.15, 29: 0.3}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Write predictions of a.mp4, b and c.

    In a.mp4, labels are close in two frames, and change once.
    """
    folder = tmp_path_factory.mktemp("library")
    for name, film in (("a", WALKS), ("b", LOST), ("c", LEAVES)):
        write(
            folder / name, film, name=f"{name}.mp4", length=len(film), count=len(film)
        )
    path = folder / "a" / "detections.json"
    rows = json.loads(path.read_text())
    for row in rows:
        row.update(margin=MARGINS.get(row["image_id"], 1.0), runner_up=12)
    path.write_text(json.dumps(rows))
    return folder


def find_candidates(folder, **records):
    return chosen_frames.find_candidates(folder, chosen_frames.RecordsInfo(**records))


def candidates_of(library, *names, **records):
    candidates = []
    for name in names:
        candidates += find_candidates(library / name, **records)
    return candidates


def test_frames_are_ranked_by_their_reasons_and_spread_over_videos_and_time(library):
    candidates = candidates_of(library, "a", "b", "c")
    chosen = [
        (x.video, x.frame, round(x.score, 6), x.reasons)
        for x in chosen_frames.choose(candidates, 9)
    ]
    assert chosen == [
        ("a", 20, 1.0, ("#1 adult-running becomes adult-walking",)),
        ("b", 11, 1.0, ("#1 dog-running is lost away from the image edge",)),
        (
            "a",
            5,
            0.8,
            ("#1 adult-running or adult-crawling? (margin 0.06)",),
        ),
        (
            "a",
            28,
            0.5,
            ("#1 adult-walking or adult-crawling? (margin 0.15)",),
        ),
    ]
    assert [x.seconds for x in candidates] == pytest.approx([0.4, 1.9, 2.7, 1.0])
    near = [x._replace(frame=n, seconds=n / 10) for n, x in zip((1, 2, 50), candidates)]
    assert [x.frame for x in chosen_frames.choose([near[1], near[0], near[2]], 2)] == [
        2,
        50,
    ]
    assert len(chosen_frames.choose(candidates, 2)) == 2


def test_rare_pairs_and_tracks_that_overlap_count(library, tmp_path):
    counts = {"adult-running": 3, "adult-walking": 15}
    rare = candidates_of(library, "a", counts=counts)
    assert [x.frame for x in rare] == [*range(1, 21), 28]
    seen = (rare[0].score, rare[0].reasons)
    assert seen == (
        pytest.approx(0.8),
        ("#1 adult-running, over its track, has few annotated examples (3)",),
    )
    film = {1: [(1, 77, 0.9, BOX), (2, 67, 0.8, [4, 24, 24, 56]), (3, 17, 0.9, OTHER)]}
    write(tmp_path, film)
    (crossing,) = find_candidates(tmp_path)
    assert crossing.score == pytest.approx(1 / 3)
    assert crossing.reasons == ("#1 dog-running and #2 cat-running overlap",)


def test_a_new_video_is_looked_at_however_sure_its_labels_are(tmp_path):
    write(tmp_path, {n: [(1, 77, 0.9, BOX)] for n in range(1, 21)}, fps=10)
    assert find_candidates(tmp_path) == []
    sure = find_candidates(tmp_path, counts={"dog-running": 99})
    assert len(sure) == 20
    assert sure[0].score == 0.1
    assert sure[0].reasons == ("no frame of this video is annotated",)
    annotated = {sure[0].video: [1]}
    counts = {"dog-running": 99}
    assert find_candidates(tmp_path, counts=counts, annotated_frames=annotated) == []
    # Further frames are half a second from chosen ones.
    chosen = [x.frame for x in chosen_frames.choose(sure, 40)]
    assert chosen[0] == 1 and len(chosen) == 4
    gaps = np.diff(sorted(chosen))
    assert min(gaps) >= 5


def test_frames_beside_annotated_ones_and_of_videos_held_out_are_left_out(
    library, tmp_path
):
    counts = {"adult-running": 3, "adult-walking": 15}
    # at 10 fps
    far = candidates_of(
        library, "a", counts=counts, annotated_frames={"a": [1, 12], "b": [20]}
    )
    assert [x.frame for x in far] == [6, 7, *range(17, 21), 28]
    write(tmp_path, WALKS, fps=4, name="a.mp4", length=30, count=30)
    slow = find_candidates(tmp_path, counts=counts, annotated_frames={"a": [1, 12]})
    assert [x.frame for x in slow] == [*range(3, 11), *range(14, 21)]
    assert candidates_of(library, "a", "b", held_out={"a"}) == candidates_of(
        library, "b"
    )


def test_times_are_those_of_the_film(tmp_path):
    """Frame n begins at second (n / 10) ** 2."""
    with output_folder.open_outputs(str(tmp_path), reader(name="a.mp4")) as files:
        for n, instances in WALKS.items():
            begin, end = (n / 10) ** 2, ((n + 1) / 10) ** 2
            files.add(
                dataclasses.replace(frame(n, *instances), seconds=begin, until=end), A2D
            )
    (changed,) = find_candidates(tmp_path)
    assert (changed.frame, changed.seconds) == (20, 4.0)
    # These begin at 3.24 s and 3.61 s.
    assert find_candidates(tmp_path, annotated_frames={"a": [18]}) == [changed]
    assert find_candidates(tmp_path, annotated_frames={"a": [19]}) == []
    described = json.loads((tmp_path / "video.json").read_text())
    (tmp_path / "video.json").write_text(json.dumps({**described, "times": [0.0]}))
    with pytest.raises(
        InputError, match="video.json: times: 1, but .* 30 label maps; predict"
    ):
        find_candidates(tmp_path)


@pytest.mark.parametrize("missed, lost", [(2, []), (3, [11])])
def test_a_track_is_lost_that_several_frames_miss(tmp_path, missed, lost):
    seen = [(1, 77, 0.9, BOX)]
    write(tmp_path, {n: [] if 10 < n <= 10 + missed else seen for n in range(1, 20)})
    assert [one.frame for one in find_candidates(tmp_path)] == lost


@pytest.mark.parametrize("form", ["cvat", "coco", "masks"])
def test_the_command_writes_a_table_sheets_and_annotations_that_are_read_back(
    library, tmp_path, form
):
    words = f"--prediction={library}", "--output=next", f"--format={form}", "--count=3"
    done = succeeded(run_a2d("next", *words, cwd=tmp_path))
    assert done == (
        f"next: 3 frames of 2 videos ({form}); a round trains on what is asked for with"
        " --records of the one before\n"
    )
    rows = list(csv.DictReader((tmp_path / "next" / "frames.csv").open()))
    ranked = [(r["rank"], r["video"], r["frame"]) for r in rows]
    assert ranked == [("1", "a", "20"), ("2", "b", "11"), ("3", "a", "5")]
    assert (tmp_path / "next" / "sheet_1.png").stat().st_size > 10_000
    (document,) = read_export(
        tmp_path / "next" / "annotations" / "a.zip", ReadOptions()
    )
    assert [(f.number, len(f.instances)) for f in document.frames] == [(5, 1), (20, 1)]


def test_the_command_leaves_what_the_records_hold_out(mini_records, tmp_path):
    trained, tested = (min(mini_records.videos(split)) for split in ("train", "test"))
    film = {n: [(1, 77 if n % 2 else 78, 0.9, BOX)] for n in range(1, 61)}
    for name in (trained, tested):
        write(tmp_path / "out" / name, film, name=f"{name}.mp4", length=60, count=60)
    shutil.copytree(mini_records.directory, tmp_path / "records")
    words = "--records=records", "--count=99", "--output=next"
    succeeded(run_a2d("next", "--prediction=out", *words, cwd=tmp_path))
    rows = list(csv.DictReader((tmp_path / "next" / "frames.csv").open()))
    truths = [truth for *_, truth in read_records(mini_records, ["train"])]
    annotated = [truth.frame for truth in truths if truth.video == trained]
    far = [n for n in range(1, 61) if min(abs(n - k) for k in annotated) >= 5]
    assert {r["video"] for r in rows} == {trained}
    chosen = sorted(int(r["frame"]) for r in rows)
    assert set(chosen) <= set(far)
    assert all(later - n >= 5 for n, later in zip(chosen, chosen[1:]))
    assert all(min(abs(n - k) for k in chosen) < 5 for n in far)
    assert 0 < len(far) < 60


def test_with_nothing_to_choose_the_least_near_frames_are_taken(mini_records, tmp_path):
    """Every frame is near an annotated one: it is said, and asked for all the same."""
    records = tmp_path / "records"
    shutil.copytree(mini_records.directory, records)
    trained, tested = (min(mini_records.videos(split)) for split in ("train", "test"))
    truths = [truth for *_, truth in read_records(mini_records, ["train"])]
    annotated = sorted({truth.frame for truth in truths if truth.video == trained})
    length = annotated[-1] + 3
    for name in (trained, tested):
        film = {n: [(1, 77, 0.9, BOX)] for n in range(1, length + 1)}
        write(
            tmp_path / "out" / name,
            film,
            fps=1000,
            name=f"{name}.mp4",
            length=length,
            count=length,
        )
    words = "--prediction=out", f"--records={records}", "--count=1"
    done = succeeded(run_a2d("next", *words, "--output=next", cwd=tmp_path))
    assert done.splitlines() == [
        "no frame of 1 videos (1 others are tested or annotated whole) has a reason to"
        " be corrected and is 0.5 s or more from annotated ones: those that are least"
        " near to these are chosen; frames of further videos teach more",
        "next: 1 frames of 1 videos (cvat); corrected, they train after"
        f" {records}, as by a2d start --after",
    ]
    distances = {}
    for n in range(1, length + 1):
        distances[n] = min(abs(n - key) for key in annotated)
    (row,) = csv.DictReader((tmp_path / "next" / "frames.csv").open())
    assert distances[int(row["frame"])] == max(distances.values())
    assert row["reasons"].endswith(" s from the nearest annotated frame")
    assert asked_frames.read(records) == {trained: [int(row["frame"])]}
    shutil.rmtree(tmp_path / "out" / trained)
    message = complaint(run_a2d("next", *words, "--output=more", cwd=tmp_path))
    assert "no frame to choose, as all videos are tested or annotated" in message


def test_frames_that_are_asked_for_are_kept_beside_the_records(tmp_path):
    assert asked_frames.read(tmp_path) == {}
    asked_frames.add(tmp_path, {"a": [5, 2]})
    asked_frames.add(tmp_path, {"a": [3, 5], "b": [1]})
    assert asked_frames.read(tmp_path) == {"a": [2, 3, 5], "b": [1]}
    (tmp_path / asked_frames.FILE).write_text('{"a": [0]}')
    with pytest.raises(InputError, match="asked_frames.json.*a2d next"):
        asked_frames.read(tmp_path)


def test_what_cannot_be_done_is_said_and_nothing_is_written(library, tmp_path):
    def fails(*words):
        return complaint(run_a2d("next", "--output=next", *words, cwd=tmp_path))

    assert "none: neither" in fails("--prediction=none")
    assert "--count" in fails(f"--prediction={library}", "--count=0")
    write(tmp_path / "out", LOST)
    (tmp_path / "out" / "overlay.mp4").rename(tmp_path / "gone.mp4")
    assert "out: no overlay.*; it holds label_maps; predict again" in fails(
        "--prediction=out"
    )
    (tmp_path / "out" / "overlay.mp4").write_bytes(b"")
    assert "out/overlay.mp4" in fails("--prediction=out")
    for name in "ab":
        write(tmp_path / "twice" / name, LOST)
    assert "twice/b: another prediction" in fails("--prediction=twice")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gone.mp4", "out", "twice"]
