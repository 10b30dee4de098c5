"""The pages of a prediction and of a library: what they hold, and what they do in a browser."""

import csv
import html.parser
import io
import json
import os
import re
import time

import browsers
import pytest
from prediction_files import TRACKS, many, track, write

from a2d_tf.core.errors import InputError
from a2d_tf.video import predictions
from a2d_tf.video.views import pages

HOSTILE = "</script><img src=x onerror=alert(1)>&amp;\"'"


class Elements(html.parser.HTMLParser):
    """Tags of a page with their attributes, addresses in it, and the data of its script."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.addresses, self.data = [], [], None
        self._inside = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.addresses += [attributes[k] for k in ("src", "href", "data") if attributes.get(k)]
        self._inside = attributes.get("id") == "data"

    def handle_data(self, text):
        if self._inside:
            self.data, self._inside = json.loads(text), False


def test_the_page_holds_the_tracks_and_needs_the_overlay_only(tmp_path):
    folder = write(tmp_path / "out", overlay=2)
    assert pages.write_page(folder) == folder / "index.html"
    elements = Elements(folder / "index.html")
    assert elements.addresses == ["overlay.mp4"]
    assert not {"link", "iframe", "object", "img"} & set(elements.tags)
    data = elements.data
    assert (data["title"], data["start"], data["end"], data["step"]) == ("out.mp4", 0, 4, 0.1)
    assert data["actors"] == ["ball", "cat", "dog"]
    assert data["actions"] == ["flying", "rolling", "running", "walking"]
    assert data["tracks"] == [
        [
            1,
            2,
            [[2, 3, 0, 1, 0.8], [2, 2, 1, 1.5, 0.6], [1, 2, 1.5, 1.7, 0.5], [2, 3, 1.7, 4, 0.7]],
        ],
        [2, 2, [[2, 2, 1, 2, 0.9]]],
        [3, 0, [[0, 1, 2, 3, 0.25], [0, 0, 3, 3.8, 0.3]]],
    ]
    assert sorted(os.listdir(folder)) == ["index.html", "overlay.mp4", "tracks.json", "video.json"]


def test_times_and_the_order_of_actions_are_those_of_the_video(tmp_path):
    labels = {"actors": ["ant"], "actions": ["waits", "digs"], "codes": [11, 12]}
    tracks = [track(1, ("ant", "digs", 31, 35, 0.5), ("ant", "waits", 36, 39, 0.5))]
    facts = dict(name="t.mp4", fps=8, every=2, begin=1.5, labels=labels)
    folder = write(tmp_path, tracks, 0, **facts, until=9.25)
    elements = Elements(pages.write_page(folder))
    data = elements.data
    assert (data["title"], data["start"], data["end"], data["step"]) == ("t.mp4", 1.5, 9.25, 0.25)
    assert data["actions"] == ["waits", "digs"] and "video" not in elements.tags
    write(tmp_path, tracks, 0, until=-1.0)
    with pytest.raises(InputError, match="video.json: until: -1.0"):
        pages.write_page(folder)
    (folder / "tracks.json").unlink()
    with pytest.raises(InputError, match="tracks.json"):
        pages.write_page(folder)


def test_names_cannot_leave_their_place(tmp_path):
    hostile = HOSTILE.replace("/", "∕")  # as the name of a folder
    library = tmp_path / hostile
    tracks = [track(1, (HOSTILE, HOSTILE, 1, 5, 0.5))]
    folder = write(library / hostile, tracks, overlay=1, name=HOSTILE)
    pages.write_page(folder)
    pages.write_library_page(library, [folder], {HOSTILE: f"cannot be read: {HOSTILE}"})
    for path, title in ((folder / "index.html", HOSTILE), (library / "index.html", hostile)):
        elements = Elements(path)
        assert elements.data["title"] == title and elements.data["actions"] == [HOSTILE]
        assert "x" not in elements.addresses and "<img src=x" not in path.read_text()
        assert path.read_text().count("</script>") == 2
        assert "default-src 'none'" in path.read_text()


def test_a_name_that_is_no_utf_8_is_shown_and_linked(tmp_path):
    folder = write(tmp_path / os.fsdecode(b"clip \xff"), overlay=0)
    pages.write_page(folder)
    elements = Elements(pages.write_library_page(tmp_path, [folder], {}))
    assert "clip%20%FF/index.html" in elements.addresses
    assert elements.data["videos"][0][0] == "clip \ufffd"


def test_the_page_of_a_library_has_a_card_for_each_prediction(tmp_path):
    pages.write_page(write(tmp_path / "b", overlay=30))
    (write(tmp_path / "a", [], overlay=0) / "overlay.mp4").write_bytes(bytes(1000))  # of Beam
    write(tmp_path / ".hidden", overlay=0)
    path = pages.write_library_page(
        tmp_path, predictions.of_library(tmp_path), {"c": "not one frame"}
    )
    text, elements = path.read_text(), Elements(path)
    pictures = [a for a in elements.addresses if a.startswith("data:image/jpeg;base64,")]
    assert len(pictures) == 1 and [*elements.addresses] == ["b/index.html", pictures[0]]
    assert elements.tags.count("article") == 2 and "2 videos, 3 tracks, 6.8 s of tracks" in text
    assert elements.tags.count("rect") == 7 and "not one frame" in text
    sums = [[0, 0, 0.8, 1], [0, 1, 1, 1], [1, 2, 0.2, 1], [2, 2, 1.5, 2], [2, 3, 3.3, 2]]
    assert elements.data["videos"] == [["a", 0, 0, []], ["b", 3, 4, sums]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    path = browsers.find()
    with browsers.Browser(path, tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("page") / "clip #1 ü", name="clip")
    return pages.write_page(folder).as_uri()


@pytest.fixture
def opened(browser, address):
    """The browser with the page of TRACKS loaded, and its video."""
    browser.open(address)
    browser.wait("video.readyState >= 2")
    yield browser
    assert not browser.complaints
    assert {url.split(":")[0] for url in browser.requests} == {"file"}


def place(browser, row, seconds):
    """x and y of a time in a row of the timeline, from its upper left corner."""
    x = browser.get(f"gutter() + lane() * ({seconds} - data.start) / extent()")
    return x, 24 + 20 * row + 10


def timed(browser):
    return browser.get("now()")


def count(browser):
    return browser.get("$('count').value")


def cells(browser):
    """Rows of the table."""
    return browser.get(
        "[...$('table').tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText))"
    )


def chip(name):
    return f"[...document.querySelectorAll('.chips button')].find(b => b.title === '{name}')"


def saved(browser, folder):
    """The file that a click on the button saves."""
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.click("$('csv')")
    end = time.monotonic() + 20
    while not [*folder.glob("*.csv")]:
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.05)
    (path,) = folder.glob("*.csv")
    return path


def test_a_click_on_the_timeline_goes_there(opened):
    opened.click("$('view')", *place(opened, 1, 1.62))
    opened.wait("!video.seeking")
    assert timed(opened) == pytest.approx(1.62, abs=0.02)
    assert opened.get("$('time').value").startswith("0:01.6")
    assert opened.get("picked") == 2
    shown = opened.get("$('now').innerText")
    assert "Now 2:" in shown and "#1 cat running" in shown and "#2 dog running" in shown
    head = opened.get("head.getBoundingClientRect().left - view.getBoundingClientRect().left")
    assert head == pytest.approx(place(opened, 0, 1.62)[0], abs=3)
    opened.click("$('view')", 20, 24 + 50)  # the name of the third row
    assert timed(opened) == pytest.approx(2, abs=0.01)


def test_the_overlay_plays_and_the_time_runs_with_it(opened):
    opened.click("$('play')")
    opened.wait("now() > 0.3 && head.getBoundingClientRect().left > across(0.2)")
    assert opened.get("$('play').textContent") == "❚❚ Pause"
    opened.press(" ")
    opened.wait("video.paused")
    opened.click("video")
    opened.wait("!video.paused")
    opened.wait("video.ended", 30)
    assert opened.get("$('time').value") == "0:04.00 / 0:04.00"


def test_keys_move_in_time_and_among_tracks(opened):
    def press(*keys):
        for key in keys:
            opened.press(key)
        return timed(opened)

    assert press("ArrowRight") == pytest.approx(1, abs=0.01)
    assert press(".") == pytest.approx(1.1, abs=0.01)
    assert press(".", ".", ",") == pytest.approx(1.2, abs=0.01)
    assert press("ArrowLeft", "ArrowLeft") == pytest.approx(0, abs=0.01)
    assert press("ArrowDown", "ArrowDown", "ArrowDown", "Enter") == pytest.approx(2, abs=0.01)
    assert opened.get("picked") == 3
    assert press("]") == pytest.approx(3, abs=0.01)
    assert press("[") == pytest.approx(2, abs=0.01)
    assert press("End") == pytest.approx(4, abs=0.01)
    assert press("Home") == pytest.approx(0, abs=0.01)
    press("+", "+")
    assert opened.get("zoom") == 4 and opened.get("scroller.scrollWidth > 3 * innerWidth")
    press("0")
    assert opened.get("zoom") == 1
    was = opened.get("$('help').open")
    press("?")
    assert opened.get("$('help').open") is not was


def test_filters_leave_the_rows_that_fit(opened):
    assert count(opened) == "3 of 3 tracks" and len(cells(opened)) == 6
    opened.click(chip("cat"))
    assert count(opened) == "1 of 3 tracks"
    assert cells(opened) == [["1", "cat", "running", "0.20", "5.0", "1", "1.50", "1.70", "0.500"]]
    opened.click(chip("dog"))
    opened.click(chip("running"))
    assert [row[:4] for row in cells(opened)] == [
        ["1", "dog", "running", "0.50"],
        ["1", "cat", "running", "0.20"],
        ["2", "dog", "running", "1.00"],
    ]
    opened.get("fields.score.focus()")
    opened.get(
        "fields.score.value = 60; fields.score.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert [row[0] for row in cells(opened)] == ["1", "2"]
    opened.wait("location.hash === '#score=60&actor=cat&actor=dog&action=running'")
    hashed = opened.get("location.href")
    opened.open(hashed)
    assert [row[0] for row in cells(opened)] == ["1", "2"]
    assert opened.get(f"{chip('dog')}.ariaPressed") == "true"
    opened.click("fields.present")
    assert count(opened) == "0 of 3 tracks"
    opened.get("document.activeElement.blur()")
    opened.press("ArrowRight")
    assert count(opened) == "2 of 3 tracks"


def test_the_table_sorts_is_saved_and_leads_to_its_tracks(opened, tmp_path):
    head = "[...document.querySelectorAll('th button')].find(b => b.innerText === 'seconds')"
    opened.click(head)
    assert [row[3] for row in cells(opened)] == ["3.30", "1.00", "1.00", "0.80", "0.50", "0.20"]
    opened.click(head)
    assert cells(opened)[0][3] == "0.20"
    opened.click(chip("ball"))
    path = saved(opened, tmp_path)
    assert path.name == "clip by track.csv"
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    assert rows == [
        "track_id actor action seconds percent_of_video bouts first_second last_second "
        "mean_score".split(),
        ["3", "ball", "flying", "0.8", "20", "1", "3", "3.8", "0.3"],
        ["3", "ball", "rolling", "1", "25", "1", "2", "3", "0.25"],
    ]
    opened.click(chip("ball"))
    opened.click("[...document.querySelectorAll('td button')].find(b => b.innerText === '3')")
    assert opened.get("picked") == 3 and timed(opened) >= 2
    opened.get(
        "fields.by.value = 'actor'; fields.by.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert ["dog", "running", "2", "1.50", "37.5", "2", "1.00", "2.00", "0.800"] in cells(opened)


def test_light_and_dark_follow_the_system_and_the_button(browser, address):
    def paper():
        return browser.get("getComputedStyle(document.body).backgroundColor")

    browser.open(address, dark=True)
    assert paper() == "rgb(20, 25, 30)"
    browser.click("$('theme')")
    assert paper() == "rgb(255, 255, 255)"
    browser.open(address, dark=True)
    assert paper() == "rgb(255, 255, 255)"  # it is kept
    browser.press("t")
    assert paper() == "rgb(20, 25, 30)"
    browser.get("localStorage.clear()")


def test_it_fits_a_small_window_with_a_thousand_tracks(browser, tmp_path, width=390):
    address = pages.write_page(write(tmp_path, many(1000), overlay=0)).as_uri()
    browser.open(address, width, 800)
    assert count(browser) == "1000 of 1000 tracks"
    assert browser.get("document.documentElement.scrollWidth") <= width
    assert browser.get("document.querySelectorAll('*').length") < 4000
    assert browser.get("canvas.height") < 800 < browser.get("scroller.scrollHeight")
    assert len(cells(browser)) == 200
    browser.click("$('more')")
    assert len(cells(browser)) == 1000
    # The rows move to who is there, and a click in one of them is of its track.
    browser.get("scroller.scrollIntoView()")
    for _ in range(2):
        browser.press("l")
    browser.wait("scroller.scrollTop > 0")
    row = browser.get("Math.floor(scroller.scrollTop / 20) + 4")
    offset = browser.get("scroller.scrollTop")
    x, y = place(browser, row, 400)
    browser.click("$('view')", x, y - offset)
    assert browser.get("picked") == row + 1
    assert timed(browser) == pytest.approx(400, abs=2)
    browser.click("$('play')")  # a clock runs where there is no overlay
    browser.wait(f"now() > {timed(browser)} + 0.2")
    assert not browser.complaints


def test_a_damaged_overlay_is_said_and_the_time_runs(browser, tmp_path):
    folder = write(tmp_path, overlay=0)
    (folder / "overlay.mp4").write_bytes(b"no video")
    browser.open(pages.write_page(folder).as_uri())
    browser.wait("!$('trouble').hidden")
    browser.click("$('play')")
    browser.wait("now() > 0.1")


def test_the_browser_shows_hostile_names_as_text(browser, tmp_path):
    write(tmp_path, [track(1, (HOSTILE, HOSTILE, 1, 5, 0.5))], overlay=0, name=HOSTILE)
    browser.open(pages.write_page(tmp_path).as_uri())
    assert browser.get("document.querySelector('h1').innerText") == HOSTILE
    assert cells(browser)[0][1:3] == [HOSTILE, HOSTILE]
    assert browser.get("document.images.length") == 0 and len(browser.requests) == 1


def test_a_library_filters_and_links(browser, tmp_path, width=390):
    for name, tracks in (("a", TRACKS), ("b c#", many(20)), ("d", TRACKS[:1])):
        pages.write_page(write(tmp_path / name, tracks, overlay=3))
    address = pages.write_library_page(tmp_path, predictions.of_library(tmp_path), {}).as_uri()
    browser.open(address, width, 800)
    assert browser.get("document.documentElement.scrollWidth") <= width

    def shown():
        visible = "[...document.querySelectorAll('article:not([hidden]) h2')]"
        return browser.get(f"{visible}.map(h => h.textContent)")

    assert shown() == ["a", "b c#", "d"]
    assert browser.get("[...document.images].every(i => i.naturalWidth === 64)")
    browser.click(chip("walking"))
    assert shown() == ["a", "b c#"] and count(browser) == "2 of 3 videos"
    assert cells(browser)[0] == ["dog", "walking", "1", "3.30", "2"]
    (tmp_path / "saved").mkdir()
    text = saved(browser, tmp_path / "saved").read_text(encoding="utf-8-sig")
    assert text.splitlines()[:2] == ["actor,action,videos,seconds,bouts", "dog,walking,1,3.3,2"]
    browser.click(chip("walking"))
    browser.click("fields.search")
    browser.press("b")
    assert shown() == ["b c#"]
    browser.get("document.querySelector('article:not([hidden])').scrollIntoView()")
    browser.click("document.querySelector('article:not([hidden]) h2')")
    browser.wait("document.readyState === 'complete' && document.title === 'b c#.mp4'")
    assert re.search(r"/b%20c%23/index\.html", browser.get("location.href"))
