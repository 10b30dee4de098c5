"""What a copy of A2D has: packed or not, whole or partial, cut off, spread over two archives."""

import io
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from a2d_files import real, row, write_release

from a2d_tf.core.errors import InputError
from a2d_tf.data import archive
from a2d_tf.data.release import Release

ROOT = pathlib.Path(__file__).resolve().parents[1]
KINDS = ["folder", "tar", "tar.bz", "tar.gz", "tar.xz", "zip"]


def pack(folder, kind):
    """An archive beside a folder, which holds it under its name; the folder itself for 'folder'."""
    path = folder.parent / f"A2D_main_1_0.{kind}"
    if kind == "folder":
        return folder
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for item in sorted(folder.rglob("*")):
                file.write(item, item.relative_to(folder.parent))
        return path
    mode = {"tar": "w", "tar.bz": "w:bz2", "tar.gz": "w:gz", "tar.xz": "w:xz"}[kind]
    with tarfile.open(path, mode) as file:
        for item in sorted(folder.rglob("*")):
            file.add(item, item.relative_to(folder.parent), recursive=False)
    return path


@pytest.fixture
def release(small_copy):
    return small_copy


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_copy(release, kind, tmp_path):
    path = pack(release, kind)
    before = sorted(tmp_path.rglob("*"))
    found = archive.check([path])
    assert found.complete and found.whole == ("-b", "--a", "c")
    assert found.counts == {
        "videos": {"listed": 3, "found": 3, "whole": 3},
        "train": {"listed": 2, "found": 2, "whole": 2},
        "test": {"listed": 1, "found": 1, "whole": 1},
        "annotated frames": {"listed": 4, "found": 4, "whole": 4},
        "annotated, train": {"listed": 3, "found": 3, "whole": 3},
        "annotated, test": {"listed": 1, "found": 1, "whole": 1},
    }
    lines = found.text().splitlines()
    assert lines[0] == f"{path}, against Release/videoset.csv"
    assert lines[2].split() == ["listed", "found", "whole"]
    assert lines[-1] == "complete: 3 of 3 videos are whole"
    assert sorted(tmp_path.rglob("*")) == before  # nothing is unpacked


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_and_what_is_broken(release, kind):
    (release / "clips320H/-b.mp4").unlink()
    (release / "Annotations/mat/-b/00008.mat").unlink()
    mat = release / "Annotations/mat/--a/00003.mat"
    mat.write_bytes(mat.read_bytes()[:-50])
    (release / "clips320H/c.mp4").write_bytes(b"")
    shutil.rmtree(release / "Annotations/mat/c")
    (release / "clips320H/stranger.mp4").write_bytes(b"")
    (release / "clips320H/._c.mp4").write_bytes(b"of macOS")
    found = archive.check([pack(release, kind)])
    assert not found.complete and found.whole == () and found.cut == ()
    assert found.no_video == ("-b",)
    size = len(mat.read_bytes())
    assert found.damaged == {
        "Annotations/mat/--a/00003": f"is cut off after {size} of {size + 50} bytes",
        "clips320H/c": "is empty",
    }
    assert found.annotations == {"-b": "1 of 2 files", "c": "0 of 1 files"}
    assert found.unlisted == ("stranger",)
    assert found.counts["videos"] == {"listed": 3, "found": 2, "whole": 0}
    assert found.counts["annotated frames"] == {"listed": 4, "found": 2, "whole": 1}
    lines = found.text().splitlines()[-7:]
    assert lines == [
        "no video: -b",
        f"damaged: Annotations/mat/--a/00003 is cut off after {size} of {size + 50} bytes",
        "damaged: clips320H/c is empty",
        "annotations: -b: 1 of 2 files",
        "annotations: c: 0 of 1 files",
        "not in the list: stranger",
        "incomplete: 0 of 3 videos are whole",
    ]


@pytest.mark.parametrize("kind", ["tar", "tar.bz", "tar.xz"])
def test_a_download_that_was_cut_off(release, kind):
    """What came before the cut is listed, the file that it goes through is not whole."""
    (release / "Annotations/mat/0.bin").write_bytes(np.random.default_rng(0).bytes(2_000_000))
    path = pack(release, kind)
    data = path.read_bytes()
    for part in (0.6, 0.99):
        path.write_bytes(data[: int(len(data) * part)])
        found = archive.check([path], release / "videoset.csv")
        assert not found.complete and len(found.cut) == 1, part
        assert found.cut[0].startswith(f"{path}: cut off or damaged after Release/")
    path.write_bytes(data)
    assert archive.check([path]).complete


def test_a_tar_cut_between_two_files(release):
    """tarfile itself takes that for its end."""
    path = pack(release, "tar")
    with tarfile.open(path) as file:
        offset = file.getmember("Release/clips320H/c.mp4").offset
    path.write_bytes(path.read_bytes()[:offset])
    found = archive.check([path], release / "videoset.csv")
    assert len(found.cut) == 1 and found.no_video == ("c",) and found.damaged == {}


