"""The mini A2D: drawn clips in the layout of the real release, with exact masks.

Actors differ in shape and texture (`figures`). Actions differ in motion only
(`programmes`): small and large steps, to the left and to the right, are equally
frequent in all actions of an axis, and positions, tilts and limbs have the same
distribution for all actions (`scenes`). So a single frame does not tell walking from
running, nor does the flow between two frames; a sequence of frames does.
"""

from __future__ import annotations

import functools
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import cv2
import h5py
import numpy as np

from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.errors import InputError
from a2d_tf.core.folders import whole_folder
from a2d_tf.core.labels import A2D
from a2d_tf.core.machine.workers import imap
from a2d_tf.data.mini.plan import VideoPlan, plan
from a2d_tf.data.mini.scenes import HEIGHT, SIZE, WIDTH, Scene
from a2d_tf.data.sources.annotation import paint

FPS = 25
_USER_BLOCK = 512  # bytes before the HDF5 part of a MATLAB v7.3 file


def write_mat(path: str | os.PathLike, codes: Sequence[int], masks: np.ndarray) -> None:
    """Write a frame's annotation as A2D has it, in MATLAB 7.3's format.

    That is an HDF5 file that begins with a block of text.

    Args:
      path: the file.
      codes: A2D's code of each instance [N]; N is at least 1.
      masks: masks of the instances, bool [N, H, W]; they do not overlap.
    """
    label_map = paint(masks, codes, np.uint8)
    boxes = np.empty((len(masks), 4))
    for box, mask in zip(boxes, masks):
        # x1, y1, x2, y2 of the outermost pixels, counted from 1.
        points = np.argwhere(mask)[:, ::-1] + 1
        box[:2] = points.min(axis=0)
        box[2:] = points.max(axis=0)
    masks = masks.astype(np.uint8).transpose(0, 2, 1)  # MATLAB stores columns first
    if len(masks) == 1:  # MATLAB drops a trailing dimension of one
        masks = masks[0]
    with h5py.File(path, "w", userblock_size=_USER_BLOCK) as file:
        _dataset(file, "reS_id", label_map.T, "uint8")
        _dataset(file, "reMask", masks, "uint8")
        _dataset(file, "reBBox", boxes.T, "double")
        _dataset(file, "id", np.array([codes], np.float64), "double")
        names = []
        for number, code in enumerate(codes):
            characters = np.frombuffer(A2D.name(code).encode("utf-16-le"), np.uint16)
            text = _dataset(file, f"#refs#/{number}", characters[:, None], "char")
            text.attrs["MATLAB_int_decode"] = np.int32(2)
            names.append(text.ref)
        cells = file.create_dataset("class", (1, len(codes)), h5py.ref_dtype)
        cells[0] = names
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 ."
    # The block: text, offset 0 of no subsystem data, version 2, little-endian.
    with open(path, "r+b") as file:
        file.write(header.ljust(116) + bytes(8) + b"\x00\x02IM")


def _dataset(file: Any, name: str, values: np.ndarray, matlab_class: str) -> Any:
    """Write an array as MATLAB does, compressed if it is large; return the dataset."""
    packing = {}
    if values.size > 1000:
        packing = {"compression": "gzip", "compression_opts": 3}
    dataset = file.create_dataset(name, data=values, track_times=False, **packing)
    dataset.attrs["MATLAB_class"] = np.bytes_(matlab_class)
    return dataset


def write_video(release: str | os.PathLike, video: VideoPlan) -> None:
    """Draw a clip and write its files into the folder of a mini A2D.

    The files are `clips320H/<VID>.mp4`, and for each annotated frame its annotation,
    `Annotations/mat/<VID>/<5 digits>.mat`, and the same as a picture in A2D's colours,
    `Annotations/col/<VID>/<5 digits>.png`.

    Args:
      release: the folder, which has `clips320H`.
      video: plan of the clip.
    """
    release = pathlib.Path(release)
    scene = Scene(video)
    clip = release / "clips320H" / f"{video.vid}.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), FPS, SIZE)
    for index in range(video.frames):
        writer.write(scene.image(index))
    writer.release()
    mat_folder = release / "Annotations" / "mat" / video.vid
    colour_folder = release / "Annotations" / "col" / video.vid
    mat_folder.mkdir(parents=True)
    colour_folder.mkdir(parents=True)
    for key in video.keys:
        instances = scene.instances(key - 1)
        codes = [video.codes[i] for i in instances]
        masks = np.stack(list(instances.values()))
        write_mat(mat_folder / f"{key:05d}.mat", codes, masks)
        colours = A2D.palette[paint(masks, codes, np.uint8)]
        cv2.imwrite(str(colour_folder / f"{key:05d}.png"), colours[..., ::-1])


def make_release(
    output: str | os.PathLike, videos: int, seed: int, workers: int
) -> pathlib.Path:
    """Draw a mini A2D into the folder `output`/Release.

    The folder has the layout of A2D's release: videoset.csv, clips320H, Annotations. An
    existing one that was made with the same `videos` and `seed` is kept.

    Args:
      output: folder in which the folder Release is made.
      videos: number of clips, at least 2.
      seed: seed of all random choices.
      workers: number of processes; the result does not depend on it.

    Returns:
      path of the folder Release.

    Raises:
      InputError: another release exists there, or the folder cannot be written.
    """
    output = pathlib.Path(output)
    release = output / "Release"
    plans = plan(videos, seed)
    made_with = f"--videos={videos} --seed={seed}"
    readme = _README.format(made_with=made_with)
    if release.exists():
        present = release / "README"
        if present.is_file() and present.read_bytes() == readme.encode():
            return release
        raise InputError(
            f"{release} was not made with {made_with}; delete it, or use another"
        )
    with whole_folder(os.fspath(release), replace=False) as folder:
        partial = pathlib.Path(folder)
        (partial / "clips320H").mkdir()
        clips = imap(functools.partial(write_video, partial), plans, workers)
        for _ in progress_bar(clips, "mini A2D", len(plans), unit="clip"):
            pass
        with open(partial / "videoset.csv", "w", encoding="utf-8") as file:
            for video in plans:
                cells = [video.vid, video.codes[0], "00:00:00", _end_time(video)]
                cells += [HEIGHT, WIDTH, video.frames, video.annotated, video.usage]
                print(*cells, sep=",", file=file)
        (partial / "README").write_text(readme, encoding="utf-8")
    return release


def _end_time(video: VideoPlan) -> str:
    """Return the end of a clip for videoset.csv, rounded up to whole seconds."""
    return f"00:00:{math.ceil(video.frames / FPS):02d}"


_README = """Mini A2D: drawn clips in the layout of the Actor-Action Dataset (A2D).

Made by a2d mini {made_with}, drawing 3

videoset.csv                          vid,label,start,end,height,width,frames,\
annotated,usage
                                      (usage 0 train, 1 test)
clips320H/<VID>.mp4                   clips
Annotations/mat/<VID>/<frame>.mat     reS_id, reMask, reBBox, id, class (MATLAB v7.3)
Annotations/col/<VID>/<frame>.png     label maps in A2D's colours

Frames are numbered from 1. Actors are told by shape and coat, actions by their \
motion alone.
"""
