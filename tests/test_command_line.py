"""Command lines: help, and messages for typos, bad values and unexpected errors."""

import re
import subprocess
import sys

import pytest
from absl import flags
from processes import ROOT, run_a2d, run_python

from a2d_tf.core.command import command_line, flagfiles, progress
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import SECTIONS, Config


@pytest.fixture
def parse():
    values = command_line.Register()
    Config.define_flags(values)
    return lambda *words: flagfiles.parse(["program", *words], values)


def complaint(parse, *words):
    with pytest.raises(flags.Error) as error:
        parse(*words)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize(
    "word, problem",
    [
        ("--steps=many", "--steps=many: invalid literal"),
        ("--steps=5 # five", "--steps=5 # five: invalid literal"),
        ("--learning_rate=0,001", "--learning_rate=0,001: could not"),
        ("--image_height=9999999", "in the range [32, 8192]"),
        ("--flow_norm=layer", "<same|frozen_bn|frozen_stats|group_norm|none>"),
        ("--flip=maybe", "--flip=maybe"),
        ("--noflip=1", "--noflip=1"),
        ("--bacth_size=4", "Did you mean: batch_size"),
        ("--nouse_flwo", "use_flow"),
        ("-steps_=4", "steps"),
        ("--xyzzy", "xyzzy"),
    ],
)
def test_a_wrong_word_is_named_with_its_flagfile_and_line(
    parse, tmp_path, word, problem
):
    inner, outer = tmp_path / "inner.flags", tmp_path / "outer.flags"
    inner.write_text(f"# the steps\n\n--seed=2\n{word}\n")
    outer.write_text(f"--flagfile={inner}\n--steps=7\n")
    assert problem in complaint(parse, word)
    said = complaint(parse, "--steps=5", f"--flagfile={outer}", "--seed=1")
    assert said.startswith(f"{inner}, line 4: ") and problem in said


@pytest.mark.parametrize("words", [["-m", "a2d_tf.predict"], ["-m", "a2d_tf"]])
def test_a_python_without_the_packages(words):
    done = run_python("-S", *words, "--help")
    assert done.returncode == 1 and done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1 and "source tools/setup.sh" in done.stderr


def test_a_flagfile_that_cannot_be_used_is_named(parse, tmp_path):
    path = tmp_path / "f.flags"
    for content in (None, b"steps=5", b"--steps=\xff", f"--flagfile={path}\n".encode()):
        if content:
            path.write_bytes(content)
        assert str(path) in complaint(parse, f"--flagfile={path}")
    assert str(tmp_path) in complaint(parse, f"--flagfile={tmp_path}")


def test_words_pass_in_their_order(parse, tmp_path):
    (tmp_path / "f.flags").write_text("\ufeff--steps=5\n// a comment\n--noflip\n")
    words = [
        "a",
        "--flagfile",
        str(tmp_path / "f.flags"),
        "b",
        "--seed",
        "4",
        "--",
        "--steps=9",
    ]
    assert parse(*words) == ["program", "a", "b", "--steps=9"]


def test_where_nobody_watches_no_bar_is_shown(capsys):
    assert [*progress.progress_bar(range(3))] == [0, 1, 2]
    progress._Lines().write("\r 1 of 3")
    assert capsys.readouterr().err == "1 of 3\n"


def test_where_nobody_watches_lines_come_early_and_then_seldom(monkeypatch, capsys):
    """After 15 and 45 seconds, and then once a minute; also at the end."""
    clock = {"now": 0.0}
    bar = progress.progress_bar(total=200)
    bar._time = lambda: clock["now"]
    bar.start_t = bar.last_print_t = 0.0
    shown = []
    for second in range(1, 201):
        clock["now"] = float(second)
        bar.update()
        if capsys.readouterr().err:
            shown.append(second)
    assert shown == [15, 45, 105, 165]
    bar.close()
    assert "200/200" in capsys.readouterr().err


