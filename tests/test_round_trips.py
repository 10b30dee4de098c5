"""Drawn tracks, written for each tool and read again: every instance comes back."""

import dataclasses
import itertools
import pathlib
from typing import NamedTuple

import numpy as np
import pytest
from a2d_files import mask
from pycocotools import mask as rle_tools
from test_export_annotations import as_cvat_returns_it, differences

from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.instance_actions import give_actions
from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.labels.names import NO_NAMES
from a2d_tf.annotations.readers.formats import read_export
from a2d_tf.annotations.writers import tool_exports
from a2d_tf.annotations.writers.key_frames import (
    interpolate_boxes,
    keep_key_frames,
    select_frames,
)
from a2d_tf.annotations.writers.tracked_video import Shape, TrackedVideo, TrackShapes
from a2d_tf.behaviour import boris
from a2d_tf.behaviour.bouts import Bout, Prediction, TrackBouts
from a2d_tf.behaviour.prediction_folder import VideoInfo
from a2d_tf.core.labels import A2D
from a2d_tf.data.segmentations import decode_parts, encode_mask

QUICK = 10  # times eleven tests
ALL = 100
CASES = [
    pytest.param(seed, marks=() if seed < QUICK else pytest.mark.slow)
    for seed in range(ALL)
]
VIDEOS = ["clip1.mp4", "a b (2).avi", "clip.v2.mkv", "2024-05-01.mp4", "Mäuse_7.mp4"]
FOLDERS = ["clip1", "day.1", "7", "Mäuse 2"]
ACTORS = ["mouse", "Ratte groß", "dog"]
ACTIONS = ["run", "rest & eat", "<none>", "self-groom", "__undefined__", "4"]


class Seen(NamedTuple):
    """What identifies an instance of a frame."""

    number: int
    actor: str
    action: str


def draw_mask(random, size):
    """A mask of one to three rectangles, perhaps with a hole."""
    height, width = size
    inside = np.zeros(size, bool)
    for _ in range(random.integers(1, 4)):
        top, left = random.integers(0, height - 4), random.integers(0, width - 4)
        bottom = random.integers(top + 3, height + 1)
        right = random.integers(left + 3, width + 1)
        inside |= mask(height, width, top, left, bottom, right)
        if bottom - top > 8 and right - left > 8 and random.random() < 0.3:
            inside[top + 3 : top + 6, left + 3 : left + 6] = False
    return inside


def draw_video(random, step=None, actions=ACTIONS):
    """A `TrackedVideo` as a prediction has it: with gaps, and any step of frames."""
    size = tuple(random.integers(12, 50, 2).tolist())
    count = int(random.integers(1, 40))
    step = step or int(random.choice([1, 1, 2, 5]))
    first = int(random.integers(1, min(count, 6) + 1))
    frames = tuple(range(first, count + 1, step))
    if random.random() < 0.3:
        frames = frames[: random.integers(1, len(frames) + 1)]
    images = None
    source = str(random.choice(VIDEOS))
    if random.random() < 0.4:
        source = str(random.choice(FOLDERS))
        first_image = int(random.integers(0, 2))
        form = str(random.choice(["{:05d}.png", "{:d}.jpg"]))
        images = tuple(form.format(n + first_image) for n in range(count))
    numbers = random.choice(range(1, int(random.choice([8, 400]))), 4, replace=False)
    tracks = {}
    free_ids = itertools.count(1000)
    for number in numbers[: random.integers(1, 5)].tolist():
        for track in draw_track(random, frames, size, number, free_ids, actions):
            tracks[track.id] = track
    return TrackedVideo(
        source=source,
        images=images,
        size=size,
        frame_count=count if random.random() < 0.8 else None,
        frames=frames,
        actions={actor: tuple(ACTIONS) for actor in ACTORS},
        tracks=tuple(tracks[track_id] for track_id in sorted(tracks)),
        boxes_only=bool(random.random() < 0.3),
    )


def draw_track(random, frames, size, number, free_ids, actions):
    """The `TrackShapes` of a track, one for each of its actors."""
    actor, action = random.choice(ACTORS), random.choice(actions)
    shapes = {}
    for frame in frames:
        if random.random() < 0.1:
            actor = random.choice(ACTORS)
        if random.random() < 0.2:
            action = random.choice(actions)
        if random.random() < 0.8:
            rle = encode_mask(draw_mask(random, size))
            shape = Shape(frame, str(action), rle, score=float(random.random()))
            shapes.setdefault(str(actor), []).append(shape)
    for i, actor in enumerate(sorted(shapes)):
        track_id = next(free_ids) if i else number
        split_from = number if i else None
        yield TrackShapes(track_id, actor, tuple(shapes[actor]), split_from)


