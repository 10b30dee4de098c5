"""The wheel: its contents, and its commands in a folder that is not the repository."""

import importlib.util
import os
import re
import shutil
import subprocess
import zipfile

import pytest
from processes import ROOT, run_python, succeeded

import a2d_tf

pytestmark = pytest.mark.slow

SOURCES = "a2d_tf configs tests tools pyproject.toml setup.py README.md LICENSE".split()
IGNORED = shutil.ignore_patterns("__pycache__")


def pip(*words):
    succeeded(
        run_python("-m", "pip", *words, "--no-deps", "--disable-pip-version-check")
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy: setuptools leaves folders beside sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "source" / name, ignore=IGNORED)
        else:
            shutil.copy(ROOT / name, folder / "source")
    stale = (
        folder
        / "source"
        / "build"
        / "lib"
        / "a2d_tf"
        / "evaluation"
        / "metrics"
        / "old.py"
    )
    stale.parent.mkdir(parents=True)
    # of an earlier `pip install .`; each module of this folder is imported
    stale.touch()
    there = all(map(importlib.util.find_spec, ("setuptools", "wheel")))
    isolation = ["--no-build-isolation"] if there else []
    pip("wheel", folder / "source", "--wheel-dir", folder, *isolation)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def command(wheel, tmp_path_factory):
    """Runs a command of the installed a2d, in an empty folder."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", wheel, "--target", folder / "site")
    (folder / "empty").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}

    def call(name, *words):
        path = folder / "site" / "bin" / "a2d"
        options = dict(
            cwd=folder / "empty", env=environment, capture_output=True, text=True
        )
        return subprocess.run([path, name, *words], **options)

    return call


def test_it_holds_the_package_and_its_flagfiles_and_nothing_of_development(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (
            name for name in archive.namelist() if name.endswith("/METADATA")
        )
        metadata = archive.read(metadata).decode()
        needed = re.findall("^Requires-Dist: (.*)", metadata, re.MULTILINE)
        (points,) = (
            name for name in archive.namelist() if name.endswith("/entry_points.txt")
        )
        scripts = archive.read(points).decode()
    files = (
        path
        for path in (ROOT / "a2d_tf").rglob("*.*")
        if path.suffix in (".py", ".js", ".css", ".html", ".typed")
    )
    expected = {str(path.relative_to(ROOT)) for path in files}
    models = (ROOT / "a2d_tf" / "pretrained" / "models").glob("*/*")
    expected |= {str(path.relative_to(ROOT)) for path in models}
    expected |= {
        f"a2d_tf/{path.relative_to(ROOT)}"
        for path in (ROOT / "configs").rglob("*.flags")
    }
    assert names == expected
    assert len(needed) > 8 and not [
        line for line in needed if re.match("pytest|ruff|mypy", line)
    ]
    assert scripts.split() == ["[console_scripts]", "a2d", "=", "a2d_tf.__main__:run"]
    assert f"\nVersion: {a2d_tf.__version__}\n" in metadata


def test_flagfiles_and_experiments_are_found_from_any_folder(command):
    done = command("train", "--flagfile=configs/mini.flags")
    assert (done.returncode, done.stderr[:27]) == (1, "error: --records is missing")
    done = command("train", "--flagfile=configs/none.flags")
    assert "configs/none.flags: not a readable flagfile" in done.stderr
    done = command("reproduce", "--runs=none", "--workdir=runs")
    assert "'none' is not a run; choose from full, cartesian, " in done.stderr
    done = command("records", "--helpshort")
    assert done.returncode == 0 and "a2d records --release" in done.stdout
    # Workers start from the installed script.
    done = command("mini", "--output=mini", "--videos=2", "--workers=2")
    assert done.stdout.endswith("mini/Release is ready\n"), done.stderr
