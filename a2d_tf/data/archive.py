"""Compare a copy of A2D, packed or not, with the list of its videos.

It looks at names, sizes and headers; it decodes nothing and unpacks nothing to disk. `check.check`
is the thorough check of a release on disk.
"""

from __future__ import annotations

import bz2
import collections
import dataclasses
import gzip
import lzma
import os
import pathlib
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from typing import BinaryIO

import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text
from a2d_tf.core.limits import MAX_TEXT_BYTES
from a2d_tf.data import frames, intact
from a2d_tf.data.check import PUBLISHED, table
from a2d_tf.data.release import INSTANCES, parse_videoset

VIDEOSET = "videoset.csv"
_DAMAGED = (EOFError, OSError, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
_COMPRESSED = {
    b"BZh": bz2.BZ2File,
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"\xfd7zXZ": lzma.LZMAFile,
}
_MAT, _COL = "Annotations/mat", "Annotations/col"
# The end of a file's path: its kind, VID, frame and suffix.
_CLIP = re.compile(rf"(?:^|/)clips320H/([^/]+)({'|'.join(map(re.escape, frames.VIDEOS))})$")
_IMAGE = re.compile(rf"(?:^|/)pngs320H/([^/]+)/[^/]+({'|'.join(map(re.escape, frames.IMAGES))})$")
_ANNOTATION = re.compile(
    rf"(?:^|/)({_MAT}|{INSTANCES}|{_COL})/([^/]+)/(\d{{5}})(\.mat|\.h5|\.png)$"
)
# The annotated frames of the published archive are k * (frames // 6), except in these videos.
_STEPS = 6
_EXCEPTIONS = {"5kMTHwjy6Z8": (60, 70, 80), "KVOXdI4vSDE": (1, 5, 10)}
_BY_RULE = (3, 5)  # numbers of annotated frames that the rule applies to


@dataclasses.dataclass
class Contents:
    """The files of a copy by kind and video, with their flaws as of `intact.flaw`.

    Attributes:
      clips: {VID: flaw} of the video files.
      images: {VID: {path: flaw}} of the frames that are images.
      annotations: {form: {VID: {frame number: flaw}}}; a form is the folder `_MAT`, `INSTANCES` or
        `_COL`.
      videosets: {path: text} of its lists of videos.
      cut: a line for each truncated archive.
    """

    clips: dict = dataclasses.field(default_factory=dict)
    images: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(dict))
    annotations: dict = dataclasses.field(
        default_factory=lambda: {
            form: collections.defaultdict(dict) for form in (_MAT, INSTANCES, _COL)
        }
    )
    videosets: dict = dataclasses.field(default_factory=dict)
    cut: list = dataclasses.field(default_factory=list)

    def add(self, name: str, size: int, open_file: Callable[[], BinaryIO]) -> None:
        """Add a file if it is one of A2D's.

        Args:
          name: its path, with '/'.
          size: in bytes.
          open_file: returns the file, opened in binary.
        """
        place, key, suffix = self._place(name)
        if place is None or (place is self.videosets and size > MAX_TEXT_BYTES):
            return
        if suffix in frames.IMAGES:  # there may be half a million: none is opened
            place[key] = "" if size else intact.EMPTY
            return
        with open_file() as file:
            if place is self.videosets:
                place[key] = file.read().decode("utf-8-sig", "replace")
            else:
                place[key] = intact.flaw(file, size, suffix)

    def spoil(self, name: str, flaw: str) -> None:
        """Record the flaw of a file that cannot be read."""
        place, key, _ = self._place(name)
        if place is not None and place is not self.videosets:
            place[key] = flaw

    def _place(self, name):
        """Return (the dict that a file belongs into, its key, its suffix), or Nones."""
        base = name.rsplit("/", 1)[-1]
        if base.startswith(".") or "__MACOSX/" in name:
            return None, None, None  # macOS leaves such files beside copied ones
        if base == VIDEOSET:
            return self.videosets, name, ".csv"
        if match := _CLIP.search(name):
            return self.clips, match[1], match[2]
        if match := _IMAGE.search(name):
            return self.images[match[1]], name, match[2]
        if match := _ANNOTATION.search(name):
            form, vid, frame, suffix = match.groups()
            return self.annotations[form][vid], int(frame), suffix
        return None, None, None


