"""Records and predictions on Beam's own runners, with processes, and on Dask's."""

import contextlib
import csv
import os
import shutil
import subprocess
import sys
import time

import extra_packages
import pytest
from processes import ROOT, complaint, run_a2d, succeeded
from test_library import contents, films  # noqa: F401

from a2d_tf.commands import on_beam as command
from a2d_tf.commands.beam import remote_files
from a2d_tf.core.command import command_line, flagfiles
from a2d_tf.data.conversion import convert
from a2d_tf.data.sources.release import Release

PROCESSES = ("--runner=FnApiRunner", "--direct_running_mode=multi_processing")
# of `small_records`
SIZES = ("--image_height=48", "--image_width=48", "--shard_videos=1")
SCHEME = "mem-like://"


def environment(**variables):
    """The environment of a command and its workers: Beam's packages, and `mem_like`."""
    paths = (ROOT / "tests", ROOT, extra_packages.folder("beam"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), **variables}


def on_beam(
    *words, runner=(*PROCESSES, "--direct_num_workers=2"), cwd=ROOT, **variables
):
    """The `CompletedProcess` of the command, which must end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "a2d_tf", "on-beam", *map(str, words), "--", *runner],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env=environment(**variables),
    )


def killing(folder, at):
    """Return variables that kill the first process that writes a file like `at`."""
    return {"MEM_LIKE_KILL": str(folder / "killed"), "MEM_LIKE_KILL_AT": at}


@pytest.mark.parametrize(
    "words, named",
    [
        (["--release=r"], "--release=r"),
        (["predict", "--video=no-such://a", "--output=o"], "no-such://a"),
    ],
)
def test_command_lines_without_sense(tmp_path, words, named):
    done = on_beam(*words, cwd=tmp_path)
    assert named in complaint(done) and "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


CALLS = """
from a2d_tf import predict
from a2d_tf.commands import on_beam
for run, *words in [
    (on_beam.run, "a2d on-beam", "predict", "--staging=s", "--task=1/2"),
    (on_beam.run, "a2d on-beam", "predict", "--staging=s", "--task=1/2"),
    (predict.run, "a2d predict", "--staging=s"),
]:
    try:
        run(words)
    except SystemExit as end:
        assert end.code == 1
