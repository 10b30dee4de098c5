"""The rehearsal: it runs what the documents say, goes on where it stopped, and its short form."""

import json
import shlex
import signal
import time

import pytest
from processes import run_python, run_tool

from a2d_tf.core.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rehearse(tool):
    return tool("tools.rehearse")


def test_commands_are_those_of_code_blocks(rehearse):
    text = """make me
```
make all  # of it

make one \\
  --two='3 4'
```
no
  ```
  # x
  go
  ```
"""
    assert rehearse.commands(text) == ["make all", "make one '--two=3 4'", "go"]


def test_every_documented_command_has_a_rule_and_every_rule_a_command(rehearse):
    commands = rehearse.documented()
    used = [rehearse.rule(command) for command in commands]
    assert set(used) == set(rehearse.RULES)
    with pytest.raises(InputError, match="'python tools/new.py': no rule"):
        rehearse.rule("python tools/new.py")


@pytest.mark.parametrize("short", [False, True])
def test_plan_follows_the_documents(rehearse, short):
    planned, documented = rehearse.plan(short), rehearse.documented()
    made = planned[: 1 if short else 5]
    # In their order, as they stand there; what follows them is the rule's.
    places = []
    for command in planned[len(made) :]:
        (place,) = (
            i for i, known in enumerate(documented) if f"{command} ".startswith(f"{known} ")
        )
        rule = rehearse.rule(command)
        assert command == f"{documented[place]} {rule.short if short else rule.full}".rstrip()
        places.append(place)
    assert places == sorted(places)
    for name in ("train", "evaluate", "export", "predict"):
        assert sum(f"-m a2d_tf.{name}" in command for command in planned) == (0 if short else 1)
    assert "configs/reproduce_a2d.flags" in planned[-1]


def test_it_goes_on_with_the_command_that_failed(rehearse, monkeypatch, tmp_path):
    calls, statuses = [], {"b": [1, 0]}

    def measure(command, workdir):
        calls.append(command)
        status = statuses.get(command, [0]).pop(0)
        return dict(seconds=60.0, cpu_seconds=30.0, memory=2e9, disk=5e9, status=status), False

    monkeypatch.setattr(rehearse, "measure", measure)
    path = tmp_path / "rehearsal.json"
    with pytest.raises(InputError, match=f"'b' ended with status 1 in {tmp_path}; mend what"):
        rehearse.rehearse(tmp_path, ["a", "b", "c"], path)
    measured = rehearse.rehearse(tmp_path, ["a", "b", "c"], path)
    assert calls == ["a", "b", "b", "c"]
    assert measured == json.loads(path.read_text())
    assert [measured[name]["seconds"] for name in "abc"] == [60, 120, 60]
    lines = rehearse.table(measured, {"full": 90.0}).splitlines()
    assert lines[2] == "     2.0      1.0   2.0 GB   5.0 GB  b"
    assert lines[-2].split() == ["1.5", "of", "it", "full"]
    assert lines[-1] == "     4.0      2.0   2.0 GB   5.0 GB  in all"


@pytest.mark.parametrize(
    "command, status",
    [
        ("sleep 60", -signal.SIGTERM),
        ("true", 130),  # as a training, which stops after the step in hand
    ],
)
def test_an_interrupted_command_is_measured_and_no_failure(
    rehearse, monkeypatch, tmp_path, command, status
):
    wait = time.sleep

    def interrupt(_):
        wait(0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr(rehearse.time, "sleep", interrupt)
    path = tmp_path / "rehearsal.json"
    with pytest.raises(KeyboardInterrupt):
        rehearse.rehearse(tmp_path, [command, "python never.py"], path)
    measured = json.loads(path.read_text())
    assert list(measured) == [command]
    assert measured[command]["status"] == status and measured[command]["seconds"] > 0


def test_only_a_folder_of_its_own_is_overwritten(rehearse, monkeypatch, tmp_path):
    root = tmp_path / "parent" / "repository"
    for name in ("a2d_tf", "configs", "tools"):
        (root / name).mkdir(parents=True)
        (root / name / "code.py").write_text("now")
    other = tmp_path / "other"
    (other / "tools").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root)
    monkeypatch.setattr(rehearse, "ROOT", root)
    for folder, message in (
        (root, "holds this code"),
        (root.parent, "holds this code"),
        (tmp_path / "link", "holds this code"),
        (other, "neither empty nor of a rehearsal, for it has no rehearsal.json"),
        (root / "tools" / "code.py", "a file; name a new folder"),
    ):
        with pytest.raises(InputError, match=message):
            rehearse.prepare(folder, folder / "rehearsal.json")
    assert (other / "tools").is_dir() and (root / "tools" / "code.py").read_text() == "now"
    assert not list(tmp_path.rglob("rehearsal.json"))
    work = root / "work"
    for text in ("now", "later"):  # a new folder, then its own
        (root / "tools" / "code.py").write_text(text)
        rehearse.prepare(work, work / "rehearsal.json")
        assert (work / "tools" / "code.py").read_text() == text
    assert (work / "rehearsal.json").read_text().strip() == "{}"


def test_short_form(tmp_path):
    """From a drawn archive to the report of a row; what is done is not done again."""
    done = run_tool("rehearse", "--short", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "in all" in done.stdout and "of it mask_rcnn_baseline" in done.stdout
    runs = tmp_path / "runs" / "a2d"
    text = (runs / "report.md").read_text()
    assert "Made on " in text and "| **ours, Mask R-CNN baseline** |" in text
    assert (runs / "report.html").stat().st_size > 50_000
    measured = json.loads((tmp_path / "rehearsal.json").read_text())
    assert all(found["status"] == 0 and found["memory"] for found in measured.values())
    # Rehearsed again: nothing is left to do, and the table is shown.
    again = run_tool("rehearse", "--short", f"--workdir={tmp_path}")
    assert again.returncode == 0 and "==" not in again.stdout and "in all" in again.stdout
    # Reproduced again: nothing is trained, and the report is the same.
    trained = runs / "seed0" / "mask_rcnn_baseline" / "checkpoints"
    before = {path: path.stat().st_mtime_ns for path in trained.iterdir()}
    words = shlex.split(list(measured)[-1])
    again = run_python(*words[1:], cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert "a2d_tf.train" not in again.stdout and (runs / "report.md").read_text() == text
    assert {path: path.stat().st_mtime_ns for path in trained.iterdir()} == before
