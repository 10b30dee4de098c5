"""Writes files in the exact layout of the A2D release, for the tests that read them."""

import fractions
import pathlib

import av
import cv2
import h5py
import numpy as np
import pytest

REAL = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"


def real(name):
    """A real file or folder where this machine has it; skips the test where not."""
    if not (REAL / name).exists():
        pytest.skip(f"{REAL / name} is not on this machine")
    return REAL / name


def mask(height, width, y1, x1, y2, x2):
    """A rectangular mask bool [height, width]; rows y1..y2-1, columns x1..x2-1."""
    inside = np.zeros((height, width), bool)
    inside[y1:y2, x1:x2] = True
    return inside


def write_mat(path, label_map, masks, codes, boxes, drop=(), **override):
    """One annotation as MATLAB v7.3 lays it out.

    label_map [H, W], masks [N, H, W], codes [N]; boxes [N, 4] are x1, y1, x2, y2,
    1-based and inclusive. Fields in `drop` are left out; `override` gives arrays as
    HDF5 has them.
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
    """One annotation of `a2d_annotation_with_instances`; see `write_mat`."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    fields = {"instance": np.asarray(instances, np.float64)}
    if len(boxes) == 1:
        fields["reBBox"] = boxes[0]
    return write_mat(
        path, label_map, masks, codes, boxes, drop, **{**fields, **override}
    )


def write_images(folder, frames, suffix=".png"):
    """A folder of RGB frames, 00001.png and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, 1):
        assert cv2.imwrite(str(folder / f"{number:05d}{suffix}"), frame[..., ::-1])
    return folder


def write_video(path, frames):
    """An mp4 of RGB frames uint8 [n, H, W, 3]."""
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
    """Write RGB frames as a video by any of FFmpeg's encoders.

    Frames begin at `times` in seconds, by default 25 of them a second; a second has
    `ticks` ticks.

    Without `times`, it is 25 frames a second; `ticks` are those of a second.
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
    """Write a video, 25 frames a second, that begins `delay` s after its sound."""
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
    """Frames whose grey level tells their 1-based number: 10, 20, 30, ..."""
    return [np.full((height, width, 3), 10 * (i + 1), np.uint8) for i in range(count)]


def moving_frames(count, height, width, step, seed=0):
    """Frames of a smooth texture that moves `step` pixels to the right per frame."""
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
    """`moving_frames` in colour."""
    frames = np.stack(moving_frames(count, height, width, 3, seed))
    return list(
        np.stack([frames[..., 0], 255 - frames[..., 0], frames[..., 0] // 2], axis=-1)
    )


def write_release(root, rows, header=False):
    """`videoset.csv` from rows of 9 cells; returns the root."""
    root.mkdir(parents=True, exist_ok=True)
    names = "VID,label,start_time,end_time,height,width,frames,annotated,usage\n"
    (root / "videoset.csv").write_text(names if header else "")
    add_rows(root, *rows)
    return root


def add_rows(root, *rows):
    """Append rows to the `videoset.csv` of a release."""
    with open(root / "videoset.csv", "a") as file:
        file.writelines(",".join(map(str, row)) + "\n" for row in rows)


def row(vid, height, width, frames, annotated, usage, label=11):
    return (vid, label, "00:00:00", "00:00:01", height, width, frames, annotated, usage)


def small_release(root):
    """Three videos of 64x96: two to train on (VIDs with hyphens), one to test on.

    `-b` is annotated at 1 and 8 of its 8 frames, the first with two overlapping
    instances; `--a` at 3, without any instance; `c` at 4, with one.
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
