"""Writes files in the exact layout of the A2D release, for the tests that read them."""

import fractions
import pathlib

import av
import cv2
import h5py
import numpy as np
import pytest

REAL = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
"""The folder of real files that tests read, beside the repository."""


def real(name):
    """Return the path of a real file or folder; skip the test if this machine lacks it.

    Args:
      name: path below `REAL`.
    """
    if not (REAL / name).exists():
        pytest.skip(f"{REAL / name} is not on this machine")
    return REAL / name


def mask(height, width, y1, x1, y2, x2):
    """Return a mask with a filled rectangle, bool [height, width].

    The rectangle has the rows y1 to y2 - 1 and the columns x1 to x2 - 1.
    """
    inside = np.zeros((height, width), bool)
    inside[y1:y2, x1:x2] = True
    return inside


def write_mat(path, label_map, masks, codes, boxes, drop=(), **override):
    """Write the annotation of one frame as MATLAB v7.3 lays it out; return the path.

    Args:
      path: path of the .mat file, whose folders are created.
      label_map: code of each pixel, [H, W]; 0 is background.
      masks: masks of the instances, [N, H, W].
      codes: codes of the instances, [N].
      boxes: boxes of the instances, [N, 4], (x1, y1, x2, y2), 1-based and inclusive.
      drop: names of fields to leave out.
      **override: arrays to write in place of a field, as HDF5 has them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    masks = np.asarray(masks, np.uint8)
    count = len(masks)
    fields = {
        "reS_id": np.asarray(label_map, np.float64).T,
        # MATLAB's H x W x 1 is an H x W: a single mask loses its axis.
        "reMask": masks[0].T if count == 1 else masks.transpose(0, 2, 1),
        "reBBox": np.asarray(boxes, np.float64).reshape(-1, 4).T,
        "id": np.asarray(codes, np.float64).reshape(1, -1),
    }
    fields.update(override)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in fields.items():
            if name in drop:
                continue
            if np.size(value):
                file.create_dataset(name, data=value)
            else:  # MATLAB writes the dimensions in place of no contents
                file.create_dataset(name, data=np.array([value.shape], np.uint64))
                file[name].attrs["MATLAB_empty"] = np.uint8(1)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def write_h5(path, label_map, masks, codes, boxes, instances, drop=(), **override):
    """Write one annotation of `a2d_annotation_with_instances`; return the path.

    Args:
      path, label_map, masks, codes, boxes, drop, **override: see `write_mat`.
      instances: number of the individual of each instance, [N].
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    fields = {"instance": np.asarray(instances, np.float64)}
    if len(boxes) == 1:
        fields["reBBox"] = boxes[0]
    return write_mat(
        path, label_map, masks, codes, boxes, drop, **{**fields, **override}
    )


def write_images(folder, frames, suffix=".png"):
    """Write frames as images of a folder, 00001.png and so on; return the folder.

    Args:
      folder: path of the folder, which is created.
      frames: RGB uint8 [H, W, 3] each.
      suffix: suffix of the files, which tells their format.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, 1):
        assert cv2.imwrite(str(folder / f"{number:05d}{suffix}"), frame[..., ::-1])
    return folder


def write_video(path, frames):
    """Write frames as a video of MPEG-4, 24 frames a second; return the path.

    Args:
      path: path of the file, whose folders are created.
      frames: RGB uint8 [H, W, 3] each.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*"mp4v"), 24, (width, height)
    )
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def encode_video(path, frames, codec, times=None, ticks=12800, **options):
    """Write frames as a video by any of FFmpeg's encoders; return the path.

    Args:
      path: path of the file, whose suffix tells the container.
      frames: RGB uint8 [H, W, 3] each.
      codec: name of the encoder, such as libx264.
      times: times at which the frames begin, in seconds; None for 25 frames a second.
      ticks: number of the file's units of time in a second.
      **options: options of the encoder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, 25, options)
        context = stream.codec_context
        context.height, context.width, context.pix_fmt = height, width, "yuv420p"
        context.time_base = fractions.Fraction(1, ticks)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = round(
                (times[index] if times is not None else index / 25) * ticks
            )
            picture.time_base = context.time_base
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    return path


def write_video_with_sound(path, frames, delay):
    """Write a video, 25 frames a second, that begins after its sound; return the path.

    Args:
      path: path of the file, whose folders are created.
      frames: RGB uint8 [H, W, 3] each.
      delay: seconds from the start of the sound to the first frame.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as file:
        film = file.add_stream("libx264", 25)
        context = film.codec_context
        context.height, context.width, context.pix_fmt = height, width, "yuv420p"
        context.time_base = fractions.Fraction(1, 100)
        sound = file.add_stream("aac", 16000, layout="mono")
        for i in range(20):
            block = np.zeros((1, 1024), np.float32)
            samples = av.AudioFrame.from_ndarray(block, "fltp", "mono")
            samples.sample_rate = 16000
            samples.pts = 1024 * i
            file.mux(sound.encode(samples))
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = round(100 * (delay + i / 25))
            picture.time_base = context.time_base
            file.mux(film.encode(picture))
        file.mux(film.encode(None))
        file.mux(sound.encode(None))
    return path


