"""Command lines: the messages for typos, bad values and unexpected errors, and the help."""

import re

import pytest
from absl import flags
from processes import ROOT, run_main, run_python

from a2d_tf.core import command_line
from a2d_tf.core.config import SECTIONS, Config
from tools import document_flags

MAINS = ("train", "evaluate", "export", "predict")


@pytest.fixture
def parse():
    values = flags.FlagValues()
    Config.define_flags(flag_values=values)
    return lambda *words: command_line.parse(["program", *words], values)


def complaint(parse, *words):
    with pytest.raises(flags.Error) as error:
        parse(*words)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize(
    "typo, meant",
    [
        ("--bacth_size=4", "--batch_size"),
        ("--batchsize", "--batch_size"),
        ("--nouse_flwo", "--nouse_flow"),
        ("-steps_=4", "--steps"),
        ("--xyzzy", "--help"),
    ],
)
def test_a_typo_is_told_the_nearest_flag(parse, typo, meant):
    assert meant in complaint(parse, typo)


@pytest.mark.parametrize(
    "word, problem",
    [
        ("--steps=many", "flag --steps=many: invalid literal for int() with base 10: 'many'"),
        ("--steps=0", "flag --steps=0: 0 is not an integer in the range [1, 1000000000]"),
        ("--image_height=9999999", "in the range [32, 8192]"),
        ("--flow_norm=layer", "should be one of <same|frozen_bn|frozen_stats|bn|group_norm|none>"),
        ("--flip=maybe", "flag --flip=maybe: neither true nor false"),
        ("--noflip=1", "--noflip=1 does not take an argument"),
        ("--batch_sise=1", "there is no flag --batch_sise; did you mean --batch_size?"),
    ],
)
def test_a_flagfile_is_named_with_the_line(parse, tmp_path, word, problem):
    inner, outer = tmp_path / "inner.flags", tmp_path / "outer.flags"
    inner.write_text(f"# the steps\n\n--seed=2\n{word}\n")
    outer.write_text(f"--flagfile={inner}\n--steps=7\n")
    assert problem in complaint(parse, word)
    said = complaint(parse, "--steps=5", f"--flagfile={outer}", "--seed=1")
    assert said.startswith(f"{inner}, line 4: ") and problem in said


def test_flagfiles_that_cannot_be_used(parse, tmp_path):
    path = tmp_path / "f.flags"
    for content in (None, b"--steps=\xff", f"--flagfile={path}\n".encode()):
        if content:
            path.write_bytes(content)
        assert str(path) in complaint(parse, f"--flagfile={path}")
    assert str(tmp_path) in complaint(parse, f"--flagfile={tmp_path}")


def test_words_pass_in_their_order(parse, tmp_path):
    (tmp_path / "f.flags").write_text("--steps=5\n// a comment\n--noflip\n")
    words = ["a", "--flagfile", str(tmp_path / "f.flags"), "b", "--seed", "4", "--", "--steps=9"]
    assert parse(*words) == ["program", "a", "b", "--steps=9"]


# Programs.


def run(*words):
    return run_python(*words, PYTHONPATH=str(ROOT))


PROGRAM = '''"""Do it: python tools/do.py --what=THIS."""
import errno, logging, os
from absl import flags
from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError

_WHAT = flags.DEFINE_string("what", "", "what goes wrong")


def main(argv):
    if _WHAT.value == "nothing":
        logging.getLogger("a2d_tf.do").info("a note")
        return logging.getLogger("a2d_tf.do").warning("mind")
    if _WHAT.value == "input":
        raise InputError("bad\\x1b[2J\\nfile")
    if _WHAT.value == "disk":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out.json")
    if _WHAT.value == "op":
        import tensorflow as tf
        tf.zeros([2]) + tf.zeros([3])
    errors = {"bug": KeyError("box"), "memory": MemoryError(), "long": ValueError("x" * 10_000)}
    raise errors[_WHAT.value]


command_line.run(main)
'''


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "do.py"
    path.write_text(PROGRAM)
    return path


@pytest.mark.parametrize(
    "what, line",
    [
        ("input", r"error: bad\\x1b\[2J file"),
        ("disk", "error: out.json: No space left on device; --debug shows where"),
        ("bug", "error: unexpected KeyError: 'box'; --debug shows where"),
        ("memory", "error: out of memory; --debug shows where"),
        ("op", "error: unexpected InvalidArgumentError: .*; --debug shows where"),
        ("long", "error: unexpected ValueError: x{1000}; --debug shows where"),
    ],
)
def test_whatever_goes_wrong_is_one_line(program, what, line):
    done = run(program, f"--what={what}")
    assert done.returncode == 1 and done.stdout == ""
    # TensorFlow after 2.15 prints notes when it loads, whatever its log level.
    notes = r"((WARNING: All log messages before absl|I\d{4} )[^\n]*\n)*"
    assert re.fullmatch(notes + line, done.stderr.strip()), done.stderr


def test_the_library_logs_plain_lines(program):
    done = run(program, "--what=nothing")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a note\n", "warning: mind\n")


def test_debug_shows_where(program):
    done = run(program, "--what=bug", "--debug")
    assert done.returncode == 1 and 'KeyError("box")' in done.stderr
    assert done.stderr.startswith("Traceback")
    assert done.stderr.splitlines()[-1].startswith("error: unexpected KeyError: 'box'")


def test_no_flags_and_a_wrong_one(program):
    done = run(program)
    assert done.returncode == 1
    line = "error: no flags given; for example python tools/do.py --what=THIS (--help explains)"
    assert done.stderr.strip() == line
    done = run(program, "--waht=bug")
    assert done.returncode == 1
    assert done.stderr.strip() == "error: there is no flag --waht; did you mean --what?"


@pytest.mark.parametrize("module", MAINS)
def test_short_help_fits_a_screen(module):
    done = run_main(module, "--helpshort")
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) <= 45 and max(map(len, lines)) <= 100
    text = (ROOT / "a2d_tf" / f"{module}.py").read_text()
    own = re.findall(r'flags\.DEFINE_\w+\(\s*"(\w+)"', text)
    own += ["checkpoint"] * (module != "train")
    for name in (*own, "debug", "flagfile"):
        assert sum(line.startswith(f"  --{name} ") for line in lines) == 1
    for title in SECTIONS if module == "train" else ("inference", "compute"):
        assert f"settings, {title}:" in lines
        for name in SECTIONS[title].__dataclass_fields__:
            assert f"--{name}" in done.stdout.split()


def test_long_help_explains_every_setting():
    done = run_main("train", "--help")
    assert done.returncode == 0
    names = [name for section in SECTIONS.values() for name in section.__dataclass_fields__]
    for name in names:
        assert len(re.findall(f"^  --{name} +\\S", done.stdout, re.MULTILINE)) == 1


def test_the_table_of_flags_is_current():
    path = ROOT / "docs" / "flags.md"
    assert path.read_text() == document_flags.text(), "run python tools/document_flags.py"