def seen_in(video, number):
    """{`Seen`: shape} of a frame."""
    shapes = {}
    for track, shape in video.by_frame()[number]:
        action = "" if shape.action == "__undefined__" else shape.action
        shapes[Seen(track.number, track.actor, action)] = shape
    return shapes


def number_in(video, frame):
    """The number of a frame that was read, as `matching` counts a folder's images."""
    if video.images is None:
        return frame.number
    first = int(pathlib.Path(video.images[0]).stem)
    if frame.numbering.kind == "names":
        return frame.number + 1 - first
    if frame.numbering.kind == "names from 0":
        return frame.number - first
    return frame.number


def read_again(path, form, video):
    """{number of the frame: {`Seen`: instance}} of an export."""
    options = ReadOptions(format_name=form, interpolated=True, empty_frames=True)
    found = {}
    for document in read_export(path, options):
        for frame in document.frames:
            assert frame.video == video.name
            instances = {}
            for instance in frame.instances:
                actor, action = NO_NAMES.annotated_names(instance)
                instances[Seen(instance.number, actor, action or "")] = instance
            assert len(instances) == len(frame.instances)
            found[number_in(video, frame)] = instances
    return found


def check_shape(instance, shape, video, form, masks):
    """Compare an instance with the shape that was written."""
    if video.boxes_only:
        assert list(instance.box) == pytest.approx(shape.box(), abs=0.011)
        return
    inside = shape.decoded()
    drawn = decode_parts(instance.parts, video.size, video.size)
    far, _ = differences(inside, drawn)
    assert far == 0 and (not masks or (drawn == inside).all())


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize("form", ["cvat", "coco", "labelme"])
def test_shapes(form, seed, tmp_path):
    random = np.random.default_rng(seed)
    whole = draw_video(random)
    masks = bool(random.random() < 0.4)
    path = tmp_path / ("a.xml" if form == "cvat" else "a.zip")
    is_next = random.random() < 0.4
    if is_next:
        count = random.integers(1, len(whole.frames) + 1)
        chosen = random.choice(whole.frames, count, replace=False).tolist()
        part = select_frames(whole, chosen)
    else:
        part = keep_key_frames(whole, int(random.integers(1, 8)))
        if form == "cvat" and whole.boxes_only:
            part = interpolate_boxes(part, 0.8)
    tool_exports.save(part, str(path), form, masks=masks)
    if form == "cvat" and random.random() < 0.5:
        as_cvat_returns_it(path, whole.frame_count or max(whole.frames))
    found = read_again(path, form, part)
    interpolated = set()
    for number in part.frames:
        expected = seen_in(part, number)
        if form == "cvat" and not expected:
            assert not found.pop(number, None)
            continue
        if form == "cvat":
            # Tracks without a key frame here are interpolated.
            interpolated |= found[number].keys() - expected.keys()
            assert found[number].keys() >= expected.keys()
        else:
            assert found[number].keys() == expected.keys()
        for seen, shape in expected.items():
            check_shape(found[number][seen], shape, part, form, masks)
        del found[number]
    assert not interpolated
    if form != "cvat" or is_next:
        assert not found
    # What CVAT fills is between frames that were looked at.
    for number, instances in found.items():
        if not instances and number <= max(whole.frames):
            assert not seen_in(whole, number)


@pytest.mark.parametrize("seed", CASES)
def test_masks(seed, tmp_path):
    random = np.random.default_rng(seed)
    whole = dataclasses.replace(draw_video(random), boxes_only=False)
    part = keep_key_frames(whole, int(random.integers(1, 8)))
    tool_exports.save(part, str(tmp_path / "a"), "masks")
    found = read_again(tmp_path / "a", "masks", part)
    assert sorted(found) == list(part.frames)
    for number in part.frames:
        free = np.ones(whole.size, bool)
        expected = {}
        for seen, shape in sorted(
            seen_in(part, number).items(), key=lambda pair: -pair[1].score
        ):
            inside = shape.decoded() & free
            free &= ~inside
            if inside.any():
                expected[seen] = encode_mask(inside)
        drawn = {seen: instance.parts[0] for seen, instance in found[number].items()}
        assert drawn == expected


