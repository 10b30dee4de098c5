"""What a script finds in a page that a headless Chromium shows."""

import html
import json
import re
import shutil
import subprocess

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --hide-scrollbars"
    " --virtual-time-budget=60000 --dump-dom"
).split()
SCRIPT = """<script>
const faults = [];
async function until(test) {
  while (!test()) await new Promise(done => setTimeout(done, 50));
}
for (const kind of ["error", "securitypolicyviolation"])
  addEventListener(kind, event => faults.push(event.message || event.blockedURI));
(async () => { %s })().catch(error => String(error)).then(found => {
  document.documentElement.innerHTML = "";
  document.documentElement.append("FOUND" + JSON.stringify([found, faults]));
});
</script>"""


def run(page, script, width=1280, height=900):
    """What a script returns after `page`, a path, is loaded into a window of this size.

    It is the body of an asynchronous function, in which `await until(() => ...)` waits.
    Fails where something in the page did; skips the test where there is no browser.
    """
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not path:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on this machine")
    copy = page.with_name("copy.html")
    copy.write_text(page.read_text() + SCRIPT % script)
    words = [path, *FLAGS, f"--window-size={width},{height}", copy.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    shown = re.search("FOUND(.*)</html>", done.stdout)
    assert shown, "the script has not come to its end"
    found, faults = json.loads(html.unescape(shown[1]))
    assert not faults
    return found
