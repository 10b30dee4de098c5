"""The picture and the tables of WORKSPACE.md agree with the imports and the files."""

import ast
import graphlib
import re

import pytest
from processes import ROOT

PACKAGE = ROOT / "a2d_tf"
NAME = re.compile(r"(\w+)(?:/|\.py)")
MAINS = {"__main__", "train", "evaluate", "export", "predict"}


def picture():
    """{room or main: its height in the picture, 0 at the bottom}."""
    text = (ROOT / "WORKSPACE.md").read_text()
    drawn = re.search(r"^## The rooms.*?```\n(.*?)```", text, re.M | re.S)[1]
    layers = [
        [
            name
            for line in layer.splitlines()
            for name in NAME.findall(line.split("   ")[0])
        ]
        for layer in drawn.split("\n   |\n")
    ]
    return {name: len(layers) - i for i, layer in enumerate(layers) for name in layer}


def room(path):
    """Return a module's room, or a main's name; None for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return None if parts == ("__init__",) else parts[0]


def imported_rooms(path):
    """Rooms that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] == "a2d_tf"
        ):
            parts = node.module.split(".")
            yield from parts[1:2] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("a2d_tf."):
                    yield alias.name.split(".")[1]


def test_the_picture_shows_every_room_once():
    rooms = {room(path) for path in PACKAGE.rglob("*.py")} - {None}
    assert set(picture()) == rooms
    assert MAINS < rooms


def test_imports_point_downward():
    height = picture()
    upward = [
        f"{path.relative_to(ROOT)} imports {other}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for other in imported_rooms(path)
        if room(path) not in (None, other) and height[other] >= height[room(path)]
    ]
    assert not upward


def imported_parts(room):
    """{folder of a room: folders of this room that it imports}; "" for no folder."""
    parts = {}
    for path in sorted((PACKAGE / room).rglob("*.py")):
        folder = path.relative_to(PACKAGE / room).parent.as_posix().strip(".")
        imported = parts.setdefault(folder, set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                words = node.module.split(".")
                names = words[2:] or [alias.name for alias in node.names]
                if words[:2] == ["a2d_tf", room]:
                    is_folder = (PACKAGE / room / names[0]).is_dir()
                    imported.add(names[0] if is_folder else "")
    return {folder: others - {folder} for folder, others in parts.items()}


def test_the_folders_of_video_import_one_another_in_one_direction():
    parts = imported_parts("video")
    order = list(graphlib.TopologicalSorter(parts).static_order())
    assert order.index("frames") < order.index("predictors") < order.index("library")


def test_the_folders_of_training_import_one_another_in_one_direction():
    assert imported_parts("training") == {
        "step": set(),
        "": {"step"},
        "suggestion": {""},
        "given_tracks": {"", "suggestion"},
    }


def defined(path):
    """Return the names that a module or a folder defines, with methods and siblings."""
    if path.is_dir():
        return {p.stem for p in path.iterdir()}
    nodes = ast.walk(ast.parse(path.read_text()))
    return {getattr(node, "name", None) for node in nodes} | {
        p.stem for p in path.parent.iterdir()
    }


@pytest.mark.parametrize(
    "title",
    [
        "From an export to records",
        "A training step in three hops",
        "A predicted video",
        "The paper, section by section",
    ],
)
def test_files_and_functions_of_the_tables_exist(title):
    """A file without a folder is in the folder before it; a function is in its file."""
    count, path, text = 0, None, (ROOT / "WORKSPACE.md").read_text()
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    for row in re.findall(r"^\|.*\| (.*) \|$", section, re.M):
        for word in re.findall(r"`([^`]+)`", row):
            if word.endswith((".py", "/")):
                path = (path.parent if "/" not in word else PACKAGE) / word
                if word.startswith("configs/"):
                    path = ROOT / word
                assert path.exists(), word
            else:
                assert word in defined(path), f"{word} of {path}"
            count += 1
    assert count > 8
