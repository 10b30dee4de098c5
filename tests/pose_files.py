"""Make files of poses as DeepLabCut and SLEAP write them."""

import numpy as np

SCORER = "DLC_resnet50_miceNov2shuffle1_50000"


def deeplabcut_table(rows, individuals=("Ann", "Bea"), parts=("nose", "tail")):
    """Return the text of a CSV as pandas writes DeepLabCut's.

    Args:
      rows: for each frame the x, y and likelihood of each part of each individual; NaN
        for an empty cell.
      individuals: names of the individuals; (None,) for a single animal, whose table
        has no row of individuals.
      parts: names of the body parts.
    """
    columns = []
    for individual in individuals:
        for part in parts:
            for coordinate in ("x", "y", "likelihood"):
                columns.append((SCORER, individual, part, coordinate))
    lines = []
    for level, names in zip(
        ("scorer", "individuals", "bodyparts", "coords"), zip(*columns)
    ):
        if level != "individuals" or individuals != (None,):
            lines.append(",".join((level, *names)))
    for number, row in enumerate(rows):
        cells = ["" if value != value else repr(float(value)) for value in row]
        lines.append(",".join((str(number), *cells)))
    return "\n".join(lines) + "\n"


def sleap_labels(sleap_io, *frames, filename="C:\\lab\\clip.mp4", names=("Ann", "Bea")):
    """Return the labels of a video as sleap-io has them, with the parts nose and tail.

    Args:
      sleap_io: the module.
      *frames: (index, instance, ...) each, where an instance is (index of its track or
        None, points [2, 2], whether a user placed them).
      filename: path of the video, or a list of images.
      names: names of the tracks.
    """
    skeleton = sleap_io.Skeleton(["nose", "tail"])
    video = sleap_io.Video(filename=filename, open_backend=isinstance(filename, list))
    tracks = [sleap_io.Track(name) for name in names]
    labeled = []
    for index, *drawn in frames:
        instances = []
        for track, points, by_user in drawn:
            kind = sleap_io.Instance if by_user else sleap_io.PredictedInstance
            instance = kind.from_numpy(
                np.array(points, np.float64),
                skeleton=skeleton,
                track=None if track is None else tracks[track],
            )
            instances.append(instance)
        labeled.append(
            sleap_io.LabeledFrame(video=video, frame_idx=index, instances=instances)
        )
    return sleap_io.Labels(labeled, videos=[video], skeletons=[skeleton], tracks=tracks)
