"""Files of poses as DeepLabCut and SLEAP write them."""

import numpy as np

SCORER = "DLC_resnet50_miceNov2shuffle1_50000"


def deeplabcut_table(rows, individuals=("Ann", "Bea"), parts=("nose", "tail")):
    """A CSV as pandas writes DeepLabCut's; one animal alone has no individuals."""
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
    """Labels of a video of (index, (track or None, points, whether a user's), …)."""
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
