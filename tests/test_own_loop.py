"""Predicted, exported, coded again: each animal gets its own action.

The exports are of every tool; the times are those of BORIS' events and project, and of
`summary.csv`.
"""

import itertools
import json

import numpy as np
import pytest
from a2d_files import encode_video, mask, write_images
from test_annotation_formats import open_source

from a2d_tf.annotations.coded_times import coding
from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.annotations.writers import tool_exports
from a2d_tf.annotations.writers.key_frames import keep_key_frames
from a2d_tf.annotations.writers.tracked_video import Shape, TrackedVideo, TrackShapes
from a2d_tf.behaviour import boris
from a2d_tf.behaviour.bouts import Bout, Prediction, TrackBouts
from a2d_tf.behaviour.prediction_folder import VideoInfo
from a2d_tf.core.files import write_csv
from a2d_tf.core.labels import A2D
from a2d_tf.data.segmentations import encode_mask

SIZE = (48, 96)
ACTIONS = ["run", "rest", "dig"]
FORMS = ["cvat", "coco", "labelme", "masks"]
SEEDS = [
    pytest.param(seed, marks=() if seed < 8 else pytest.mark.slow) for seed in range(60)
]


def draw_tracks(random, frame_count):
    """Tracks that stay apart, of one or two parts, which are there for a time."""
    numbers = random.choice(range(1, 6), 3, replace=False).tolist()
    tracks = []
    for column, number in enumerate(sorted(numbers)):
        actor = str(random.choice(["mouse", "dog"]))
        first, last = np.sort(random.choice(frame_count, 2, replace=False)).tolist()
        shapes = []
        for frame in range(first, last + 1):
            left = 32 * column + int(random.integers(0, 6))
            inside = mask(*SIZE, 4, left, 20, left + 16)
            if random.random() < 0.5:
                inside |= mask(*SIZE, 26, left, 40, left + 12)
            shapes.append(Shape(frame + 1, "none", encode_mask(inside)))
        tracks.append(TrackShapes(number, actor, tuple(shapes)))
    return tuple(tracks)


def draw_actions(random, tracks):
    """{(number, frame): action} of all shapes, each action for some frames."""
    actions = {}
    for track in tracks:
        action = str(random.choice(ACTIONS))
        for shape in track.shapes:
            if random.random() < 0.2:
                action = str(random.choice(ACTIONS))
            actions[track.id, shape.frame] = action
    return actions


def bouts_of(track, actions, fps):
    """The bouts of a track, one for each run of frames of one action."""
    bouts = []
    keyed = itertools.groupby(track.shapes, lambda own: actions[track.id, own.frame])
    for action, shapes in keyed:
        frames = [shape.frame for shape in shapes]
        start, end = (frames[0] - 1) / fps, frames[-1] / fps
        bouts.append(Bout(track.actor, action, start, end, 0.5))
    return tuple(bouts)


def write_times(folder, kind, prediction):
    """Write a prediction's times; return the file."""
    if kind == "project":
        boris.write_project(folder / "own.boris", [prediction])
        return folder / "own.boris"
    if kind == "events":
        boris.write_events(folder / "own.tsv", [prediction])
        return folder / "own.tsv"
    rows = [("track_id", "actor", "action", "start_second", "end_second")]
    for track in prediction.tracks:
        for bout in track.bouts:
            rows.append((track.number, bout.actor, bout.action, bout.start, bout.end))
    (folder / "out").mkdir()
    write_csv(folder / "out/summary.csv", rows)
    video = prediction.video
    info = {"name": video.name, "images": video.images, "fps": video.fps}
    (folder / "out/video.json").write_text(json.dumps(info))
    return folder / "out/summary.csv"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["events", "project", "summary"])
@pytest.mark.parametrize("form", FORMS)
def test_each_animal_gets_its_own_action(form, kind, seed, tmp_path):
    random = np.random.default_rng(seed)
    frame_count = int(random.integers(4, 20))
    fps = float(random.choice([25, 30, 12.5]))
    frames = np.full((frame_count, *SIZE, 3), 90, np.uint8)
    images = None
    if kind != "project" and random.random() < 0.5:
        write_images(tmp_path / "videos/clip1", frames)
        images = tuple(f"{number:05d}.png" for number in range(1, frame_count + 1))
    else:
        times = np.arange(frame_count) / fps
        encode_video(tmp_path / "videos/clip1.mp4", frames, "libx264", times)
    tracks = draw_tracks(random, frame_count)
    actions = draw_actions(random, tracks)
    source_name = "clip1.mp4" if images is None else "clip1"
    video = TrackedVideo(
        source=source_name,
        images=images,
        size=SIZE,
        frame_count=frame_count,
        frames=tuple(range(1, frame_count + 1)),
        actions={"mouse": ("none",), "dog": ("none",)},
        tracks=tracks,
        boxes_only=form != "masks" and bool(random.random() < 0.3),
    )
    every = int(random.integers(1, 4))
    export = tmp_path / "own.zip"
    tool_exports.save(keep_key_frames(video, every), str(export), form, masks=False)
    prediction = Prediction(
        "clip1",
        VideoInfo(
            name=source_name,
            images=images,
            frames=frame_count,
            size=SIZE,
            span=(0.0, frame_count / fps),
            seconds=frame_count / fps,
            fps=fps,
            labels=A2D,
        ),
        [
            TrackBouts(track.id, track.actor, 0.5, bouts_of(track, actions, fps))
            for track in tracks
        ],
    )
    observations = bout_files.read(write_times(tmp_path, kind, prediction))
    # Only key frames are exported, which may miss a short action.
    behaviours = {bout.action for bout in observations[0].bouts}
    shown = {actions[key] for key in actions if key[1] in frames_of(video, every)}
    left_out = dict.fromkeys(behaviours - shown)
    source = open_source(
        export,
        tmp_path / "videos",
        coding=coding.Coding(observations, wins=True, subjects=left_out),
    )
    checked = 0
    for frame in source.annotated_frames("clip1"):
        annotation = source.read_annotation("clip1", frame, SIZE)
        for code, box in zip(annotation.codes, annotation.boxes):
            track = sorted(tracks, key=lambda own: own.id)[int(box[1] // 32)]
            expected = f"{track.actor}-{actions[track.id, frame]}"
            assert source.label_space.name(code) == expected, (frame, track.id)
            checked += 1
    assert checked


def frames_of(video, every):
    return keep_key_frames(video, every).frames
