"""The pages of a prediction and of a library: their content and work in a browser."""

import html.parser
import json
import os
import re

import browsers
import pytest
from prediction_files import TRACKS, many, track, write

from a2d_tf.core.errors import InputError
from a2d_tf.video.library import library_page
from a2d_tf.video.outputs.library_part import read_part
from a2d_tf.video.pages import video_page

HOSTILE = "</script><img src=x onerror=alert(1)>&amp;\"'"


def parts(library):
    folders = sorted(path.parent for path in library.glob("*/tracks.json"))
    return {folder.name: read_part(folder) for folder in folders}


class Elements(html.parser.HTMLParser):
    """Tags of a page with attributes, addresses in it, bouts, and table cells."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.addresses, self.bouts, self.rows = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.addresses += [
            attributes[k] for k in ("src", "href", "data") if attributes.get(k)
        ]
        if tag == "i" and "title" in attributes:
            self.bouts.append((attributes["title"], attributes["style"]))
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, text):
        if self.tags and self.tags[-1] == "td" and text.strip():
            self.rows[-1].append(text)


def test_the_page_holds_the_tracks_and_needs_the_overlay_only(tmp_path):
    folder = write(tmp_path / "out", overlay=2)
    video_page.write_page(folder)
    elements = Elements(folder / "index.html")
    assert elements.addresses == ["overlay.mp4"]
    assert not {"link", "iframe", "object", "img"} & set(elements.tags)
    assert elements.bouts[2] == (
        "cat running, 0:01.5 to 0:01.7, score 0.50",
        "left:37.500%;width:5.000%;--c:#cc79a7",
    )
    assert len(elements.bouts) == 7
    assert ["all", "dog", "running", "2", "1.50", "2", "0.800"] in elements.rows
    assert ["#1 dog", "dog", "walking", "1", "3.30", "2", "0.730"] in elements.rows
    assert sorted(os.listdir(folder)) == [
        "index.html",
        "overlay.mp4",
        "tracks.json",
        "video.json",
    ]


def test_a_row_shows_which_actor_its_individual_is_taken_for(tmp_path):
    folder = write(tmp_path / "out", overlay=0)
    video_page.write_page(folder)
    text = (folder / "index.html").read_text()
    edges = re.findall('<i data-actor="(.*?)" .*?(?: class="(.*?)")? data-score', text)
    assert edges == [
        ("dog", "actor2"),
        ("dog", "actor2"),
        ("cat", "actor1"),
        ("dog", "actor2"),
        ("dog", ""),
        ("ball", ""),
        ("ball", ""),
    ]
    assert '<i class="actor1"></i> cat' in text
    write(tmp_path / "out", TRACKS[::2], overlay=0)
    video_page.write_page(folder)
    assert "several actors" not in (folder / "index.html").read_text()


def test_the_page_says_if_the_rate_of_images_is_assumed(tmp_path):
    for is_assumed in (False, True):
        folder = tmp_path / str(is_assumed)
        images = [f"{number:05d}.png" for number in range(1, 41)]
        write(folder, overlay=0, images=images, fps=25, fps_is_assumed=is_assumed)
        video_page.write_page(folder)
        text = (folder / "index.html").read_text()
        assert ("times are those of 25 a second (--fps)" in text) == is_assumed


def test_times_are_those_of_the_video(tmp_path):
    tracks = [track(1, ("ant", "digs", 31, 35, 0.5))]
    facts = dict(fps=8, every=2, begin=1.5)
    folder = write(tmp_path, tracks, 0, **facts, until=9.5)
    video_page.write_page(folder)
    elements = Elements(folder / "index.html")
    ticks = re.findall(
        r'<span style="left:(.*)%">(.*)<', (folder / "index.html").read_text()
    )
    assert (ticks[0], ticks[-1], len(ticks)) == (
        ("6.250", "0:02.0"),
        ("93.750", "0:09.0"),
        8,
    )
    assert video_page._ticks(59.99, 0.06)[1:3] == [
        ("16.667", "1:00.0"),
        ("33.333", "1:00.01"),
    ]
    assert video_page._clock(3723.456) == "1:02:03.456"
    assert elements.bouts[0][1].startswith("left:18.750%;width:6.250%")
    assert "video" not in elements.tags
    write(tmp_path, tracks, 0, until=-1.0)
    with pytest.raises(InputError, match="video.json: until: -1.0"):
        video_page.write_page(folder)
    (folder / "tracks.json").unlink()
    with pytest.raises(InputError, match="tracks.json"):
        video_page.write_page(folder)


def test_names_cannot_leave_their_place(tmp_path):
    hostile = HOSTILE.replace("/", "∕")  # as the name of a folder
    library = tmp_path / hostile
    tracks = [track(1, (HOSTILE, HOSTILE, 1, 5, 0.5))]
    folder = write(library / hostile, tracks, overlay=1, name=HOSTILE)
    video_page.write_page(folder)
    failed = {HOSTILE: f"cannot be read: {HOSTILE}"}
    library_page.write_library_page(library, {hostile: read_part(folder)}, failed)
    for path in (folder / "index.html", library / "index.html"):
        assert (
            "x" not in Elements(path).addresses and "<img src=x" not in path.read_text()
        )
        assert path.read_text().count("</script>") == 2
        assert "default-src 'none'" in path.read_text()


def test_the_page_of_a_library_has_a_card_for_each_prediction(tmp_path):
    video_page.write_page(write(tmp_path / "b", overlay=30))
    # broken
    (write(tmp_path / "a", [], overlay=0) / "overlay.mp4").write_bytes(bytes(1000))
    (tmp_path / ".run/evaluation/test").mkdir(parents=True)
    (tmp_path / ".run/evaluation/test/browse.html").touch()
    (tmp_path / ".run/annotations").mkdir()
    for number in (1, 10, 2):
        (tmp_path / f".run/annotations/{number}.png").touch()
    (tmp_path / ".run/records.json").write_text(json.dumps({"videos": ["a", "z"]}))
    failed, run = {"c": "not one frame"}, str(tmp_path / ".run")
    library_page.write_library_page(tmp_path, parts(tmp_path), failed, run)
    path = tmp_path / "index.html"
    text, elements = path.read_text(), Elements(path)
    scored, *links, picture = elements.addresses
    assert scored == ".run/evaluation/test/browse.html"
    assert links == [
        *[f".run/annotations/{number}.png" for number in (1, 2, 10)],
        "a/index.html",
        "b/index.html",
    ]
    assert (
        picture.startswith("data:image/jpeg;base64,")
        and text.count("trained on this") == 1
    )
    assert elements.tags.count("article") == 2 and "2 videos." in text
    assert ["c", "not one frame"] in elements.rows
    assert ["b", "dog", "walking", "1", "3.30", "2", "0.730"] in elements.rows


HELPERS = """
const seen = selector => [...document.querySelectorAll(selector)].filter(
  element => !element.hidden);
