"""What is read from tracks.json: bouts, and their colours."""

import json

import pytest
from prediction_files import TRACKS, write

from a2d_tf.core.errors import InputError
from a2d_tf.video.views import bouts


def test_tracks_are_read_in_the_order_of_their_starts(tmp_path):
    tracks = bouts.read(write(tmp_path, overlay=0))
    assert [(t.number, t.actor, t.start, t.bouts[-1].end) for t in tracks] == [
        (1, "dog", 0, 4),
        (2, "dog", 1, 2),
        (3, "ball", 2, 3.8),
    ]
    assert tracks[0].bouts[2] == bouts.Bout("cat", "running", 1.5, 1.7, 0.5)


def test_a_file_with_a_track_a_line_is_whole_or_damaged(tmp_path):
    folder = write(tmp_path, overlay=0)
    expected = bouts.read(folder)
    lines = ",\n".join(map(json.dumps, TRACKS))
    (folder / "tracks.json").write_text(f"[\n{lines}\n]\n")
    assert bouts.read(folder) == expected
    damaged = [f"[\n{lines}\n", f"[\n{lines[:-9]}\n]\n", f"[\n{lines},\n"]
    for text in (*damaged, "[{", "[" * 100000, "\xff"):
        (folder / "tracks.json").write_text(text, encoding="latin-1")
        with pytest.raises(InputError, match="tracks.json: "):
            bouts.read(folder)
