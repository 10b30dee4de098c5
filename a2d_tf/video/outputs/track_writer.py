"""tracks.json and summary.csv: the tracks, and the table of their actions.

An action here is a bout: successive frames of a track with one label.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping

from a2d_tf.core.files import write_csv
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes import coco_json
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.outputs.json_list import JsonList
from a2d_tf.video.outputs.track_rows import COLUMNS, TrackRows


class TrackWriter:
    """Writer of `tracks.json` and `summary.csv`, frame by frame.

    Tracks are in the order of their ends, rows of the table in the order of their
    starts.

    Args:
      tracks_path: path of `tracks.json`; None to write none.
      summary_path: path of `summary.csv`; None to write none.
      rows_folder: path of the folder of temporary files with the rows of long tracks.
      names: {number of a track: the name of its individual}; it may be filled later,
        but before the first frame.
    """

    def __init__(
        self,
        tracks_path: str | None,
        summary_path: str | None,
        rows_folder: str,
        names: Mapping[int, str],
    ) -> None:
        self._file = JsonList(tracks_path) if tracks_path else None
        self._summary_path = summary_path
        self._rows_folder = rows_folder
        self._names = names
        self._tracks: dict[int, TrackRows] = {}  # by id, those that have not ended
        self._summary: list[list] = []

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        """Append the tracks of a frame, and write those that have ended.

        Args:
          frame: the next answered frame.
          labels: the label space of the codes.
        """
        self._rest(frame.resting)
        self._end(frame.ended)
        for i, track_id in enumerate(frame.tracks.tolist()):
            if track_id == 0:
                continue
            if track_id not in self._tracks:
                name = self._names.get(track_id)
                rows = TrackRows(track_id, labels, self._rows_folder, name)
                self._tracks[track_id] = rows
            self._tracks[track_id].add(
                frame.number,
                frame.seconds,
                frame.until,
                code=int(frame.codes[i]),
                score=round(float(frame.scores[i]), 6),
                bbox=coco_json.coco_box(frame.instances.boxes[i]),
            )

    def close(self) -> None:
        """Write the remaining tracks and the table, and finish the files."""
        self._end(list(self._tracks))
        if self._file is not None:
            self._file.close()
        if self._summary_path is not None:
            start_and_track = operator.itemgetter(
                COLUMNS.index("start_frame"), COLUMNS.index("track_id")
            )
            rows = sorted(self._summary, key=start_and_track)
            write_csv(self._summary_path, [COLUMNS, *rows])

    def _rest(self, track_ids: Iterable[int]) -> None:
        """End the actions of tracks that may go on later."""
        for track_id in track_ids:
            self._tracks[track_id].end_action()

    def _end(self, track_ids: Iterable[int]) -> None:
        """Write tracks that have ended, and forget them."""
        for track_id in track_ids:
            track = self._tracks.pop(track_id)
            track.end_action()
            self._summary += track.summary()
            if self._file is not None:
                track.write(self._file.next_item())