def grey_frames(count, height, width):
    """Return RGB frames whose grey level tells their number: 10, 20, 30 and so on."""
    return [np.full((height, width, 3), 10 * (i + 1), np.uint8) for i in range(count)]


def moving_frames(count, height, width, step, seed=0):
    """Return RGB frames of a smooth grey texture that moves to the right.

    Args:
      count: number of the frames.
      height, width: size of a frame in pixels.
      step: pixels by which the texture moves from frame to frame.
      seed: seed of the texture.
    """
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width + step * count))
    texture = cv2.normalize(
        cv2.GaussianBlur(noise, (0, 0), 2.5), None, 20, 235, cv2.NORM_MINMAX
    )
    starts = [step * (count - i) for i in range(count)]
    return [
        np.repeat(texture[:, s : s + width, None].astype(np.uint8), 3, axis=2)
        for s in starts
    ]


def coloured_frames(count, height=96, width=144, seed=0):
    """Return RGB frames of a coloured texture that moves 3 pixels a frame."""
    frames = np.stack(moving_frames(count, height, width, 3, seed))
    return list(
        np.stack([frames[..., 0], 255 - frames[..., 0], frames[..., 0] // 2], axis=-1)
    )


def write_release(root, rows, header=False):
    """Write the `videoset.csv` of a release of A2D; return the folder of the release.

    Args:
      root: path of that folder, which is created.
      rows: rows of 9 cells, as `row` makes them.
      header: whether the file begins with the names of its columns.
    """
    root.mkdir(parents=True, exist_ok=True)
    names = "VID,label,start_time,end_time,height,width,frames,annotated,usage\n"
    (root / "videoset.csv").write_text(names if header else "")
    add_rows(root, *rows)
    return root


def add_rows(root, *rows):
    """Append rows, as `row` makes them, to the `videoset.csv` of a release."""
    with open(root / "videoset.csv", "a") as file:
        file.writelines(",".join(map(str, row)) + "\n" for row in rows)


def row(vid, height, width, frames, annotated, usage, label=11):
    """Return a row of `videoset.csv`.

    Args:
      vid: name of the video.
      height, width: size of the video in pixels.
      frames: number of its frames.
      annotated: number of its annotated frames.
      usage: 0 for a training video, 1 for a test video.
      label: code of the video's actor and action.
    """
    return (vid, label, "00:00:00", "00:00:01", height, width, frames, annotated, usage)


def small_release(root):
    """Write a release of three videos of 64x96: two to train on, one to test on.

    Video `-b` is annotated at frames 1 and 8 of its 8, the first with two overlapping
    instances; `--a` at 3, without any instance; `c` at 4, with one.

    Returns:
      the folder of the release, `root`.
    """
    size = (64, 96)
    write_release(
        root,
        [
            row("-b", *size, 8, 2, 0),
            row("--a", *size, 6, 1, 0),
            row("c", *size, 6, 1, 1),
        ],
    )
    write_video(root / "clips320H" / "-b.mp4", moving_frames(8, *size, step=4))
    write_video(root / "clips320H" / "--a.mp4", moving_frames(6, *size, step=2, seed=1))
    write_video(root / "clips320H" / "c.mp4", moving_frames(6, *size, step=4, seed=2))
    adult, ball = mask(*size, 8, 16, 40, 48), mask(*size, 30, 40, 51, 81)
    mat = root / "Annotations" / "mat"
    labels = np.where(ball, 34, np.where(adult, 16, 0))
    write_mat(
        mat / "-b" / "00001.mat",
        labels,
        [adult, ball],
        [16, 34],
        [[17, 9, 48, 40], [41, 31, 81, 51]],
    )
    one = np.where(adult, 16, 0)
    write_mat(mat / "-b" / "00008.mat", one, [adult], [16], [[17, 9, 48, 40]])
    write_mat(mat / "--a" / "00003.mat", np.zeros(size), np.zeros((0, *size)), [], [])
    write_mat(
        mat / "c" / "00004.mat",
        2 * one + 2 * (one > 0),
        [adult],
        [34],
        [[17, 9, 48, 40]],
    )
    return root
