"""Libraries: a folder of videos becomes a folder of predictions.

The steps, in this order:

  library_videos      `plan` finds the videos: a `Job` has the path of a video and the
                      folder of its prediction
  library_request     a `Request` has the settings, and tells which jobs are finished
  library_prediction  `predict` predicts the other videos, each whole or not at all
  library_tables      `conclude` writes the tables of the library, once every video is
                      finished or has failed
  library_page        the page of the library

`library_files` has the names of these files. `renewed_pages` writes the pages of videos
again after their model was scored.
"""
