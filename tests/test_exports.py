"""Real exports of annotation tools, read from folders and from zips."""

import importlib.util
import json

import pytest
from a2d_files import REAL, real

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.exports import Export

EXPORTS = REAL / "exports"
CASES = sorted(path.parent.name for path in EXPORTS.glob("*/expected.json"))
ZIPS = sorted({path.parent.parent.name for path in EXPORTS.glob("*/zips/*.zip")})
# Without any, the one case skips: there is no such folder.
CASES = CASES or ["exports"]
ZIPS = ZIPS or ["exports"]


def listed(source):
    """The annotated frames of a source with their instances, as JSON."""
    entries = []
    for video in source.videos:
        for number in source.annotated_frames(video.vid):
            annotation = source.read_annotation(video.vid, number)
            height, width = annotation.label_map.shape
            instances = []
            for mask, code, box in zip(
                annotation.masks, annotation.codes, annotation.boxes
            ):
                actor, action = source.label_space.split(code)
                y1, x1, y2, x2 = box.tolist()
                instances.append(
                    {
                        "actor": source.label_space.actors[actor - 1],
                        "action": source.label_space.actions[action - 1],
                        "box": [x1, y1, x2, y2],
                        "area": int(mask.sum()),
                    }
                )
            entry = {"video": video.vid, "frame": number, "instances": instances}
            entries.append({**entry, "width": width, "height": height})
    return entries


def problems(case, exports, every=False, **options):
    """The differences to what is expected of a case."""
    spec = importlib.util.spec_from_file_location("check", real("exports/check.py"))
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    options = ReadOptions(**options)
    source = AnnotatedVideos.read(exports, EXPORTS / case / "videos", options=options)
    found, frames, instances = check.compare(
        check.load(EXPORTS / case), listed(source), every
    )
    assert frames and instances
    return found


@pytest.mark.parametrize("case", CASES)
def test_exports_as_folders(case):
    folder = real(f"exports/{case}") / "export"
    assert problems(case, [Export(folder)]) == []
    every = problems(case, [Export(folder)], True, interpolated=True, empty_frames=True)
    # Frames that only the user knows to be empty are not among those expected.
    assert [
        line for line in every if not line.endswith("not annotated, but a record")
    ] == []


@pytest.mark.parametrize("case", ZIPS)
def test_exports_as_zips(case):
    folder = real(f"exports/{case}")
    videos = {}
    if (folder / "zips.json").exists():  # names no video, so the user does
        named = json.loads((folder / "zips.json").read_text())
        videos = {path: video for video, path in named.items()}
    paths = sorted((folder / "zips").glob("*.zip"))
    assert problems(case, [Export(path, videos.get(path.name)) for path in paths]) == []