def test_lines_of_a_long_loop_count_each_item_once(capsys):
    clock = {"now": 0.0}
    bar = progress.progress_bar(range(12))
    bar._time = lambda: clock["now"]
    bar.start_t = bar.last_print_t = 0.0
    counts = []
    for item in bar:
        counts.append(bar.n)
        clock["now"] = 20.0 * (item + 1)
    assert counts == [*range(12)]
    lines = capsys.readouterr().err.splitlines()
    shown = [line.split("[")[0].split()[-1] for line in lines]
    assert shown == ["1/12", "3/12", "6/12", "9/12", "12/12", "12/12"]


@pytest.mark.parametrize(
    "error, line",
    [
        (InputError("bad\x1b[2J\nfile"), r"bad\\x1b\[2J file"),
        (
            OSError(28, "No space left on device", "out"),
            "out: No space .*; --debug shows where",
        ),
        (KeyError("box"), "unexpected KeyError: 'box'; --debug shows where"),
        (MemoryError(), "unexpected MemoryError: ; --debug shows where"),
        (
            ValueError("x" * 10_000),
            "unexpected ValueError: x{1000}; --debug shows where",
        ),
    ],
)
def test_an_error_is_one_line(error, line, capsys):
    def fail():
        raise error

    assert command_line.guarded(fail) == 1
    assert re.fullmatch(f"error: {line}\n", capsys.readouterr().err)


PROGRAM = '''"""Do it: python tools/do.py --what=THIS."""
import logging
from a2d_tf.core.command import command_line
from a2d_tf.core.command import progress

FLAGS = command_line.Register()
_WHAT = FLAGS.define_string("what", "", "what to do")


def main(argv):
    logging.getLogger("a2d_tf.do").info("a note")
    logging.getLogger("a2d_tf.do").warning("mind")
    long = lambda: [print("x" * 99) for _ in range(9999)]
    {"long": long, "name": lambda: print(chr(228))}[_WHAT.value]()


command_line.run(main, FLAGS)
'''


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "do.py"
    path.write_text(PROGRAM)
    return path


def run_program(program, *words, **environment):
    return run_python(program, *words, PYTHONPATH=str(ROOT), **environment)


BUG = "error: unexpected KeyError: 'bug'; --debug shows where"


def test_an_unknown_flag_is_one_error(program):
    done = run_program(program, "--waht=x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "error: Unknown command line flag 'waht'. Did you mean: what; --help lists the"
        " flags"
    ]


def test_notes_are_printed_and_warnings_and_errors_go_to_stderr(program):
    done = run_program(program, "--what=bug")
    assert (done.returncode, done.stdout) == (1, "a note\n")
    assert done.stderr.splitlines() == ["warning: mind", BUG]


def test_debug_shows_where_above_the_error(program):
    done = run_program(program, "--what=bug", "--debug")
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == BUG


def test_a_terminal_of_ascii_gets_escapes(program):
    done = run_program(program, "--what=name", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "a note\n\\xe4\n")


def test_a_reader_that_goes_away_is_no_error(program):
    line = f"PYTHONPATH={ROOT} {sys.executable} {program} --what=long | head -c 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.stdout == "a" and "rror" not in done.stderr


@pytest.mark.parametrize("main", ["train", "predict"])
def test_help_explains_every_flag(main):
    done = run_a2d(main, "--help")
    assert done.returncode == 0 and done.stderr == ""
    own = re.findall(
        r'FLAGS\.define_\w+\(\s*"(\w+)"', (ROOT / f"a2d_tf/{main}.py").read_text()
    )
    settings = SECTIONS if main == "train" else ("inference", "compute")
    own += [name for title in settings for name in SECTIONS[title].__dataclass_fields__]
    for name in (*own, "device", "debug"):
        assert (
            len(re.findall(rf"^  --(\[no\])?{name}: .*\w", done.stdout, re.MULTILINE))
            == 1
        )
