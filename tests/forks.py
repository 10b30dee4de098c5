"""Run mains and tools in forks of a process that has their imports, which take seconds.

A line of the input is a job: {"words": those of the command line, a module after -m or
a path first, "cwd", "environment", "output": paths of what is printed to stdout and
stderr}. The answer is a line with the exit status.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import sys
import traceback

for name in ("av", "cv2", "h5py", "jinja2", "matplotlib.figure", "pycocotools.mask"):
    importlib.import_module(name)
importlib.import_module("tensorflow").keras  # noqa: B018
gc.freeze()  # what is imported needs no copy in a fork
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()

signal.alarm(900)  # seconds, after which it is killed
for number, path in zip((0, 1, 2), (os.devnull, *job["output"])):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
os.chdir(job["cwd"])
os.environ.clear()
os.environ.update(job["environment"])
first, *words = job["words"]
status = 0
try:
    if first == "-m":
        sys.path[0], sys.argv = job["cwd"], words
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0], sys.argv = os.path.dirname(first), [first, *words]
        runpy.run_path(first, run_name="__main__")
except SystemExit as error:
    status = error.code or 0
except BaseException:
    traceback.print_exc()
    status = 1
sys.stdout.flush()
os._exit(status)  # at once: to take all of TensorFlow down lasts
