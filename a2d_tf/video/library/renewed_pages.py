"""Write the pages of predicted videos again, after their model was scored."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

from a2d_tf.behaviour.prediction_folder import (
    REMEDY,
    RESULT_FILES,
    VIDEO_FILE,
    read_video_info,
)
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.files import write_json
from a2d_tf.runs import held_out_file
from a2d_tf.runs.held_out_scores import video_facts
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.pages.video_page import write_page


def renew(jobs: Iterable[Job], run: str) -> None:
    """Write the scores of a run into its predictions, and onto their pages.

    `video.json` of each prediction gets "held_out" and "split", and its page is written
    again if there is one. Without scores, nothing changes.

    Args:
      jobs: the predicted videos.
      run: path of the run folder, whose `held_out.json` has the scores.

    Raises:
      InputError: a file is damaged, or cannot be written.
    """
    held_out = held_out_file.read(run)
    if held_out is None:
        return
    for job in jobs:
        path = os.path.join(job.output, VIDEO_FILE)
        before = load_json(path, {}, REMEDY)
        now = {**before, **video_facts(held_out, job.name)}
        if now == before:
            continue
        if os.path.isfile(os.path.join(job.output, RESULT_FILES["page"])):
            video_info = dataclasses.replace(
                read_video_info(job.output),
                held_out=held_out,
                model_split=held_out.split_of(job.name),
            )
            write_page(job.output, video_info)
        write_json(path, now)  # last: until then the page is made again
