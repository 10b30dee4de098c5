"""Locks between processes, and hidden folders that outlive theirs."""

import os
import pathlib
import subprocess
import sys

from a2d_tf.core import locks

ROOT = pathlib.Path(__file__).resolve().parents[1]
HOLDS = """
import sys, time
from a2d_tf.core import locks
folder = locks.HiddenFolder(sys.argv[1], ".work-")
print(folder.path, flush=True)
time.sleep(600)
"""


def test_a_hidden_folder_lasts_as_long_as_its_process(tmp_path):
    words = [sys.executable, "-c", HOLDS, str(tmp_path)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    folder = process.stdout.readline().strip()
    (pathlib.Path(folder) / "new").mkdir()
    locks.sweep(str(tmp_path), ".work-")
    assert os.path.isdir(folder)
    process.kill()
    process.wait()
    (tmp_path / ".other-0").mkdir()
    (tmp_path / ".work-file").touch()
    locks.sweep(str(tmp_path), ".work-")
    assert {path.name for path in tmp_path.iterdir()} == {".other-0", ".work-file"}


def test_another_machines_folder_must_have_been_idle_for_a_day(tmp_path, monkeypatch):
    with monkeypatch.context() as other:
        other.setattr(locks.platform, "node", lambda: "other")
        folder = locks.HiddenFolder(str(tmp_path), ".work-")
    inside = pathlib.Path(folder.path) / "new"
    inside.mkdir()
    folder._file.close()  # as the system does for a process that ended
    locks.sweep(str(tmp_path), ".work-")
    assert inside.exists()
    for path in (inside, inside.parent / "lock"):
        os.utime(path, (path.stat().st_mtime - 25 * 3600,) * 2)
    locks.sweep(str(tmp_path), ".work-")
    assert not inside.parent.exists()


def test_folders_of_one_process_are_removed_at_their_end_and_not_swept(tmp_path):
    with locks.HiddenFolder(str(tmp_path), ".work-") as one:
        with locks.HiddenFolder(str(tmp_path), ".work-") as other:
            locks.sweep(str(tmp_path), ".work-")
            assert sorted(map(str, tmp_path.iterdir())) == sorted([one.path, other.path])
        assert os.listdir(tmp_path) == [os.path.basename(one.path)]
    assert os.listdir(tmp_path) == []
