"""Each file of a folder that a later command reads, cut at ten places, and flipped.

What is read then is what was read before, or the error is clear. Text has no checksum:
a letter that has become another one may be read.
"""

import contextlib
import json
import random
import shutil

import numpy as np
import pytest
from a2d_files import write_video

from a2d_tf.behaviour import bouts, predicted_tracks, prediction_folder
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data import clip_records
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.reports import frame_browser
from a2d_tf.runs import loading, packing, run_folder
from a2d_tf.video import video_prediction
from a2d_tf.video.choice import reasons
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.library import library_request, library_tables, library_videos
from a2d_tf.video.pages import video_page
from a2d_tf.video.predictors import predictor as predictors
from a2d_tf.video.reading import video_reader

TEXTS = (".csv", ".json", ".md", ".txt")
PLACES = 10  # of cuts, and of flips, in each file


def damages(content, name):
    """Yield what a file may hold after a crash, or after years on a disk."""
    chance = random.Random(name)
    for _ in range(PLACES):
        yield content[: chance.randrange(len(content))]
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        yield bytes(flipped)


def check(folder, read, skipped=()):
    """Damage each file of a folder in turn, and read the folder."""
    whole = read(folder)
    problems = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name in skipped:
            continue
        content = path.read_bytes()
        if not content:
            continue
        for damaged in damages(content, path.name):
            path.write_bytes(damaged)
            try:
                value = read(folder)
            except InputError as error:
                if len(str(error).splitlines()) != 1:
                    problems.append(f"{path.name}: {error}")
            except Exception as error:
                problems.append(f"{path.name}: {type(error).__name__}: {error}")
            else:
                if path.suffix not in TEXTS and value != whole:
                    problems.append(f"{path.name}: something else was read")
            path.write_bytes(content)
    assert not problems, "\n".join(problems)


@pytest.fixture
def run(tiny_run, loaded_run, monkeypatch, tmp_path):
    """A copy of a run whose network is not built anew, as that takes long."""
    monkeypatch.setattr(loading, "Network", lambda *_: loaded_run.network)
    return shutil.copytree(tiny_run, tmp_path / "run")


def read_run(folder):
    run = loading.load(str(folder))
    weights = [variable.numpy().tobytes() for variable in run.network.variables]
    return run.config, run.records, run.network.labels, weights


@pytest.fixture
def restored(loaded_run):
    """The weights of the network of all tests, as they were."""
    values = [variable.numpy() for variable in loaded_run.network.variables]
    yield
    for variable, value in zip(loaded_run.network.variables, values):
        variable.assign(value)


def test_a_run(run, restored):
    check(run, read_run)


def test_a_packed_model(run, restored, tmp_path):
    packing.pack(str(run), str(tmp_path / "packed"))
    check(tmp_path / "packed", read_run)


def test_marks_of_a_run(run):
    folder = run / "best"
    shutil.copytree(run / "checkpoints", folder)
    (step,) = run_folder.checkpoint_steps(folder)
    best = {"step": step, "score": 40.0, "score_threshold": 0.4}
    (folder / run_folder.BEST).write_text(json.dumps(best))
    (run / "finished.json").write_text(json.dumps({"steps": step}))

    def read(run):
        config = run_folder.read_loadable_config(str(run))
        is_finished = run_folder.is_finished(str(run), step)
        return config, is_finished, loading._read_best(str(run))

    check(run, read)


def test_records(small_records, tmp_path):
    def read(folder):
        manifest = Manifest.load(folder)
        records = []
        for split in manifest.splits:
            for shard in manifest.shards(split):
                with clip_records.reporting_damage(shard):
                    records += map(
                        clip_records.read_truth, clip_records.read_shard(shard)
                    )
        return repr(records)

    check(shutil.copytree(small_records, tmp_path / "records"), read)


def test_scores(evaluated, mini_records, tmp_path):
    def read(folder):
        ScoredRois.load(folder / "detections.npz")
        Truth.load(folder / "truth.json", A2D)
        return frame_browser.page("", folder, A2D, mini_records, split="test", limit=3)

    check(shutil.copytree(evaluated[1], tmp_path / "scores"), read)


@pytest.mark.slow
def test_an_export(saved_model, predictor, tmp_path):
    frame = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    flow = np.zeros((60, 90, 2), np.float32)

    def read(folder):
        features = predictors.Predictor.load(folder).features(frame, flow)
        return {name: values.numpy().tobytes() for name, values in features.items()}

    folder = shutil.copytree(saved_model, tmp_path / "export")
    check(folder, read, skipped=("fingerprint.pb",))


@pytest.fixture(scope="module")
def library(predictor, tmp_path_factory):
    """A library of one predicted film."""
    folder = tmp_path_factory.mktemp("library")
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (4, 60, 90, 3), np.uint8)
    write_video(folder / "film.mp4", list(frames))
    output = folder / "output"
    job = library_videos.Job(str(folder / "film.mp4"), str(output / "film"))
    request = library_request.Request(
        track_settings=TrackSettings(max_tracks="2"),
        model={"model": "m", "model_sha256": "0"},
    )
    output.mkdir()
    video_prediction.predict(
        lambda: predictor,
        video_reader.open_video(job.path),
        job.output,
        track_settings=request.track_settings,
        record=request.record(job),
        progress=None,
    )
    library_tables.conclude(str(output), [job], request, {})
    return output, job, request


def readers_of_predictions(job, request):
    def read_tracks(folder):
        return repr(bouts.read(folder))

    def read_masks(folder):
        return repr(predicted_tracks.read_tracked_video(folder))

    def read_times(folder):
        return prediction_folder.frame_times(folder)

    def make_page(folder):
        video_page.write_page(folder)

    def is_finished(folder):
        return request.is_finished(library_videos.Job(job.path, str(folder)))

    def find_reasons(folder):
        info = prediction_folder.read_video_info(folder)
        return repr(reasons.find_reasons(folder, info, range(1, 5), None))

    def conclude(folder):
        library_tables.conclude(
            str(folder.parent),
            [library_videos.Job(job.path, str(folder))],
            request,
            {"film": "it failed"},
        )

    return (
        read_tracks,
        read_masks,
        read_times,
        make_page,
        find_reasons,
        is_finished,
        conclude,
    )


def test_tables_of_a_library(library, tmp_path):
    output, job, request = library
    output = shutil.copytree(output, tmp_path / "output")
    (output / "failed.csv").write_text("video,reason\nother,it failed\n")

    tables = {path: path.read_bytes() for path in output.glob("*.csv")}
    jobs = [
        library_videos.Job(job.path, str(output / "film")),
        library_videos.Job("gone.mp4", str(output / "other")),
    ]
    for name in ("failed.csv", "videos.csv"):
        for damaged in damages(tables[output / name], name):
            (output / name).write_bytes(damaged)
            with contextlib.suppress(InputError):
                prediction_folder.folders_of([str(output)])
                library_tables.conclude(str(output), jobs, request, {})
            for path, content in tables.items():
                path.write_bytes(content)


@pytest.mark.parametrize("index", range(7))
def test_a_prediction(library, tmp_path, index):
    output, job, request = library
    folder = shutil.copytree(output, tmp_path / "output") / "film"
    read = readers_of_predictions(job, request)[index]
    check(folder, read, skipped=("index.html", "overlay.mp4"))