def draw_prediction(random, name):
    """A `Prediction` with bouts, of a video file."""
    fps = float(random.choice([10, 25, 29.97]))
    tracks = []
    for number in random.choice(range(1, 50), random.integers(1, 5), replace=False):
        bouts = []
        ends = np.sort(random.choice(range(200), 2 * random.integers(1, 6), False))
        for start, end in zip(ends[::2] / fps, ends[1::2] / fps):
            actor = str(random.choice(ACTORS))
            action = str(random.choice(ACTIONS[:-2]))
            bouts.append(Bout(actor, action, float(start), float(end), 0.5))
        tracks.append(TrackBouts(int(number), bouts[0].actor, 0.5, tuple(bouts)))
    info = VideoInfo(
        name=f"{name}.mp4",
        images=None,
        frames=200,
        size=(24, 32),
        span=(0.0, 200 / fps),
        seconds=200 / fps,
        fps=fps,
        labels=A2D,
    )
    return Prediction(name, info, tracks)


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize("suffix", ["csv", "tsv", "boris"])
def test_times(suffix, seed, tmp_path):
    random = np.random.default_rng(seed)
    predictions = [draw_prediction(random, name) for name in ("clip1", "day 2")]
    path = tmp_path / f"a.{suffix}"
    if suffix == "boris":
        boris.write_project(path, predictions)
    else:
        boris.write_events(path, predictions)
    observations = bout_files.read(path)
    assert [o.video for o in observations] == ["clip1", "day 2"]
    for observation, prediction in zip(observations, predictions):
        expected = []
        for track in prediction.tracks:
            for bout in track.bouts:
                subject = f"{track.actor} {track.number}"
                times = (bout.start, bout.end)
                expected.append((subject, bout.action, *np.round(times, 3)))
        found = []
        for bout in observation.bouts:
            times = (bout.start, bout.end)
            found.append((bout.subject, bout.action, *np.round(times, 3)))
        assert sorted(found) == sorted(expected)


class TenASecond:
    """Stands for a video of ten frames a second, see `bout_frames.BoutFrames`."""

    def of_observation(self, observation, fps):
        for bout in observation.bouts:
            first, last = round(10 * bout.start), round(10 * bout.end)
            yield bout, range(first + 1, last + 1)


def bouts_of(video):
    """The `TrackBouts` of a `TrackedVideo` of ten frames a second."""
    bouts = {}
    for track in video.tracks:
        of_track = bouts.setdefault(track.number, [])
        for shape in track.shapes:
            start, end = (shape.frame - 1) / 10, shape.frame / 10
            latest = of_track[-1] if of_track else None
            if latest and latest[:3] == (track.actor, shape.action, start):
                of_track[-1] = (track.actor, shape.action, end, latest[3])
            else:
                of_track.append((track.actor, shape.action, end, start))
    return [
        TrackBouts(
            number,
            of_track[0][0],
            0.5,
            tuple(Bout(actor, a, start, end, 0.5) for actor, a, end, start in of_track),
        )
        for number, of_track in bouts.items()
    ]


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize("form", ["cvat", "coco", "labelme", "masks"])
def test_times_give_each_track_its_own_actions(form, seed, tmp_path):
    """Tracks without actions, and their actions coded in BORIS by number."""
    random = np.random.default_rng(seed)
    whole = draw_video(random, step=1, actions=ACTIONS[:-2])
    while not whole.tracks:
        whole = draw_video(random, step=1, actions=ACTIONS[:-2])
    whole = dataclasses.replace(whole, boxes_only=form != "masks")
    if form == "masks":  # which hide each other
        number = whole.tracks[0].number
        alone = tuple(track for track in whole.tracks if track.number == number)
        whole = dataclasses.replace(whole, tracks=alone)
    info = draw_prediction(random, whole.name).video
    prediction = Prediction(whole.name, info, bouts_of(whole))
    boris.write_events(tmp_path / "a.tsv", [prediction])
    coding = Coding(bout_files.read(tmp_path / "a.tsv"))

    tracks = []
    for track in whole.tracks:
        shapes = [dataclasses.replace(s, action="__undefined__") for s in track.shapes]
        tracks.append(dataclasses.replace(track, shapes=tuple(shapes)))
    part = dataclasses.replace(whole, tracks=tuple(tracks))
    every = int(random.integers(1, 4))
    path = tmp_path / ("a.xml" if form == "cvat" else "a.zip")
    tool_exports.save(keep_key_frames(part, every), str(path), form)
    frames = {}
    for document in read_export(path, ReadOptions(format_name=form)):
        for frame in document.frames:
            frames[number_in(whole, frame)] = frame
    vid = whole.name
    coded = give_actions(vid, frames, coding, NO_NAMES, TenASecond())
    assert coded.frames.keys() == frames.keys()
    for number, frame in coded.frames.items():
        found = {
            (instance.number, *NO_NAMES.pair(instance)) for instance in frame.instances
        }
        expected = {tuple(seen) for seen in seen_in(whole, number)}
        assert found == expected


def test_every_kind_of_case_is_drawn():
    videos = [draw_video(np.random.default_rng(seed)) for seed in range(QUICK)]
    assert any(video.images for video in videos)
    assert any(video.boxes_only for video in videos)
    assert any(video.frame_count is None for video in videos)
    tracks = [track for video in videos for track in video.tracks]
    assert any(track.split_from for track in tracks)
    assert any(track.number > 255 for track in tracks)
    assert any(
        rle_tools.area(shape.mask) > 400 for track in tracks for shape in track.shapes
    )
