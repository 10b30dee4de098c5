"""Resumable, verified downloads.

A download is written to `<path>.part`, which survives a broken connection and Ctrl-C: the next
attempt requests the rest (HTTP Range). It is renamed to `<path>` once its size and hash are the
published ones. Only HTTPS with verified certificates is used, except for servers on loopback.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import IO

from tqdm import tqdm

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import file_digest

ATTEMPTS = 5  # attempts in a row without progress
_PROGRESS = 0.02  # least share of the file that counts; at most 50 * ATTEMPTS attempts are made
_TIMEOUT = 30.0  # seconds without a byte
_PATIENCE = 1.0  # seconds before the second attempt, doubled for each further one
_LONGEST_WAIT = 30.0
_BLOCK = 1 << 16  # bytes
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)  # status codes worth another attempt
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class DownloadError(InputError):
    """A file that cannot be downloaded."""


class _Broken(Exception):
    """A failure that another attempt may overcome."""


def fetch(
    url: str,
    path: str | os.PathLike,
    size: int,
    md5: str | None = None,
    *,
    magic: bytes = b"",
    timeout: float = _TIMEOUT,
    patience: float = _PATIENCE,
) -> None:
    """Download a file, or the rest of it.

    Args:
      url: its address: HTTPS, or HTTP on loopback.
      path: destination; its folder is created.
      size: bytes; no more are ever written.
      md5: hexadecimal, if published.
      magic: the bytes that it must start with.
      timeout: seconds without a byte after which a connection counts as broken.
      patience: seconds before the second attempt.

    Raises:
      DownloadError: the server cannot be reached, refuses, sends another file, or breaks off
        `ATTEMPTS` times in a row. What was received stays in `<path>.part`, unless it is wrong.
    """
    _check_address(url, url)
    path, opener = os.fspath(path), urllib.request.build_opener(_Redirects(url))
    part, failures, best, reached = f"{path}.part", 0, 0, False
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if _length(part) > size:
            os.remove(part)
        with tqdm(desc=os.path.basename(path), total=size, unit="B", unit_scale=True) as bar:
            while _length(part) < size:
                try:
                    _attempt(opener, url, part, size, magic, timeout, bar)
                except urllib.error.URLError as error:  # no connection
                    if not reached or isinstance(error.reason, ssl.SSLCertVerificationError):
                        raise DownloadError(f"{url}: cannot be reached ({error.reason})") from error
                    reason = error.reason
                except _Broken as error:
                    reached, reason = True, error
                else:
                    break
                have = _length(part)
                failures = failures + 1 if have < best + _PROGRESS * size else 1
                best = max(best, have)
                if failures == ATTEMPTS:
                    raise DownloadError(
                        f"{url}: given up after {ATTEMPTS} attempts in a row ({reason}); run again "
                        f"to go on from the {have} of {size} bytes in {part}"
                    )
                time.sleep(min(patience * 2 ** (failures - 1), _LONGEST_WAIT))
        wrong = difference(part, size, md5)
        if wrong:
            os.remove(part)
            raise DownloadError(f"{url}: what was received {wrong}; it was removed, run again")
        os.replace(part, path)
    except OSError as error:
        raise DownloadError(f"{path}: cannot be written ({error.strerror or error})") from error


def difference(path: str | os.PathLike, size: int, md5: str | None = None) -> str:
    """Describe how a file differs from the published size and MD5, in words that follow its name.

    Returns:
      '' if it does not differ.
    """
    if os.path.getsize(path) != size:
        return f"has {os.path.getsize(path)} bytes, not the {size} of the published file"
    if md5 is None:
        return ""
    digest = file_digest(path, "md5")
    if digest != md5:
        return f"has md5 {digest}, not the published {md5}"
    return ""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to HTTPS only; from a server on loopback also to one on loopback."""

    def __init__(self, url):
        self._url = url

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check_address(newurl, self._url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url, start):
    """Raise DownloadError unless `url` is HTTPS, or it and `start` are HTTP on loopback."""
    if urllib.parse.urlsplit(url).scheme == "https":
        return
    for parts in map(urllib.parse.urlsplit, (url, start)):
        if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
            led = "" if url == start else f" leads to {shown(url)}, which"
            raise DownloadError(
                f"{start}:{led} is no HTTPS address; nothing was fetched from there"
            )


def _attempt(opener, url, part, size, magic, timeout, bar):
    """Append the bytes of one connection to the part.

    Raises:
      _Broken: the connection broke, or the server was busy.
      URLError: no connection.
      DownloadError: the server refuses, or has another file.
    """
    have = _length(part)
    headers = {"User-Agent": "a2d_tf", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        _refused(error, url, part)
    except urllib.error.URLError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"no answer: {error!r}") from error
    with response:
        position = _begin(response, url, part, have, size)
        bar.reset(size)
        bar.update(position)
        _receive(response, url, part, position, size, magic, bar)


def _begin(response, url, part, have, size):
    """The position in the file of the response's first byte; 0 for a whole file.

    Raises:
      DownloadError: the server's file has another size.
      _Broken: the response is another part than requested.
    """
    length = response.headers.get("Content-Length", "")
    if response.status != 206:
        total = int(length) if length.isdecimal() else size
        start = 0
    else:
        span = re.fullmatch(
            r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("Content-Range", "")
        )
        start = int(span[1]) if span else -1
        total = int(span[2]) if span and span[2] != "*" else size
        if start != have:
            _forget(part)
            raise _Broken(f"asked for the bytes from {have}, the server sends others")
    if total != size:
        kind = response.headers.get_content_type()
        raise DownloadError(f"{url}: {total} bytes of {kind} there, not the {size} published")
    return start


def _receive(response, url, part, position, size, magic, bar):
    """Write the response's bytes from `position` on, up to the size of the file."""
    with open(part, "r+b" if os.path.exists(part) else "wb") as file:
        start = position
        while position < size:
            first = magic if position == 0 else b""
            try:
                # read1 returns what has arrived: nothing is lost when the connection breaks.
                block = response.read(len(first)) if first else response.read1(_BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise _Broken(f"the connection broke after {position} bytes: {error!r}") from error
            if not block:
                raise _Broken(f"the connection ended after {position} of {size} bytes")
            if first and block != first[: len(block)]:
                kind = response.headers.get_content_type()
                raise DownloadError(
                    f"{url}: not the published file, but {kind} that starts with {shown(block)}; "
                    "is there a login page between?"
                )
            if position == start:  # the old part is discarded only now
                file.truncate(start)
                file.seek(start)
            file.write(block[: size - position])
            position = min(position + len(block), size)
            bar.update(len(block))


def _refused(error, url, part):
    """Raise the error of a status other than 200 and 206."""
    error.close()
    reason = " ".join(f"{error.code} {error.reason}".split())
    if error.code == 416:
        _forget(part)  # the server's file ends before it
    if error.code == 416 or error.code in _TRANSIENT:
        raise _Broken(f"the server answers {reason}") from error
    raise DownloadError(f"{url}: the server answers {reason}") from error


def _length(part):
    try:
        return os.path.getsize(part)
    except FileNotFoundError:
        return 0


def _forget(part):
    with contextlib.suppress(FileNotFoundError):
        os.remove(part)