"""


def test_staging_is_a_flag_of_each_call_and_not_of_the_local_command():
    done = subprocess.run(
        [sys.executable, "-c", CALLS], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    first, second, local = done.stderr.splitlines()
    assert first == second and "--task: the runner distributes" in first
    assert "Unknown command line flag 'staging'" in local


URLS = {"annotations": "c=gs://b/own.zip", "output": "gs://b/out/"}


@pytest.mark.parametrize("form", ["equals", "blank", "one dash", "flagfile"])
def test_urls_are_known_however_they_are_written(form, tmp_path, monkeypatch):
    words = []
    for name, value in URLS.items():
        if form == "blank":
            words += [f"--{name}", value]
        elif form == "one dash":
            words += [f"-{name}={value}"]
        else:
            words += [f"--{name}={value}"]
    if form == "flagfile":
        (tmp_path / "urls.flags").write_text("\n".join(words))
        words = [f"--flagfile={tmp_path / 'urls.flags'}"]
    flags = command_line.Register()
    for name in ("output", "video", "labels"):
        flags.define_string(name, None, "One path.")
    flags.define_multi_string("annotations", [], "Several paths.")
    flags.define_integer("every", 1, "No path.")
    flagfiles.parse(["a2d on-beam", *words, "--labels=c:/l.json"], flags)
    monkeypatch.setattr(remote_files, "path_of_copy", lambda url, folder: f"{folder}/k")
    downloads = []
    monkeypatch.setattr(
        remote_files, "download_once", lambda *copy: downloads.append(copy)
    )

    copies = command.Copies("own", "staging")
    copies.replace_urls(flags)

    assert flags.annotations == ["c=staging/k"] and flags.output == "own/output"
    assert flags["output"].present and flags.labels == "c:/l.json"
    assert copies.urls == {"own/output": "gs://b/out"}
    assert copies.inputs == downloads == [("gs://b/own.zip", "staging/k")]


@pytest.mark.slow
def test_records_by_urls_resume(small_source, small_records, tmp_path):
    memory = tmp_path / "memory"
    release = shutil.copytree(small_source, memory / "bucket/Release")
    broken = next(release.glob("Annotations/mat/c/*.mat"))
    whole = broken.read_bytes()
    broken.write_bytes(b"no annotation")
    words = (
        "records",
        f"--release={SCHEME}bucket/Release",
        f"--output={SCHEME}bucket/records",
    )
    words = (*words, *SIZES, f"--staging={tmp_path / 'staging'}")
    options = {
        "runner": (*PROCESSES, "--direct_num_workers=2", "--beam_plugins=mem_like")
    }
    options["MEM_LIKE"] = str(memory)
    assert "00004.mat" in complaint(on_beam(*words, **options))
    records = memory / "bucket/records"
    before = {
        path: path.stat().st_mtime_ns for path in records.glob(".partial/train-*")
    }
    assert before and not (records / "manifest.json").exists()
    (records / ".partial/.on_beam-0.json").write_text(
        "results of a command that was killed"
    )
    broken.write_bytes(whole)
    os.utime(broken, ns=(0, 0))  # another state than that of the copy
    assert "complete, 0 items skipped" in succeeded(on_beam(*words, **options))
    assert contents(records) == contents(small_records)
    # Killed after the last shard: nothing is left to build.
    again = memory / "bucket/again"
    (again / ".partial").mkdir(parents=True)
    settings = convert.ConversionSettings(
        image_height=48, image_width=48, shard_videos=1
    )
    conversion = convert.Conversion(Release(release), again, settings)
    [*map(conversion.build, conversion.shards())]
    words = [word.replace("bucket/records", "bucket/again") for word in words]
    assert "complete, 0 items skipped" in succeeded(on_beam(*words, **options))
    assert contents(again) == contents(small_records)
    # Killed before it has removed what it was built from.
    (again / ".partial/train-00000").write_bytes(b"")
    assert "already complete" in succeeded(on_beam(*words, **options))
    assert contents(again) == contents(small_records)


@pytest.fixture(scope="module")
def library(films, tmp_path_factory):  # noqa: F811
    """A folder of three small videos and one that is none."""
    folder = tmp_path_factory.mktemp("library") / "library"
    shutil.copytree(films, folder, ignore=shutil.ignore_patterns("d"))
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def local(library, saved_model, tmp_path_factory):
    """The predictions of the local command."""
    output = tmp_path_factory.mktemp("local") / "out"
    words = (f"--saved_model={saved_model}", f"--video={library}", f"--output={output}")
    succeeded(run_a2d("predict", *words, "--on_error=skip"))
    tables = [
        "failed.csv",
        "index.html",
        "summary.csv",
        "sums.csv",
        "time_budget.csv",
        "videos.csv",
    ]
    assert sorted(os.listdir(output)) == ["a", "b", "c", *tables]
    return output


def without_failures(folder):
    return {
        name: data for name, data in contents(folder).items() if name != "failed.csv"
    }


def failures(output):
    return {
        row["video"]: row["reason"]
        for row in csv.DictReader((output / "failed.csv").open())
    }


@contextlib.contextmanager
def dask_cluster(folder, **variables):
    """Start Dask's scheduler and two workers with nannies; yield its file."""
    file = folder / "scheduler.json"
    common = ("--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard")
    worker = ("worker", *common, "--nthreads", "1", "--nworkers", "2")
    worker = (*worker, "--local-directory", str(folder / "dask"))
    processes = []
    try:
        for words in (("scheduler", *common, "--port", "0"), worker):
            start = [sys.executable, "-m", "dask", *words]
            options = {
                "cwd": folder,
                "env": environment(**variables),
                "stdout": subprocess.DEVNULL,
            }
            processes.append(
                subprocess.Popen(start, stderr=subprocess.DEVNULL, **options)
            )
            while not file.exists():
                assert processes[0].poll() is None
                time.sleep(0.1)
        yield file
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(60)


@pytest.mark.slow
def test_predictions_on_dask_by_urls_though_a_worker_is_killed(
    library, local, saved_model, tmp_path
):
    memory = tmp_path / "memory"
    shutil.copytree(library, memory / "in/videos")
    shutil.copytree(saved_model, memory / "in" / saved_model.name)
    words = (
        "predict",
        f"--saved_model={SCHEME}in/{saved_model.name}",
        "--on_error=skip",
    )
    words = (*words, f"--output={SCHEME}out", f"--staging={tmp_path / 'staging'}")
    variables = {"MEM_LIKE": str(memory)}
    with dask_cluster(tmp_path, **variables, **killing(tmp_path, "out/b/")) as file:
        runner = (
            "--runner=DaskRunner",
            f"--dask_scheduler_file={file}",
            "--beam_plugins=mem_like",
        )
        options = {"runner": runner, **variables}
        shown = succeeded(
            on_beam(*words, f"--video={SCHEME}in/videos/[a-c].mp4", **options)
        )
        assert "of 3 videos 3 predicted, 0 finished before, 0 failed" in shown
        assert (tmp_path / "killed").exists()
        assert without_failures(memory / "out") == without_failures(local)
        done = succeeded(on_beam(*words, f"--video={SCHEME}in/videos", **options))
        assert "of 4 videos 0 predicted, 3 finished before, 1 failed" in done
        assert f"{SCHEME}in/videos/broken.mp4" in failures(memory / "out")["broken"]
