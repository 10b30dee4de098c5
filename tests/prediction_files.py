"""Write predictions by hand: tracks.json, video.json, and an overlay."""

import json

import numpy as np

from a2d_tf.core.labels import A2D
from a2d_tf.video.outputs.video_writer import Writer

FPS = 10
"""The number of frames a second of all predictions here."""


def track(number, *bouts, actor=None):
    """Return a track in the form of `tracks.json`.

    Args:
      number: number of the track.
      *bouts: (actor, action, first frame, last frame, score) each, in order.
      actor: actor of the whole track; None for that of the first bout.
    """
    actions = [
        {
            "category_id": 11,
            "actor": who,
            "action": what,
            "start_second": (first - 1) / FPS,
            "end_second": last / FPS,
            "start_frame": first,
            "end_frame": last,
            "mean_score": score,
        }
        for who, what, first, last, score in bouts
    ]
    whole = {
        name: actions[0][name] for name in ("actor", "start_second", "start_frame")
    }
    whole |= {name: actions[-1][name] for name in ("end_second", "end_frame")}
    whole |= {"actor": actor or bouts[0][0], "mean_score": 0.5, "actions": actions}
    row = {"frame": 1, "category_id": 11, "score": 0.5, "bbox": [1, 2, 3, 4]}
    return {"track_id": number, **whole, "frames": [row]}


TRACKS = [
    track(2, ("dog", "running", 11, 20, 0.9)),
    track(
        1,
        ("dog", "walking", 1, 10, 0.8),
        ("dog", "running", 11, 15, 0.6),
        ("cat", "running", 16, 17, 0.5),
        ("dog", "walking", 18, 40, 0.7),
        actor="dog",
    ),
    track(3, ("ball", "rolling", 21, 30, 0.25), ("ball", "flying", 31, 38, 0.3)),
]
"""Three tracks, one of which changes its actor."""


def write(folder, tracks=TRACKS, overlay=40, **facts):
    """Write the folder of a prediction; return its path.

    Args:
      folder: path of the folder, which is created.
      tracks: tracks, as `track` makes them.
      overlay: number of frames of the overlay, each of another grey; 0 for no overlay.
      **facts: fields of `video.json` that differ from the default.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tracks.json").write_text(json.dumps(tracks))
    described = {
        "name": f"{folder.name}.mp4",
        "images": None,
        "frames": None,
        "fps": FPS,
    }
    described |= {"height": 48, "width": 64, "every": 1, "begin": 0.0}
    described["until"] = max((track["end_second"] for track in tracks), default=0.0)
    described["labels"] = json.loads(A2D.to_json())
    described |= facts
    frames = described["frames"]
    described.setdefault(
        "seconds", frames / described["fps"] if frames else described["until"]
    )
    (folder / "video.json").write_text(json.dumps(described))
    if overlay:
        writer = Writer.open(folder / "overlay.mp4", FPS, (48, 64))
        for number in range(overlay):
            writer.write(np.full((48, 64, 3), 5 * number, np.uint8), number / FPS)
        writer.close()
    return folder


def many(count):
    """Return `count` tracks, each of a second, one starting every half second."""
    actions = A2D.actions
    return [
        track(i + 1, (A2D.actors[i % 7], actions[i % 9], 5 * i + 1, 5 * i + 10, 0.5))
        for i in range(count)
    ]
