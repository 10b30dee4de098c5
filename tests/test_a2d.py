"""The command a2d: its list, mistakes, flags, and workers started from its script."""

import importlib
import re
import subprocess
import sys

import pytest
from processes import ROOT, complaint, run_a2d, run_python, succeeded

import a2d_tf
from a2d_tf import __main__ as a2d
from a2d_tf.core.command import command_help

MAINS = ("train", "evaluate", "export", "predict")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "a2d_tf" / "pretrained" / "models" / "mini" / "card.md",
    *ROOT.glob("docs/*.md"),
]


IMPORT_ALL = """
import importlib, sys
from absl import flags
from a2d_tf.__main__ import MODULES
before, registers = set(flags.FLAGS), {}
for name, path in MODULES.items():
    module = importlib.import_module(f"a2d_tf.{path}")
    assert callable(module.run), name
    registers[name] = module.FLAGS
assert len(set(map(id, registers.values()))) == len(MODULES) == 18
# of a2d start --tracks
importlib.import_module("a2d_tf.commands.rounds.tracks.track_round")
assert set(flags.FLAGS) == before and "tensorflow" not in sys.modules
assert "minutes" in registers["start"] and "steps" not in registers["start"]
"""


def test_all_commands_import_in_one_process_each_with_flags_of_its_own():
    succeeded(run_python("-c", IMPORT_ALL, PYTHONPATH=str(ROOT)))


def test_the_list_loads_no_library():
    code = (
        "import sys, a2d_tf.__main__ as a2d; sys.argv = ['a2d']; a2d.run();"
        " print(*sys.modules)"
    )
    done = run_python("-c", code, PYTHONPATH=str(ROOT))
    *lines, modules = done.stdout.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert listed == list(a2d.MODULES) and listed[:3] == ["start", "predict", "next"]
    assert max(map(len, lines)) <= 80
    assert not {"tensorflow", "numpy", "absl"} & {*modules.split()}


def test_the_version_is_that_of_the_package():
    done = run_a2d("--version")
    assert done.stdout == f"a2d_tf {a2d_tf.__version__}\n"
    assert run_a2d("--help").stdout.startswith("usage: a2d ")


@pytest.mark.parametrize(
    "words, said",
    [
        (["rec"], "a2d rec: no such command; did you mean records?"),
        (["predcit"], "did you mean predict?"),
        (["replay", "--workdir=a"], "a2d replay was removed; a2d train names the step"),
        (["xyzzy"], "a2d xyzzy: no such command (a2d lists all commands)"),
        (["--video=a"], "a2d --video=a: no such command"),
        (["evaluate", "--minutes=3"], "'minutes'; --help lists the flags"),
        (
            ["train", "--stepz=3"],
            "'stepz'. Did you mean: steps; --help lists the flags",
        ),
        (
            ["train", "--flagfile=no.flags"],
            "--flagfile=no.flags: not a readable flagfile",
        ),
        (["records", "more"], "unexpected argument 'more'"),
    ],
)
def test_mistakes_are_one_line(words, said):
    assert said in complaint(run_a2d(*words))


@pytest.mark.parametrize("name", MAINS)
def test_a_module_of_its_own_is_the_same_command(name):
    whole, single = (
        run_a2d(name, "--help"),
        run_python("-m", f"a2d_tf.{name}", "--help"),
    )
    assert (
        whole.returncode == 0
        and whole.stdout == single.stdout
        and "  --" in whole.stdout
    )


@pytest.mark.slow
def test_workers_start_from_the_script(tmp_path):
    """As `tools/setup.sh` writes it; the processes that draw videos import it again."""
    text = (ROOT / "tools" / "setup.sh").read_text()
    script = re.search(r"<<COMMAND.*?\n(.*?)\nCOMMAND", text, re.S)[1]
    path = tmp_path / "a2d"
    script = script.replace("$PWD/.venv/bin/python", sys.executable).replace(
        "$PWD", str(ROOT)
    )
    path.write_text(script)
    path.chmod(0o755)
    words = [str(path), "mini", "--output=mini", "--videos=2", "--workers=2"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "mini/Release is ready"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_commands_of_the_documentation_have_these_flags(page):
    blocks = re.findall(r"```\w*\n(.*?)```", page.read_text(), re.S)
    text = "\n".join(blocks).replace("\\\n", " ")
    for line in re.findall(
        r"^(?:\w+=\S* )*(?:a2d|python -m a2d_tf\.)(.*)$", text, re.M
    ):
        name, *words = line.split("#")[0].split(" -- ")[0].replace("`", "").split()
        if name == "on-beam" or name.startswith("-"):
            continue
        assert name in a2d.MODULES, f"{page.name}: a2d {name}"
        known = {
            *importlib.import_module(f"a2d_tf.{a2d.MODULES[name]}").FLAGS,
            "flagfile",
        }
        for word in (word for word in words if word.startswith("--")):
            flag = word[2:].partition("=")[0].strip("[]")
            assert {
                flag,
                flag.removeprefix("no"),
            } & known, f"{page.name}: a2d {name} {word}"


def test_messages_of_commands_name_commands_that_exist():
    for path in (ROOT / "a2d_tf").rglob("*.py"):
        for name in re.findall(r"\ba2d ([a-z][a-z-]+)", path.read_text()):
            assert name in (
                *a2d.MODULES,
                "lists",
                "sets",
                "is",
            ), f"{path.name}: a2d {name}"


def test_help_is_asked_before_the_words_of_others():
    assert command_help.wants_help(["a2d start", "--help"])
    assert not command_help.wants_help(["a2d start", "--", "--help"])