@dataclasses.dataclass(frozen=True)
class Inventory:
    """The result of a check of a copy.

    Attributes:
      title: the copy and the list, one line.
      counts: {row: {'listed', 'found', 'whole', 'published': number}}.
      cut: a line for each truncated archive.
      bad_rows: the reason for each unusable row of the list.
      no_video: VIDs of listed videos that are missing.
      damaged: {file: flaw}.
      annotations: {VID: its missing annotations, in words}.
      unlisted: VIDs of files that are not in the list; they do no harm.
      whole: VIDs of complete videos.
    """

    title: str
    counts: dict
    cut: tuple
    bad_rows: tuple
    no_video: tuple
    damaged: dict
    annotations: dict
    unlisted: tuple
    whole: tuple

    @property
    def complete(self) -> bool:
        """Whether nothing is missing or damaged."""
        return not (self.cut or self.bad_rows or self.no_video or self.damaged or self.annotations)

    def text(self, limit: int = 20) -> str:
        """Format the report: a table and up to `limit` lines of each kind of problem."""
        lines = [self.title, "", *table(self.counts), ""]
        lines += [f"problem: {line}" for line in self.cut]
        for kind, items in (
            ("malformed row", self.bad_rows),
            ("no video", self.no_video),
            ("damaged", [f"{name} {flaw}" for name, flaw in self.damaged.items()]),
            ("annotations", [f"{vid}: {lack}" for vid, lack in self.annotations.items()]),
            ("not in the list", self.unlisted),
        ):
            lines += [f"{kind}: {item}" for item in items[:limit]]
            if len(items) > limit:
                lines.append(f"{kind}: ... and {len(items) - limit} more")
        total = self.counts["videos"]["listed"]
        state = "complete" if self.complete else "incomplete"
        lines.append(f"{state}: {len(self.whole)} of {total} videos are whole")
        # Names in an archive must not control the terminal.
        return "\n".join("".join(c if c.isprintable() else "?" for c in x) for x in lines)

    def to_dict(self) -> dict:
        """Return all fields, for JSON."""
        return {"complete": self.complete, **dataclasses.asdict(self)}


def check(
    paths: Iterable[str | os.PathLike], videoset: str | os.PathLike | None = None
) -> Inventory:
    """Compare a copy of A2D with the list of its videos.

    Args:
      paths: archives (tar, also compressed, or zip) and folders that form the copy together, such
        as the main archive and that of the annotations with instances.
      videoset: a videoset.csv to compare with; by default the copy's.

    Raises:
      InputError: a path is neither archive nor folder, or there is no list of videos, or none of
        its rows can be used.
    """
    contents = Contents()
    for path in map(pathlib.Path, paths):
        _scan(path, contents)
    if videoset is not None:
        name = str(videoset)
        try:
            text = read_text(videoset)
        except (OSError, ValueError) as error:
            raise InputError(f"{name}: not a readable list of videos ({error})") from error
    elif contents.videosets:
        name = min(contents.videosets, key=lambda name: (name.count("/"), name))
        text = contents.videosets[name]
    else:
        raise InputError(
            f"{', '.join(map(str, paths))}: no {VIDEOSET} in it; --list names one to compare with"
        )
    videos, _, skipped = parse_videoset(text, name, skip_rows=True)
    bad_rows = tuple(row["reason"] for row in skipped)
    return _compare(videos, bad_rows, contents, f"{', '.join(map(str, paths))}, against {name}")


def _compare(videos, bad_rows, contents, title):
    counts = {row: collections.Counter() for row in ("videos", "train", "test")}
    counts["annotated frames"] = collections.Counter()
    counts.update({f"annotated, {split}": collections.Counter() for split in ("train", "test")})
    no_video, damaged, lacking, whole = [], {}, {}, []
    for video in videos:
        there, flaws = _frames_of(video, contents)
        split = "test" if video.usage else "train"
        form, have = _annotations_of(video, contents)
        flaws.update(
            {f"{form}/{video.vid}/{frame:05d}": flaw for frame, flaw in have.items() if flaw}
        )
        sound = sum(not flaw for flaw in have.values())
        lack = _lack(video, have, contents)
        if not there:
            no_video.append(video.vid)
        if lack:
            lacking[video.vid] = lack
        damaged.update(flaws)
        complete = there and not flaws and not lack
        whole += [video.vid] * complete
        for row in ("videos", split):
            counts[row].update(listed=1, found=there, whole=complete)
        for row in ("annotated frames", f"annotated, {split}"):
            counts[row].update(listed=video.annotated, found=len(have), whole=sound)
    if len(videos) == PUBLISHED["videos"]:
        for row, number in PUBLISHED.items():
            counts[row]["published"] = number
    known = {video.vid for video in videos}
    forms = (contents.clips, contents.images, *contents.annotations.values())
    unlisted = sorted({vid for form in forms for vid in form} - known)
    return Inventory(
        title,
        {row: dict(numbers) for row, numbers in counts.items()},
        tuple(contents.cut),
        bad_rows,
        tuple(no_video),
        damaged,
        lacking,
        tuple(unlisted),
        tuple(whole),
    )


