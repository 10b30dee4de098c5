"""Tracks that a user has: read from exports, found in videos, numbered as on pages."""

import json

import numpy as np
import pytest
from a2d_files import coloured_frames, write_video

from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.labels.names import Names
from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.annotations.readers.exports import Export, exports_digest
from a2d_tf.annotations.tracks.given_tracks import GivenTracks, Reading
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.segmentations import encode_mask

SIZE = (96, 144)
LABELS = LabelSpace.from_fields(
    {
        "actors": ["mouse", "wheel"],
        "actions": ["running", "sitting", "turning"],
        "pairs": [["mouse", "running"], ["mouse", "sitting"], ["wheel", "turning"]],
    }
)
ROWS = ["1,7,10,20,30,40,1,-1,-1,-1", "1,3,50,20,30,40,1,-1,-1,-1", "3,7,12,20,30,40,1"]


@pytest.fixture
def film(tmp_path):
    (tmp_path / "films").mkdir()
    return write_video(tmp_path / "films" / "film.mp4", coloured_frames(7))


def mot(path, *rows):
    path.write_text("\n".join(rows) + "\n")
    return path


def read(film, *paths, labels=LABELS, names=None, wanted=("film",), **options):
    """The tracks of the film by exports."""
    options = ReadOptions(interpolated=True, needs_actor=False, **options)
    exports = [Export.parse(str(path), "tracks") for path in paths]
    reading = Reading(exports, names or Names(), options)
    folder = VideoFolder.of_paths(film.parent, [film])
    return GivenTracks.read(reading, folder, labels, wanted)


def test_boxes_numbers_and_gaps_are_those_of_the_file(film, tmp_path):
    given = read(film, mot(tmp_path / "film.txt", *ROWS)).videos["film"]
    first = given.instances(1, SIZE)
    np.testing.assert_array_equal(first.boxes, [[20, 10, 60, 40], [20, 50, 60, 80]])
    assert first.boxes.dtype == np.float32
    assert first.tracks.tolist() == [7, 3] and first.actors.tolist() == [-1, -1]
    assert first.masks == [None, None]
    gap = given.instances(2, SIZE)
    assert gap.boxes.shape == (0, 4) and gap.tracks.tolist() == []
    assert given.instances(3, SIZE).tracks.tolist() == [7]
    assert given.last_frames == {7: 3, 3: 1} and given.last_frame == 3
    assert not given.has_masks and given.names == {}


def test_a_tool_that_counts_from_0_is_shown_from_1(film, tmp_path):
    rows = ["1,0,10,20,30,40,1", "1,4,50,20,30,40,1"]
    given = read(film, mot(tmp_path / "film.txt", *rows)).videos["film"]
    assert given.instances(1, SIZE).tracks.tolist() == [1, 5]


def test_the_actor_is_that_of_the_flag_of_the_label_or_of_the_model(film, tmp_path):
    path = mot(tmp_path / "film.txt", *ROWS)
    given = read(film, path, actor="wheel").videos["film"]
    assert given.instances(1, SIZE).actors.tolist() == [1, 1]
    with pytest.raises(InputError) as error:
        read(film, path, actor="rat")
    assert str(error.value) == (
        f"{path}: line 1: 'rat' is no actor of the model (mouse, wheel); map it with"
        ' --names=FILE, a JSON file such as {"rat": ["mouse", null]}'
    )
    names = Names({"rat": ("mouse", None)})
    given = read(film, path, actor="rat", names=names).videos["film"]
    assert given.instances(1, SIZE).actors.tolist() == [0, 0]
    only = LabelSpace.from_fields({"actors": ["mouse"], "actions": ["running"]})
    given = read(film, path, labels=only).videos["film"]
    assert given.instances(1, SIZE).actors.tolist() == [0, 0]


def coco(path, *annotations, size=SIZE, **first):
    """A COCO export of frames 1 to 3; an annotation is (frame, category, facts)."""
    images = [
        {"id": n, "file_name": f"film/{n:05}.png", "height": size[0], "width": size[1]}
        for n in (1, 2, 3)
    ]
    entries = [
        {"id": i, "image_id": frame, "category_id": category, **facts}
        for i, (frame, category, facts) in enumerate(annotations, 1)
    ]
    categories = [{"id": 1, "name": "mouse"}, {"id": 2, "name": "wheel-turning"}]
    content = {"images": images, "annotations": entries, "categories": categories}
    path.write_text(json.dumps(content))
    return path