@pytest.mark.parametrize("kind", ["tar", "tar.bz", "tar.gz", "tar.xz"])
def test_without_its_end_mark_an_archive_is_cut_off_but_its_files_are_whole(release, kind):
    path = pack(release, kind)
    data = path.read_bytes()
    with tarfile.open(path) as file:
        *_, last = (member for member in file if member.isfile())
    if kind == "tar":
        path.write_bytes(data[: last.offset_data + -(-last.size // 512) * 512])
    else:
        path.write_bytes(data[:-4])  # of the checksum
    found = archive.check([path])
    assert found.cut == (f"{path}: cut off or damaged after {last.name}; get it again",)
    assert found.damaged == {} and len(found.whole) == 3 and not found.complete


def test_the_file_that_a_cut_goes_through_is_not_whole(release):
    path = pack(release, "tar")
    with tarfile.open(path) as file:
        member = file.getmember("Release/clips320H/c.mp4")
    path.write_bytes(path.read_bytes()[: member.offset_data + member.size - 1])
    found = archive.check([path], release / "videoset.csv")
    assert found.damaged == {"clips320H/c": "is cut off with its archive"}


def test_a_zip_whose_list_of_contents_is_cut_off_or_damaged(release):
    path = pack(release, "zip")
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(InputError, match="A2D_main_1_0.zip: cut off: a zip archive lists its"):
        archive.check([path])
    place = data.index(b"PK\1\2")
    # Another signature than a list's, and a version that no reader knows.
    for offset, wrong in ((place, b"PK\0\0"), (place + 6, b"\xff")):
        path.write_bytes(data[:offset] + wrong + data[offset + len(wrong) :])
        with pytest.raises(InputError, match=r"A2D_main_1_0.zip: cut off or damaged \(.*get it ag"):
            archive.check([path])


def test_a_damaged_file_in_a_zip(release):
    path = pack(release, "zip")
    with zipfile.ZipFile(path) as file:
        offset = file.getinfo("Release/clips320H/c.mp4").header_offset
    data = bytearray(path.read_bytes())
    data[offset : offset + 4] = b"\0\0\0\0"
    path.write_bytes(data)
    assert archive.check([path]).damaged["clips320H/c"].startswith("cannot be read (")


def test_two_archives_are_one_copy(release, tmp_path):
    """Videos and list from the one, annotations from the other."""
    instances = tmp_path / "a2d_annotation_with_instances"
    shutil.move(release / "Annotations/mat", instances)
    main = pack(release, "tar.bz")
    assert archive.check([main]).counts["annotated frames"]["found"] == 0
    other = tmp_path / "instances.zip"
    pack(instances, "zip").rename(other)
    assert archive.check([main, other]).complete
    assert archive.check([main, instances]).complete


def test_frames_as_images(release):
    (release / "clips320H/c.mp4").unlink()
    folder = release / "pngs320H/c"
    folder.mkdir(parents=True)
    for number in range(1, 7):
        (folder / f"{number:05d}.png").write_bytes(b"x")
    assert archive.check([release]).complete
    (folder / "00006.png").unlink()
    (folder / "00002.png").write_bytes(b"")
    assert archive.check([release]).damaged == {
        "Release/pngs320H/c/00002.png": "is empty",
        "pngs320H/c": "has 5 of 6 frames",
    }


def copy_of(tmp_path, rows, files):
    """A release of empty files."""
    root = write_release(tmp_path / "Release", rows)
    for name in files:
        path = root / "Annotations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


@pytest.mark.parametrize(
    "annotated, files, lack",
    [
        # Annotated are the frames k * (frames // 6), here of 20.
        (3, [], "0 of 3 files, without 00020, 00040, 00060"),
        (3, ["mat/{}/00040.mat"], "1 of 3 files, without 00020, 00060"),
        (5, ["mat/{}/00040.mat"], "1 of 5 files, without 00020, 00060, 00080, 00100"),
        (3, ["mat/{}/00041.mat"], "1 of 3 files"),  # not by that rule
        (2, ["mat/{}/00040.mat"], "1 of 2 files"),  # which two, no rule tells
        (
            2,
            ["mat/{}/00040.mat", "col/{}/00040.png", "col/{}/00020.png"],
            "1 of 2 files, without 00020",
        ),
        (
            3,
            ["mat/{}/00040.mat", "col/{}/00011.png", "col/{}/00012.png", "col/{}/00040.png"],
            "1 of 3 files, without 00011, 00012",
        ),
        (3, ["mat/{}/00020.mat", "mat/{}/00040.mat", "mat/{}/00060.mat"], None),
    ],
)
def test_missing_annotations_are_named_where_that_can_be_known(tmp_path, annotated, files, lack):
    rows = [row("v", 320, 568, 125, annotated, 0)]
    root = copy_of(tmp_path, rows, [name.format("v") for name in files])
    assert archive.check([root]).annotations.get("v") == lack


def test_the_two_videos_that_follow_no_rule(tmp_path):
    rows = [row(vid, 320, 568, 125, 3, 0) for vid in ("5kMTHwjy6Z8", "KVOXdI4vSDE")]
    assert archive.check([copy_of(tmp_path, rows, [])]).annotations == {
        "5kMTHwjy6Z8": "0 of 3 files, without 00060, 00070, 00080",
        "KVOXdI4vSDE": "0 of 3 files, without 00001, 00005, 00010",
    }


def test_against_another_list(release, tmp_path):
    wanted = tmp_path / "wanted.csv"
    wanted.write_text((release / "videoset.csv").read_text() + "d" + ",34,a,b,64,96,6,1,1\n")
    found = archive.check([release], wanted)
    assert found.no_video == ("d",) and found.title.endswith(f"against {wanted}")
    (release / "videoset.csv").unlink()
    assert archive.check([release], wanted).no_video == ("d",)
    with pytest.raises(InputError, match="no videoset.csv in it; --list names one"):
        archive.check([release])
    with pytest.raises(InputError, match="nothing.csv: not a readable list of videos"):
        archive.check([release], tmp_path / "nothing.csv")
    wanted.write_text("v,11,a,b,320,568,9,1\n")  # and no row that can be used
    with pytest.raises(InputError, match="wanted.csv, line 1: 8 columns instead of 9"):
        archive.check([release], wanted)


def test_a_malformed_row_does_not_end_the_check(release):
    path = release / "videoset.csv"
    path.write_text(path.read_text() + "d,34,a,b,64,96,6,1\n")
    found = archive.check([release])
    assert found.whole == ("-b", "--a", "c") and not found.complete
    (reason,) = found.bad_rows
    assert reason.startswith("Release/videoset.csv, line 4: 8 columns instead of 9")
    assert f"malformed row: {reason}" in found.text().splitlines()
    assert found.to_dict()["bad_rows"] == (reason,)


def test_what_is_no_archive(tmp_path):
    path = tmp_path / "page.tar.bz"
    for data in (b"<html>moved</html>", b"", b"BZh9 and then nothing of the kind"):
        path.write_bytes(data)
        with pytest.raises(InputError, match="page.tar.bz: neither a folder nor a readable tar"):
            archive.check([path])
    with pytest.raises(InputError, match="absent.zip: cannot be read .No such file"):
        archive.check([tmp_path / "absent.zip"])


def test_names_do_not_steer_the_terminal(release):
    path = release.parent / "hostile.tar"
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo("Release/clips320H/\x1b[2Jv.mp4"), io.BytesIO())
    text = archive.check([release, path]).text()
    assert "not in the list: ?[2Jv" in text and "\x1b" not in text


def test_links_are_followed_but_not_in_circles(release, tmp_path):
    shutil.move(release / "clips320H", tmp_path / "disk")
    (release / "clips320H").symlink_to(tmp_path / "disk")
    (release / "Annotations/loop").symlink_to(release)
    (release / "clips320H/stranger.mp4").write_bytes(b"")  # does no harm
    assert archive.check([release]).complete


def test_the_published_list_and_real_clips():
    """A partial copy: ten clips of other videos, none of the list's."""
    found = archive.check([real("real_clips/Release")], real("a2d_videoset.csv"))
    assert found.counts["videos"] == {"listed": 3782, "found": 0, "whole": 0, "published": 3782}
    assert found.counts["train"]["listed"] == found.counts["train"]["published"] == 3036
    assert found.counts["annotated frames"]["listed"] == 11926
    assert found.counts["annotated, test"]["listed"] == 2365
    assert len(found.no_video) == 3782 and len(found.unlisted) == 10
    text = found.text()
    assert "no video: ... and 3762 more" in text and len(text.splitlines()) < 90


def run(*arguments):
    command = [sys.executable, str(ROOT / "tools/get_weights.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_the_command(release, tmp_path):
    (release / "clips320H/c.mp4").unlink()
    report, whole = tmp_path / "report.json", tmp_path / "whole.txt"
    path = pack(release, "tar.bz")
    result = run(f"--check_archive={path}", f"--json={report}", f"--whole={whole}")
    assert result.returncode == 1 and "no video: c" in result.stdout, result.stderr
    found = json.loads(report.read_text())
    assert found["complete"] is False and found["no_video"] == ["c"]
    assert found["counts"]["test"] == {"listed": 1, "found": 0, "whole": 0}
    assert [v.vid for v in Release(release, videos=whole).videos] == ["-b", "--a"]


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "no flags given; for example python tools/get_weights.py coco imagenet"),
        (["cocoo"], "'cocoo': no weights of that name; there are coco, imagenet"),
        (
            ["coco", "--check_archive=x"],
            "give names of weights, as coco imagenet, or --check_archive",
        ),
        (["--check_archive=absent"], "absent: cannot be read"),
        (["--check_archive=x", "--from=d"], "--from and --cache are of weights"),
        (["coco", "--json=f"], "--json and --whole belong to --check_archive"),
    ],
)
def test_the_command_says_what_is_wrong(words, message):
    result = run(*words)
    assert result.returncode == 1 and message in result.stderr, result.stderr
    assert "Traceback" not in result.stderr
