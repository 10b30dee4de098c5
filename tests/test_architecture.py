"""The picture and the path of a step in WORKSPACE.md, held against the imports and the calls."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "a2d_tf"
MAINS = {"train", "evaluate", "export", "predict"}


def picture():
    """{room or main: its height in the picture, 0 at the bottom}."""
    text = (ROOT / "WORKSPACE.md").read_text()
    drawn = re.search(r"^## The rooms.*?```\n(.*?)```", text, re.M | re.S)[1]
    layers = [re.findall(r"(\w+)(?:/|\.py)", line.split("   ")[0]) for line in drawn.splitlines()]
    layers = [layer for layer in layers if layer]
    return {name: len(layers) - i for i, layer in enumerate(layers) for name in layer}


def room(path):
    """The room of a module, or its name where it is a main; None for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return None if parts == ("__init__",) else parts[0]


def imported_rooms(path):
    """Rooms that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "a2d_tf":
            parts = node.module.split(".")
            yield from parts[1:2] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("a2d_tf."):
                    yield alias.name.split(".")[1]


def test_the_picture_shows_every_room_once():
    rooms = {room(path) for path in PACKAGE.rglob("*.py")} - {None}
    assert set(picture()) == rooms
    assert MAINS < rooms and len(rooms - MAINS) <= 10


def test_imports_point_downward():
    height = picture()
    upward = [
        f"{path.relative_to(ROOT)} imports {other}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for other in imported_rooms(path)
        if room(path) not in (None, other) and height[other] >= height[room(path)]
    ]
    assert not upward


def test_no_room_is_crowded():
    folders = {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE, PACKAGE / "commands"}
    files = {folder: len([*folder.glob("*.py")]) - 1 for folder in folders}  # but for __init__.py
    assert max(files.values()) <= 12


def test_the_python_package_names_every_room():
    listed = re.findall(r'^  "(a2d_tf[\w.]*)",$', (ROOT / "pyproject.toml").read_text(), re.M)
    folders = {path.parent.relative_to(ROOT) for path in PACKAGE.rglob("*.py")}
    assert {".".join(folder.parts) for folder in folders} | {
        "a2d_tf.configs",
        "a2d_tf.configs.ablations",
    } == set(listed)


def called(path, function):
    """What a function of a module calls, as it is written there."""
    module = ast.parse((PACKAGE / path).read_text())
    (body,) = (x for x in ast.walk(module) if getattr(x, "name", None) == function)
    return {ast.unparse(x.func) for x in ast.walk(body) if isinstance(x, ast.Call)}


def test_from_the_main_to_the_forward_pass_it_is_three_files():
    assert "fit" in called("train.py", "main")
    assert {"make_train_step", "train_step"} <= called("learning/fit.py", "fit")
    assert "forward" in called("learning/train_step.py", "_gradients")