def test_masks_and_names_are_kept(film, tmp_path):
    mask = np.zeros(SIZE, bool)
    mask[10:30, 5:25] = True
    shape = {"segmentation": encode_mask(mask), "bbox": [5, 10, 20, 20]}
    ann = {"track_id": 2, "name": "Ann"}
    path = coco(
        tmp_path / "film.json",
        (1, 1, {**shape, "attributes": ann}),
        (2, 2, {"bbox": [60, 10, 20, 20], "attributes": {"track_id": 9}}),
    )
    given = read(film, path).videos["film"]
    first = given.instances(1, SIZE)
    assert first.actors.tolist() == [0] and first.tracks.tolist() == [2]
    assert first.masks == [encode_mask(mask)]
    np.testing.assert_array_equal(first.boxes, [[10, 5, 30, 25]])
    assert given.instances(2, SIZE).actors.tolist() == [1]
    assert given.names == {2: "Ann"} and given.has_masks


def test_what_is_no_track_of_the_video_is_an_error(film, tmp_path):
    path = tmp_path / "film.txt"
    outside = read(film, mot(path, "2,1,200,20,30,40,1")).videos["film"]
    problem = r"film.txt: line 1: .*200.* in a frame of 144x96 .*\(frame 2 of 'film'\)"
    with pytest.raises(InputError, match=problem):
        outside.instances(2, SIZE)
    with pytest.raises(InputError, match="line 2: track 3 is in this frame twice"):
        read(film, mot(path, "2,3,10,20,30,40,1", "2,3,50,20,30,40,1"))
    late = read(film, mot(path, *ROWS, "8,7,10,20,30,40,1")).videos["film"]
    late.check_length(8)
    with pytest.raises(InputError, match="frame 8 of 'film', which has 7 frames; use"):
        late.check_length(7)
    other = mot(tmp_path / "other.txt", *ROWS)
    with pytest.raises(InputError, match=r"other.txt: does not name .* --tracks=film="):
        read(film, other)
    with pytest.raises(InputError, match="no tracks of missing, but those of film; "):
        read(film, path, wanted=("missing",))
    unnumbered = coco(tmp_path / "film.json", (1, 1, {"bbox": [5, 10, 20, 20]}))
    with pytest.raises(InputError, match="names no track; --tracks takes an export"):
        read(film, unnumbered)
    resized = {"bbox": [5, 10, 20, 20], "attributes": {"track_id": 1}}
    path = coco(tmp_path / "film.json", (1, 1, resized), size=(100, 144))
    with pytest.raises(InputError, match="'width' and 'height' say 144x100, but the"):
        read(film, path).videos["film"].instances(1, SIZE)


def test_tracks_of_other_videos_are_left_out_once_those_wanted_are_there(
    film, tmp_path
):
    folder = tmp_path / "mot"
    folder.mkdir()
    mot(folder / "film.txt", *ROWS)
    mot(folder / "other.txt", *ROWS)
    assert [*read(film, folder).videos] == ["film"]


def test_gaps_shorter_than_the_step_are_counted_where_a_frame_is_answered(
    film, tmp_path
):
    # Answered with a step of 3: frames 1, 4, 7 and 10.
    frames_of_track = {1: (1, 2, 3, 5, 6, 8, 9), 2: (2, 3, 7, 10), 3: (1, 3, 4)}
    rows = []
    for track, frames in frames_of_track.items():
        rows += [f"{frame},{track},10,{20 * track},30,10,1" for frame in frames]
    tracks = read(film, mot(tmp_path / "film.txt", *rows)).videos["film"]
    # Track 1 lacks frames 4 and 7; the gap of track 2 at frame 4 is of three frames.
    assert tracks.short_gaps(3) == 2
    # Frames 1, 5 and 9, of which track 2 lacks the last two.
    assert tracks.short_gaps(4) == 2
    assert tracks.short_gaps(1) == 0


def test_the_digest_tells_changed_tracks(tmp_path):
    path = mot(tmp_path / "film.txt", *ROWS)
    before = exports_digest([Export(path)])
    assert exports_digest([Export(path)]) == before
    mot(path, *ROWS[:2])
    assert exports_digest([Export(path)]) != before
    in_folder = exports_digest([Export(tmp_path)])
    mot(tmp_path / "second.txt", *ROWS)
    assert exports_digest([Export(tmp_path)]) != in_folder
