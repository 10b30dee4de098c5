"""Files: JSON that is checked as it is read; locks."""

import errno
import fcntl
import json
import os
from concurrent import futures

import pytest

from a2d_tf.core.checked_json import load_json, number, one_of, whole
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_csv
from a2d_tf.core.folders import hidden_folder, whole_folder
from a2d_tf.core.locks import locked

KIND = {
    "name": str,
    "share": number(0, 1),
    "rate": float,
    "note?": (str, None),
    "size": (int, None),
    "counts": {str: whole()},
    "files": [{"split": one_of("train", "test"), "bytes": whole(1)}],
}
RIGHT = {
    "name": "a",
    "share": 1,
    "rate": 2.5,
    "size": None,
    "counts": {"x": 0},
    "files": [{"split": "test", "bytes": 3}],
    "other": [1],
}


def test_json_of_the_right_kind_is_returned_whole(tmp_path):
    path = tmp_path / "facts.json"
    for more in ({}, {"note": None}, {"note": "n"}, {"files": []}):
        path.write_text(json.dumps({**RIGHT, **more}))
        assert load_json(path, KIND, "build it again") == {**RIGHT, **more}


def test_each_row_of_a_table_has_a_cell_for_each_column(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('video,reason\na,"b, c"\n')
    assert read_csv(path, "remove it") == [["a", "b, c"]]
    path.write_text("video,reason\na,b\nc;d\n")
    with pytest.raises(InputError, match="a.csv: row 2 has 1 cells, not 2; remove it"):
        read_csv(path, "remove it")
    path.write_text("")
    with pytest.raises(InputError, match="a.csv: truncated; remove it"):
        read_csv(path, "remove it")


def test_a_field_that_may_be_null_may_not_be_missing(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text(json.dumps({**RIGHT, "size": ...}, default=lambda _: None))
    assert load_json(path, KIND, "build it again")["size"] is None
    path.write_text(json.dumps({k: v for k, v in RIGHT.items() if k != "size"}))
    with pytest.raises(InputError, match="size: None is missing .*; build it again"):
        load_json(path, KIND, "build it again")


def test_json_that_is_nested_too_deeply_is_an_error(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="facts.json: .*; build it again"):
        load_json(path, KIND, "build it again")


@pytest.mark.parametrize(
    "field, value",
    [
        ("name", None),
        ("share", float("nan")),
        ("share", True),
        ("rate", float("inf")),
        ("rate", 10**400),
        ("note", 0),
        ("counts", []),
        ("counts.'x'", {"x": -1}),
        ("files", {}),
        ("files[0]", [3]),
        ("files[1].bytes", [{"split": "test", "bytes": 3}, {"split": "test"}]),
        ("files[0].split", [{"split": "val", "bytes": 3}]),
    ],
)
def test_json_of_another_kind_is_an_error_that_names_file_field_and_remedy(
    tmp_path, field, value
):
    path = tmp_path / "facts.json"
    name = field.partition(".")[0].partition("[")[0]
    path.write_text(json.dumps({**RIGHT, name: value}))
    with pytest.raises(InputError) as error:
        load_json(path, KIND, "build it again")
    message = str(error.value)
    assert message.startswith(f"{path}: {field}: ") and message.endswith(
        "; build it again"
    )


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    def second(wait):
        with locked(tmp_path / "lock", wait=wait) as held:
            return held

    with futures.ThreadPoolExecutor(1) as pool:
        with locked(tmp_path / "lock"):
            assert not pool.submit(second, False).result()
            waiting = pool.submit(second, True)
            assert not futures.wait([waiting], 0.2).done  # it would be through by now
        assert waiting.result()
    assert second(False)


def test_a_file_system_without_locks_stops_nobody(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with locked(tmp_path / "lock", wait=False) as held:
        assert held


def test_a_hidden_folder_is_alone_until_another_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    for parent in ("out", str(tmp_path / "out")):
        with hidden_folder(parent, ".new-") as first:
            with hidden_folder(parent, ".new-") as second:
                assert first.is_alone and not second.is_alone
                assert first.path != second.path
        assert not list((tmp_path / "out").iterdir())


def test_only_errors_of_writing_a_whole_folder_are_called_so(tmp_path):
    folder = str(tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="missing"):
        with whole_folder(folder) as new:
            (tmp_path / "missing").read_bytes()
    with pytest.raises(InputError, match="out: cannot be written .*No such file"):
        with whole_folder(folder) as new:
            open(os.path.join(new, "no_such_folder", "file"), "wb")
    with pytest.raises(InputError, match="out: cannot be written .*No space left"):
        with whole_folder(folder):
            raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ConnectionResetError):
        with whole_folder(folder):
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    with pytest.raises(OSError, match="not of this disk"):
        with whole_folder(folder):
            raise OSError("not of this disk")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="c: cannot be written .*Not a directory"):
        with whole_folder(str(tmp_path / "file/b/c")):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
