"""Run commands in processes of their own, as a user starts them."""

import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run_python(*words, cwd=ROOT, **environment):
    """Run Python and wait for its end.

    Args:
      *words: words of the command line after `python`.
      cwd: path of the working folder.
      **environment: variables of the environment, beside those of this process.

    Returns:
      the `CompletedProcess`, with stdout and stderr as text.
    """
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=900,
        cwd=cwd,
        env={**os.environ, **environment},
    )


@functools.cache
def _forks():
    """The process of forks.py."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "forks.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def _forked(*words, cwd=ROOT):
    """The `CompletedProcess` of Python with these words, by a fork."""
    with tempfile.TemporaryDirectory() as folder:
        output = [os.path.join(folder, name) for name in ("stdout", "stderr")]
        job = {
            "words": [*map(str, words)],
            "cwd": str(cwd),
            "environment": dict(os.environ),
        }
        _forks().stdin.write(json.dumps({**job, "output": output}).encode() + b"\n")
        _forks().stdin.flush()
        status = int(_forks().stdout.readline())
        printed = [pathlib.Path(path).read_text() for path in output]
    return subprocess.CompletedProcess(words, status, *printed)


def run_tool(name, *words, cwd=ROOT):
    """Run `tools/NAME.py` in a fork; return its `CompletedProcess`.

    Args:
      name: NAME, without suffix.
      *words: words of its command line.
      cwd: path of the working folder.
    """
    return _forked(ROOT / "tools" / f"{name}.py", *words, cwd=cwd)


def run_a2d(name, *words, cwd=ROOT):
    """Run `a2d NAME` in a fork; return its `CompletedProcess`.

    Args:
      name: name of the command.
      *words: words of its command line.
      cwd: path of the working folder.
    """
    return _forked("-m", "a2d_tf", name, *words, cwd=cwd)


def succeeded(done):
    """Check that a process ended without an error, and return its stdout.

    Args:
      done: the `CompletedProcess`.
    """
    assert done.returncode == 0, done.stdout + done.stderr[-5000:]
    return done.stdout


def complaint(done):
    """Check that a process ended with an error for the user, and return its line.

    Args:
      done: the `CompletedProcess`.
    """
    assert done.returncode == 1 and "Traceback" not in done.stderr, (
        done.stdout + done.stderr
    )
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    return line