def _frames_of(video, contents):
    """Return (whether the frames of a video exist, {file: flaw})."""
    if video.vid in contents.clips:
        flaw = contents.clips[video.vid]
        return True, {f"clips320H/{video.vid}": flaw} if flaw else {}
    images = contents.images.get(video.vid, {})
    flaws = {name: flaw for name, flaw in images.items() if flaw}
    if images and len(images) < video.frames:
        flaws[f"pngs320H/{video.vid}"] = f"has {len(images)} of {video.frames} frames"
    return bool(images), flaws


def _annotations_of(video, contents):
    """Return (form, {frame number: flaw}) of the annotations that a `Release` would read."""
    for form in (_MAT, INSTANCES):
        if contents.annotations[form].get(video.vid):
            return form, contents.annotations[form][video.vid]
    return _MAT, {}


def _lack(video, have, contents):
    """Return which of a video's annotations are missing, in words; '' if none.

    Frames are named if they follow from other forms of the annotations or from the archive's rule.
    """
    if len(have) >= video.annotated:
        return ""
    told = {frame for form in contents.annotations.values() for frame in form.get(video.vid, ())}
    rule = _EXCEPTIONS.get(video.vid, ())
    step = video.frames // _STEPS
    if not rule and video.annotated in _BY_RULE and step:
        rule = tuple(step * k for k in range(1, video.annotated + 1))
    names = sorted(told - set(have))
    if len(told) < video.annotated:
        # The rule holds only if the existing files follow it.
        names = sorted(set(rule) - set(have)) if told <= set(rule) else []
    text = f"{len(have)} of {video.annotated} files"
    return f"{text}, without {', '.join(f'{frame:05d}' for frame in names)}" if names else text


def _scan(path, contents):
    """Add the files of a folder or an archive."""
    if path.is_dir():
        _scan_folder(path, contents)
        return
    try:
        with open(path, "rb") as file:
            start = file.read(512)
        if zipfile.is_zipfile(path):
            _scan_zip(path, contents)
        elif start.startswith(b"PK\3\4"):
            raise InputError(
                f"{path}: cut off: a zip archive lists its contents at its end, which is missing"
            )
        else:
            _scan_tar(path, start, contents)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _scan_folder(root, contents):
    base, seen = root.absolute().parent, set()
    for parent, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # links in a circle
            folders.clear()
            continue
        seen.add(real)
        for name in names:
            path = pathlib.Path(parent, name).absolute()
            _take(path.relative_to(base).as_posix(), path, contents)


def _take(name, path, contents):
    """Add a file of a folder; record one that cannot be read as damaged."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            return
        contents.add(name, size, lambda: open(path, "rb"))
    except OSError as error:
        contents.spoil(name, f"cannot be read ({error.strerror})")


def _scan_zip(path, contents):
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise InputError(f"{path}: cut off or damaged ({error}); get it again") from error
    with archive:
        for info in tqdm.tqdm(archive.infolist(), path.name, unit="file"):
            if info.is_dir():
                continue
            try:
                contents.add(info.filename, info.file_size, lambda i=info: archive.open(i))
            except (*_DAMAGED, NotImplementedError, RuntimeError) as error:  # or encrypted
                contents.spoil(info.filename, f"cannot be read ({error})")


def _scan_tar(path, start, contents):
    """Read a tar archive once, moving forwards only."""
    kind = next((kind for magic, kind in _COMPRESSED.items() if start.startswith(magic)), None)
    last, end, size = None, 0, os.path.getsize(path)
    with open(path, "rb") as raw:
        bar = {"total": size, "desc": path.name, "unit": "B", "unit_scale": True}
        with tqdm.tqdm.wrapattr(raw, "read", **bar) as counted:
            plain = kind(counted) if kind else counted
            try:
                with tarfile.open(fileobj=plain, mode="r:") as archive:
                    for member in archive:
                        if member.isfile():
                            last, end = member.name, member.offset_data + member.size
                            contents.add(last, member.size, lambda m=member: archive.extractfile(m))
                # tarfile accepts any end. A whole archive ends with zeros; a compressed one is read
                # on to the end of its stream, which fails if it is truncated.
                while plain.read(1 << 20):
                    pass
                if not kind and not _ends_in_zeros(raw):
                    raise EOFError
            except _DAMAGED as error:
                if last is None:
                    raise InputError(
                        f"{path}: neither a folder nor a readable tar or zip archive ({error})"
                    ) from error
                if (plain.tell() if kind else size) < end:
                    contents.spoil(last, "is cut off with its archive")
                contents.cut.append(f"{path}: cut off or damaged after {last}; get it again")


def _ends_in_zeros(file):
    file.seek(-512, os.SEEK_END)
    return not any(file.read(512))
