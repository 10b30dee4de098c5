"""A headless Chromium, driven over a pipe by the DevTools protocol."""

import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --hide-scrollbars "
    "--autoplay-policy=no-user-gesture-required --remote-debugging-pipe"
).split()
# The browser reads file descriptor 3 and writes 4.
_START = """if True:
    import fcntl, os, sys
    ends = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3]]
    os.dup2(ends[0], 3)
    os.dup2(ends[1], 4)
    os.execv(sys.argv[3], sys.argv[3:])
"""
_KEYS = {" ": ("Space", 32), "Enter": ("Enter", 13), "Home": ("Home", 36), "End": ("End", 35)}
_KEYS |= {
    f"Arrow{side}": (f"Arrow{side}", 37 + i) for i, side in enumerate("Left Up Right Down".split())
}


def find():
    """Path of a browser; skips the test where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not path:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on this machine")
    return path


class Navigated(AssertionError):
    """The page was left while it was asked."""


class Browser:
    """A page in a browser; a context manager.

    Attributes:
      requests: addresses that the page asked for.
      complaints: messages of its console that are errors, and exceptions.
    """

    def __init__(self, path, folder):
        self._numbers, self._text, self._events = itertools.count(1), b"", []
        self.requests, self.complaints = [], []
        theirs, self._to = os.pipe()
        self._from, ours = os.pipe()
        words = [path, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(theirs), str(ours), *words],
            pass_fds=(theirs, ours),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=dict(os.environ, HOME=str(folder)),
        )
        os.close(theirs)
        os.close(ours)
        self._session = None
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(20)
        os.close(self._to)
        os.close(self._from)

    def call(self, method, **params):
        """The result of a method of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == number:
                if "navigated" in answer.get("error", {}).get("message", ""):
                    raise Navigated(answer)
                assert "error" not in answer, answer
                return answer["result"]

    def _message(self, seconds=60):
        """The next message, of which events are kept."""
        while b"\0" not in self._text:
            ready, _, _ = select.select([self._from], [], [], seconds)
            assert ready, "the browser does not answer"
            more = os.read(self._from, 1 << 20)
            assert more, "the browser has ended"
            self._text += more
        text, _, self._text = self._text.partition(b"\0")
        message = json.loads(text)
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"])
        elif method == "Page.loadEventFired":
            self._events.append(method)
        return message

    def open(self, address, width=1280, height=900, dark=False):
        """Load a page into a window of this size, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])
        for url in ("about:blank", address):  # else a new fragment alone would load nothing
            self._events.clear()
            self.requests.clear()
            self.complaints.clear()
            self.call("Page.navigate", url=url)
            while not self._events:
                self._message()

    def get(self, expression):
        """The value of a JavaScript expression."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression, seconds=20):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(Navigated):  # a page that is being left has no values
                if self.get(expression):
                    return
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.05)

    def click(self, selector, x=None, y=None):
        """Click the middle of an element, or a place in pixels from its upper left corner."""
        box = self.get(
            f"(e => {{ e.scrollIntoView({{block: 'nearest'}}); const b = e.getBoundingClientRect();"
            f"return [b.left, b.top, b.width, b.height]; }})({selector})"
        )
        place = {
            "x": box[0] + (box[2] / 2 if x is None else x),
            "y": box[1] + (box[3] / 2 if y is None else y),
        }
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **place)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def press(self, key):
        """Press and release a key, by the name that it has in JavaScript."""
        code, number = _KEYS.get(key, ("", ord(key[0].upper())))
        fields = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        if len(key) == 1:
            fields["text"] = key
        self.call("Input.dispatchKeyEvent", type="keyDown", **fields)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=code)
