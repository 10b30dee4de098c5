"""Mains and tools in processes of their own, as a user starts them."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run_python(*words, cwd=ROOT, **environment):
    """The `CompletedProcess` of Python with these words and further environment variables."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=900,
        cwd=cwd,
        env={**os.environ, **environment},
    )


def run_tool(name, *words, **options):
    """`tools/NAME.py` with these words."""
    return run_python(ROOT / "tools" / f"{name}.py", *words, **options)


def run_main(name, *words, **options):
    """`python -m a2d_tf.NAME` with these words."""
    return run_python("-m", f"a2d_tf.{name}", *words, PYTHONPATH=str(ROOT), **options)


def complaint(done):
    """The one line of a process that ended with an error."""
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stdout + done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    return line
