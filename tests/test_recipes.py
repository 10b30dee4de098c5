"""tools/recipes.py as docs/recipes.md uses it, on a library written by hand."""

import os
import re

import extra_packages
import prediction_files
from processes import ROOT, run_python, succeeded

from a2d_tf.behaviour import bouts, time_budget
from a2d_tf.core.files import write_csv
from a2d_tf.video.outputs import track_rows

# Of each track the action, the first frame, and the left edge of its box in each frame,
# 10 pixels.
DRUG = ("running", 1, "12345436"), ("walking", 1, "1267"), ("walking", 6, "666")
VIDEOS = {"drug": DRUG, "plain": (("running", 1, "34"),), "void": ()}
# Of the first track, frames 1 to 3 and 7 are in the zone; medians are 17 22 32 42 42 42
# 42 47. Two of the 20 divisions of six values are as unequal.
CHECKS = """
row = ["drug_1", 7, 0.6, 0.1, "dog", "running", 32, 5]
assert table.round(6).loc[6].tolist()[1:9] == row
zones = zone(table, table.x < 35).round(6)
assert zones.values.tolist() == [[0.4, 2], [0.2, 1], [0, 0], [0.1, 1]]
assert walk(table[:8], 10, 3).round(6)[["cm", "cm_per_s"]].sum().tolist() == [3, 30]
assert bins(bouts, 0.5).round(6).tolist() == [0.5, 0.3, 0.4, 0, 0, 0.3, 0.2]
assert p == 1
assert permutation_test([5, 3, 4], [0, 2, 1]).round(6) == 0.1
assert share.round(4).tolist() == [0.5333, 1]
assert near(table, 5).round(6).tolist() == [0.2, 0] and near(table, 4).sum() == 0
assert sums(bouts).round(6).seconds.tolist() == [0.8, 0.4, 0.3, 0.2]
assert budget.seconds.tolist() == [0.8, 0.4, 0.3, 0.2]
rows, cut = mend(table, bouts, {"drug_1": "drug_2", "drug_2": "drug_1"}, 2)
assert rows.x[:4].tolist() == [12, 22, 62, 72]
assert sums(cut).seconds[:4].round(6).tolist() == [0.1, 0.3, 0.7, 0.1]
cut = mend(table, bouts, {"drug_3": "drug_2"}, 6)[1]
assert sums(cut).round(6).values.tolist() == [[0.8, 1], [0.7, 2], [0.2, 1]]
np.testing.assert_raises(AssertionError, mend, table, bouts, {"drug_2": "drug_1"}, 4)
"""


def test_every_block_of_the_page(tmp_path):
    clips, rows = (
        tmp_path / "out_clips",
        [",".join((*time_budget.VIDEO_COLUMNS, *track_rows.COLUMNS))],
    )
    for name, tracks in VIDEOS.items():
        made, last = [], 8 if tracks[1:] else 2
        for i, (action, first, edges) in enumerate(tracks, 1):
            bout = "dog", action, first, first + len(edges) - 1, 0.7
            made.append({**prediction_files.track(i, bout), "frames": []})
            who = f"{name},{last / 10},99,{name}_{i},{i},dog,{action}"
            rows.append(f"{who},{(first - 1) / 10},{bout[3] / 10}")
            for frame, edge in enumerate(edges, first):
                row = {
                    "frame": frame,
                    "category_id": 11,
                    "bbox": [10 * int(edge), 4 * i, 4, 2],
                }
                made[-1]["frames"].append({**row, "score": 0.7})
        facts = {
            "fps": 99,
            "until": last / 10,
            "times": [frame / 10 for frame in range(last)],
        }
        (prediction_files.write(clips / name, made, 0, **facts) / "label_maps").mkdir()
        for frame in range(last):
            (clips / name / f"label_maps/{frame + 1:05d}.png").touch()
    # The folder of a video that has been removed.
    prediction_files.write(clips / "gone", overlay=0, until=9, times=[0])
    (clips / "gone/label_maps").mkdir()
    (clips / "gone/label_maps/00001.png").touch()
    write_csv(clips / "videos.csv", [["video"], *([name] for name in VIDEOS)])
    budget = time_budget.rows(bouts.read_all(clips / name for name in VIDEOS))
    write_csv(clips / "time_budget.csv", [time_budget.COLUMNS, *budget])
    (clips / "summary.csv").write_text("\n".join(rows))
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/recipes.md").read_text(), re.DOTALL
    )
    words = "-Werror::FutureWarning", "-c", "\n".join([*blocks, CHECKS])
    folders = [str(ROOT / "tools"), str(extra_packages.folder("recipes"))]
    path = os.pathsep.join(folders)
    succeeded(run_python(*words, cwd=tmp_path, PYTHONPATH=path))
