"""Downloads from a server on loopback that breaks off, lies and redirects."""

import hashlib
import shutil
import socket
import ssl
import subprocess

import numpy as np
import pytest

from a2d_tf.pretrained import download
from a2d_tf.pretrained.catalogue import HDF5

DATA = HDF5 + np.random.default_rng(0).bytes(300_000)
SIZE, MD5 = len(DATA), hashlib.md5(DATA).hexdigest()


def part(start, data=DATA, until=None, total=None):
    """Headers and body of a 206 from `start` on; the body ends at `until`."""
    headers = {
        "Content-Range": f"bytes {start}-{len(data) - 1}/{total or len(data)}",
        "Content-Length": len(data) - start,
    }
    return headers, data[start:until]


def whole(handler, start, until=None, data=DATA):
    """A server that knows Range; it breaks off before byte `until`."""
    if start:
        handler.send(206, *part(start, data, until))
    else:
        handler.send(200, {"Content-Length": len(data)}, data[:until])


def broken(until):
    return lambda handler, start: whole(handler, start, until)


def no_range(handler, start, until=None):
    """A server that answers 200 with all of it, whatever it is asked for."""
    handler.send(200, {"Content-Length": SIZE}, DATA[:until])


def status(code, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, start: handler.send(code, {"Content-Length": 0, **named})


@pytest.fixture
def fetch(server, tmp_path):
    """(answers of `/file`, ...) -> the fetched bytes."""

    def run(*answers, **changes):
        server.answers["file"] = list(answers)
        settings = dict(size=SIZE, md5=MD5, magic=HDF5, timeout=5, patience=0.001)
        path = tmp_path / "new" / "file"
        download.fetch(f"{server.url}/file", path, **{**settings, **changes})
        assert not (tmp_path / "new" / "file.part").exists()
        return path.read_bytes()

    run.part = tmp_path / "new" / "file.part"
    return run


def keep(fetch, data):
    """Leave a part from before."""
    fetch.part.parent.mkdir(exist_ok=True)
    fetch.part.write_bytes(data)


@pytest.mark.parametrize(
    "before, answers, ranges",
    [
        pytest.param(None, [whole], [""], id="whole"),
        pytest.param(
            None,
            [broken(70_001), broken(70_002), broken(200_000), whole],
            ["", "bytes=70001-", "bytes=70002-", "bytes=200000-"],
            id="broken off three times",
        ),
        pytest.param(DATA[:123_456], [whole], ["bytes=123456-"], id="a part from before"),
        pytest.param(DATA, [status(404)], [], id="a part that has it all"),
        pytest.param(DATA + b"x", [whole], [""], id="a part that is too long"),
        pytest.param(
            None,
            [lambda handler, start: no_range(handler, start, 200_000), no_range],
            ["", "bytes=200000-"],
            id="a server without Range",
        ),
        pytest.param(None, [status(503), status(429), whole], [""] * 3, id="a busy server"),
        pytest.param(
            None, [lambda handler, _: handler.wfile.close(), whole], [""] * 2, id="hangs up"
        ),
        pytest.param(DATA[:500], [status(416), whole], ["bytes=500-", ""], id="no such range"),
        pytest.param(
            DATA[:500],
            [lambda handler, start: handler.send(206, *part(start + 7)), whole],
            ["bytes=500-", ""],
            id="another range",
        ),
    ],
)
def test_the_file_arrives(fetch, server, before, answers, ranges):
    if before is not None:
        keep(fetch, before)
    assert fetch(*answers) == DATA
    assert server.asked == [("/file", asked) for asked in ranges]


def test_a_chunked_answer_without_length(fetch):
    def chunked(handler, start):
        chunks = [DATA[i : i + 99_999] for i in range(0, SIZE, 99_999)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
        handler.send(200, {"Transfer-Encoding": "chunked"}, body)

    assert fetch(chunked) == DATA


def test_attempts_are_bounded_and_the_part_is_kept(fetch, server):
    with pytest.raises(download.DownloadError, match=r"given up after 5 attempts .* 1000 of \d+ b"):
        fetch(broken(1000))
    assert len(server.asked) == 5
    assert fetch.part.read_bytes() == DATA[:1000]
    assert fetch(whole) == DATA
    assert server.asked[-1] == ("/file", "bytes=1000-")


def test_attempts_that_bring_something_are_not_counted(fetch, server):
    steps = [broken(SIZE * i // 12) for i in range(1, 12)]
    assert fetch(*steps, whole) == DATA
    assert len(server.asked) == 12 > download.ATTEMPTS


def test_a_server_without_range_that_always_breaks_off_ends(fetch, server):
    with pytest.raises(download.DownloadError, match="given up after 5 attempts"):
        fetch(lambda h, start: no_range(h, start, 200_000))
    assert len(server.asked) == 5


def test_a_stall_counts_as_broken(fetch, server):
    def stall(handler, start):
        if start:
            whole(handler, start)
            return
        handler.send(200, {"Content-Length": SIZE}, DATA[:5000])
        handler.wfile.flush()
        server.ended.wait(20)

    # On a busy machine it may take a few attempts until the 5000 are there in time.
    assert fetch(stall, timeout=0.5) == DATA
    assert ("/file", "bytes=5000-") in server.asked


def test_a_server_that_never_answers_counts_as_broken(fetch, server):
    assert fetch(lambda *_: server.ended.wait(20), whole, timeout=0.5) == DATA
    assert server.asked[:2] == [("/file", "")] * 2


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_refusal_is_final(fetch, server, code):
    with pytest.raises(download.DownloadError, match=f"file: the server answers {code}"):
        fetch(status(code))
    assert len(server.asked) == 1


def test_a_206_that_lies_about_its_bytes_is_removed(fetch):
    keep(fetch, DATA[:500])
    headers, _ = part(500)
    with pytest.raises(download.DownloadError, match="has md5 .*, not the published .* removed"):
        fetch(lambda h, start: h.send(206, headers, b"?" * (SIZE - 500)))
    assert not fetch.part.exists()
    assert fetch(whole) == DATA


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1])
def test_a_file_of_another_size_is_refused(fetch, size):
    data = (DATA + b"x")[:size]
    keep(fetch, DATA[:500])
    for answer in (
        lambda h, _: whole(h, 0, data=data),
        lambda h, start: whole(h, start, data=data),
    ):
        with pytest.raises(download.DownloadError, match=f"{size} bytes of .* not the {SIZE} publ"):
            fetch(answer)
    assert fetch.part.read_bytes() == DATA[:500]


def test_no_more_than_the_file_is_written(fetch):
    """A body that goes on, of a server that does not tell its length."""
    assert fetch(lambda h, start: h.send(200, {"Connection": "close"}, DATA + b"x" * 99)) == DATA


def test_another_file_of_the_same_size_is_removed(fetch):
    other = DATA[:-1] + b"?"
    with pytest.raises(download.DownloadError, match="has md5 .* it was removed"):
        fetch(lambda h, start: whole(h, start, data=other))
    assert not fetch.part.exists()


@pytest.mark.parametrize("length", [True, False])
def test_a_page_in_place_of_the_file(fetch, length):
    """As a login page of a network gives; it takes nothing from what is there."""
    keep(fetch, DATA[:500])
    page = b"<!DOCTYPE html><p>Please log in</p>"
    headers = {"Content-Type": "text/html", "Connection": "close"}
    headers.update({"Content-Length": len(page)} if length else {})
    with pytest.raises(download.DownloadError, match="text/html .*(login page|not the)"):
        fetch(lambda h, start: h.send(200, headers, page))
    assert fetch.part.read_bytes() == DATA[:500]


def test_redirects_are_followed(fetch, server):
    server.answers["elsewhere"] = [broken(100_000), whole]
    assert fetch(status(302, Location="/elsewhere")) == DATA
    assert server.asked[-1] == ("/elsewhere", "bytes=100000-")


def test_a_redirect_loop_ends(fetch, server):
    with pytest.raises(download.DownloadError, match="the server answers 302 .*infinite loop"):
        fetch(status(302, Location="/file"))
    assert len(server.asked) < 20


@pytest.mark.parametrize(
    "place", ["http://example.invalid/file", "ftp://127.0.0.1/file", "http://127.0.0.1.evil.test/f"]
)
def test_a_redirect_to_an_open_connection_is_refused(fetch, place):
    with pytest.raises(download.DownloadError, match="leads to .*, which is no HTTPS address"):
        fetch(status(302, Location=place))


@pytest.mark.parametrize("url", ["http://example.org/file", "file:///etc/passwd", "nothing"])
def test_an_address_must_be_https(tmp_path, url):
    with pytest.raises(download.DownloadError, match="no HTTPS address"):
        download.fetch(url, tmp_path / "file", SIZE)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_a_certificate_that_nobody_vouches_for_is_refused(server, tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.answers["file"] = [whole]
    url = f"{server.url.replace('http:', 'https:')}/file"
    with pytest.raises(download.DownloadError, match="CERTIFICATE_VERIFY_FAILED.*self.signed"):
        download.fetch(url, tmp_path / "file", SIZE, MD5)
    assert server.asked == []
    # It is only that: vouched for, the same server gives the file.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    download.fetch(url, tmp_path / "file", SIZE, MD5)
    assert (tmp_path / "file").read_bytes() == DATA


def test_without_a_network_there_is_one_attempt(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download.time, "sleep", lambda _: pytest.fail("waited"))
    with socket.socket() as bound:  # and nobody listens there
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/file"
        with pytest.raises(download.DownloadError, match="cannot be reached .*refused"):
            download.fetch(url, tmp_path / "file", SIZE)


def test_ctrl_c_keeps_the_part(fetch, server, monkeypatch):
    class Interrupted(download.tqdm):
        def update(self, n=1):
            super().update(n)
            if self.n > SIZE // 3:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(download, "tqdm", Interrupted)
        fetch(whole)
    have = fetch.part.read_bytes()
    assert SIZE // 3 < len(have) < SIZE and have == DATA[: len(have)]
    assert fetch(whole) == DATA
    assert server.asked[-1] == ("/file", f"bytes={len(have)}-")


def test_a_place_that_cannot_be_written(fetch):
    fetch.part.parent.write_text("a file where the folder should be")
    with pytest.raises(download.DownloadError, match="file: cannot be written"):
        fetch(whole)


def test_differences(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    path = tmp_path / "f"
    assert download.difference(path, 3) == ""
    assert download.difference(path, 3, "900150983cd24fb0d6963f7d28e17f72") == ""
    assert download.difference(path, 4) == "has 3 bytes, not the 4 of the published file"
    assert "has md5 900150983cd24fb0d6963f7d28e17f72" in download.difference(path, 3, "0" * 32)