const cells = () => [...[...document.querySelectorAll('tbody')].at(-1).rows].filter(
  row => !row.hidden).map(row => [...row.cells].map(cell => cell.innerText));
function choose(values) {
  for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
  form.dispatchEvent(new Event('input'));
}
"""


def test_a_page_plays_filters_and_sorts(tmp_path):
    script = """
    await until(() => video.readyState >= 2);
    const lane = document.querySelectorAll('.lane')[2];
    const box = lane.getBoundingClientRect();
    lane.dispatchEvent(new MouseEvent('click', {
      bubbles: true,
      clientX: box.left + lane.clientWidth * 1.62 / 4,
      clientY: box.top + 10,
    }));
    await until(() => !video.seeking && Math.abs(video.currentTime - 1.62) < 0.02);
    const head = () => $('head').getBoundingClientRect().left - box.left;
    await until(() => Math.abs(head() / lane.clientWidth - 1.62 / 4) < 0.01);
    choose({actor: 'dog', action: 'running'});
    const filtered = cells(), groups = seen('.group').length;
    choose({actor: '', action: ''});
    [...document.querySelectorAll('th')].at(-3).click();  // seconds
    return [filtered, groups, cells()];
    """
    folder = write(tmp_path / "clip #1 ü")
    video_page.write_page(folder)
    filtered, groups, rows = browsers.run(folder / "index.html", HELPERS + script)
    found = [row[:3] for row in filtered]
    assert found == [["#1 dog", "dog", "running"], ["#2 dog", "dog", "running"]]
    assert groups == 2 and [row[4] for row in rows][:2] == ["3.30", "1.00"]


def test_tables_and_timeline_follow_the_least_score_of_a_track(tmp_path):
    script = """
    const words = row => [...row.cells].map(cell => cell.innerText).join(' ');
    const sums = () => [...document.querySelectorAll('tbody')].map(
      body => [...body.rows].filter(row => !row.hidden).map(words));
    choose({score: 0.6});
    const some = [sums(), seen('.group').length, $('least').innerText];
    choose({score: 0.75});
    return [some, sums()[0], seen('.group').length];
    """
    tracks = [
        {**TRACKS[0], "mean_score": 0.7},
        {**TRACKS[1], "mean_score": 0.65},
        TRACKS[2],
    ]
    folder = write(tmp_path / "clip", tracks, overlay=0)  # the third has 0.5
    video_page.write_page(folder)
    library_page.write_library_page(tmp_path, parts(tmp_path), {})
    found = [
        "cat running 1 0.20 1 0.500",
        "dog running 2 1.50 2 0.800",
        "dog walking 1 3.30 2 0.730",
    ]
    (sums, groups, least), nothing, empty = browsers.run(
        folder / "index.html", HELPERS + script
    )
    assert sums[0] == [f"all {row}" for row in found] and (groups, least) == (2, "0.60")
    assert sums[1][0] == "#1 dog cat running 1 0.20 1 0.500" and (nothing, empty) == (
        [],
        0,
    )
    (sums, *_), nothing, empty = browsers.run(tmp_path / "index.html", HELPERS + script)
    assert sums == [[f"{who} {row}" for row in found] for who in ("all", "clip")]
    assert (nothing, empty) == ([], 0)


def test_a_limit_stands_on_the_page_with_the_videos_in_which_it_cut(tmp_path):
    one = write(tmp_path / "one", overlay=0, max_tracks="2", frames_with_extra=7)
    two = write(tmp_path / "two", overlay=0, max_tracks="2", frames_with_extra=0)
    video_page.write_page(one)
    library_page.write_library_page(tmp_path, parts(tmp_path), {})
    for page, named in ((one, "7 of its frames."), (tmp_path, "one.")):
        text = (page / "index.html").read_text()
        assert "(--max_tracks=2)" in text and f"many were found in: {named}" in text
    library_page.write_library_page(tmp_path, {"two": read_part(two)}, {})
    assert "many were found" not in (tmp_path / "index.html").read_text()


def test_a_library_filters_and_searches_all_videos_from_its_index(
    tmp_path, monkeypatch
):
    for name, tracks in (
        ("a", TRACKS),
        ("b c#", many(20)),
        ("d", TRACKS[:1]),
        ("void", []),
    ):
        video_page.write_page(write(tmp_path / name, tracks, overlay=3))
    library_page.write_library_page(tmp_path, parts(tmp_path), {})
    script = """
    await until(() => [...document.images].every(i => i.naturalWidth === 64));
    const names = () => seen('article').map(e => e.querySelector('h2').textContent);
    const all = names(), wide = document.documentElement.scrollWidth > innerWidth;
    choose({action: 'walking', actor: 'dog'});
    const some = names();
    choose({action: '', actor: ''});
    if (!form.elements.search.closest('[hidden]')) choose({search: ' D'});
    return [all, some, names(), wide, cells().join(), document.images.length];
    """
    names, row = ["a", "b c#", "d", "void"], "d,dog,running,1,1.00,1,0.900"
    shown = browsers.run(tmp_path / "index.html", HELPERS + script, 500, 800)
    assert shown == [names, ["a"], ["d", "void"], False, row, 4]
    monkeypatch.setattr(library_page, "_MOST_PICTURES", 3)
    library_page.write_library_page(tmp_path, parts(tmp_path), {})
    shown = browsers.run(tmp_path / "index.html", HELPERS + script, 500, 800)
    assert shown == [names, ["a"], ["d", "void"], False, row, 0]


def test_a_library_of_many_videos_has_its_pictures_on_further_pages(
    tmp_path, monkeypatch
):
    for name in ("a", "b", "c"):
        video_page.write_page(write(tmp_path / name, TRACKS, overlay=3))
    library_page.write_library_page(tmp_path, parts(tmp_path), {})
    elements = Elements(tmp_path / "index.html")
    assert elements.tags.count("img") == 3

    monkeypatch.setattr(library_page, "_MOST_PICTURES", 2)
    library_page.write_library_page(tmp_path, parts(tmp_path), {})
    elements = Elements(tmp_path / "index.html")
    assert elements.tags.count("img") == 0
    assert elements.tags.count("article") == 3
    files = ["index.html", "index_1.html", "index_2.html"]
    assert elements.addresses[:5] == [*files, "a/index.html", "index_1.html#v0"]
    assert elements.addresses[-2:] == ["c/index.html", "index_2.html#v0"]
    for file, names in zip(files[1:], (["a", "b"], ["c"])):
        elements = Elements(tmp_path / file)
        assert elements.tags.count("img") == len(names)
        pages = [link for link in elements.addresses if link.endswith("/index.html")]
        assert pages == [f"{name}/index.html" for name in names]
        assert 'id="v0"' in (tmp_path / file).read_text()


def test_the_part_of_a_prediction_is_made_again_if_it_is_not_of_its_files(tmp_path):
    folder = write(tmp_path / "clip", overlay=3)
    (folder / "summary.csv").write_text("header\n" + "a bout\n" * 7)
    made, path = read_part(folder), folder / "part.json"
    kept = path.read_bytes()
    assert (made.video_seconds, made.fps, made.note) == (
        4.0,
        10.0,
        "4.0 s of video, the last bout ends at 4.0 s",
    )
    assert made.pairs[0] == ("ball", "flying", [(0.5, 0.8, 1, 0.24, 0.0)])
    (folder / "overlay.mp4").unlink()
    path.write_bytes(kept.replace(b"4.0 s", b"5.0 s"))
    # it is kept
    assert (
        read_part(folder).note == "5.0 s of video, the last bout ends at 5.0 s"
        and read_part(folder).picture
    )
    for broken in (kept[:-9], b"{}", b"\xff", kept.replace(b'"sums"', b'"sum"')):
        path.write_bytes(broken)
        assert read_part(folder).budget == made.budget
    path.unlink()
    path.mkdir()  # it cannot be kept
    text = (folder / "tracks.json").read_text()
    (folder / "tracks.json").write_text(text.replace('"flying"', '"jumping"'))
    assert [pair.action for pair in read_part(folder).pairs].count("jumping") == 1
    (folder / "video.json").unlink()
    with pytest.raises(
        InputError, match="clip/video.json: No such.*; predict the video again"
    ):
        read_part(folder)


def test_a_card_says_how_long_a_video_is_and_when_its_last_bout_ends(tmp_path):
    assert read_part(write(tmp_path / "some", TRACKS[:1], seconds=4.0)).note == (
        "4.0 s of video, the last bout ends at 2.0 s"
    )
    assert (
        read_part(write(tmp_path / "none", [], seconds=4.0)).note
        == "4.0 s of video without tracks"
    )
