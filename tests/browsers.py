"""Run scripts in a page that a headless Chromium shows."""

import json
import os
import shutil
import subprocess
import tempfile

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-pipe",
)
SECONDS = 120
LISTEN = """
window.faults = [];
for (const kind of ["error", "securitypolicyviolation"])
  addEventListener(kind, event => faults.push(event.message || event.blockedURI));
"""
"""The script that notes the errors of a page before its own scripts run."""
SCRIPT = """
(async () => {
  const until = async test => {
    while (!test()) await new Promise(done => setTimeout(done, 50));
  };
  await until(() => document.readyState === "complete");
  const found = await (async () => { %s })();
  return [found, faults];
})()
"""
"""The script around a test's script; it waits until the page is loaded."""


class Browser:
    """A Chromium without a window, which is controlled by the DevTools protocol.

    It reads commands from its file descriptor 3 and answers on 4, each a JSON text that
    ends with a zero byte. Its clock is the real one: the decoding of a video takes real
    time, and a virtual clock would run ahead of it on a busy machine.

    Args:
      path: path of the program.
      profile: path of an empty folder for its files.
    """

    def __init__(self, path: str, profile: str):
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        redirected = f'exec "$@" 3<&{commands} 4>&{answers}'
        words = ["timeout", str(SECONDS), path, *FLAGS, f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            ["bash", "-c", redirected, "bash", *words],
            pass_fds=[commands, answers],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._unread = b""
        self._number = 0

    def call(self, method, session=None, **arguments):
        """Send a command of the protocol, and return its result, a dictionary.

        Args:
          method: name of the command, such as Page.navigate.
          session: name of the tab that it is for; None for the browser itself.
          **arguments: its parameters.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        answer = self._receive()
        while answer.get("id") != self._number:  # an event
            answer = self._receive()
        assert "error" not in answer, answer
        return answer["result"]

    def _receive(self):
        while b"\0" not in self._unread:
            read = os.read(self._answers, 1 << 16)
            assert read, f"the browser ended by itself or after {SECONDS} seconds"
            self._unread += read
        text, self._unread = self._unread.split(b"\0", 1)
        return json.loads(text)

    def close(self):
        """End the browser."""
        self._process.terminate()
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)


def run(page, script, width=1280, height=900):
    """Load a page into a window, run a script in it, and return the script's result.

    The test fails if there was an error in the page; it is skipped without a browser.

    Args:
      page: path of the page.
      script: the body of an asynchronous function in JavaScript, in which `await
        until(() => ...)` waits for a condition.
      width, height: size of the window in pixels.
    """
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not path:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on this machine")
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    profile = tempfile.mkdtemp()
    browser = Browser(path, profile)
    try:
        target = browser.call("Target.createTarget", url="about:blank")
        attached = browser.call("Target.attachToTarget", **target, flatten=True)
        tab = attached["sessionId"]
        browser.call("Page.enable", tab)
        browser.call("Emulation.setDeviceMetricsOverride", tab, **size)
        browser.call("Page.addScriptToEvaluateOnNewDocument", tab, source=LISTEN)
        browser.call("Page.navigate", tab, url=page.as_uri())
        done = browser.call(
            "Runtime.evaluate",
            tab,
            expression=SCRIPT % script,
            awaitPromise=True,
            returnByValue=True,
        )
    finally:
        browser.close()
        shutil.rmtree(profile, ignore_errors=True)
    assert "exceptionDetails" not in done, done["exceptionDetails"]
    found, faults = done["result"]["value"]
    assert not faults
    return found
