"""TrackEval's HOTA and Identity on sequences, from and to JSON.

It runs in the packages of tests/oracles_requirements.txt, see tests/test_trackeval_oracle.py.
Standard input: [[sequence, ...], ...]; a sequence has for each frame the ids of the truth, those of
the tracker and their similarity.
"""

import importlib
import json
import pathlib
import sys
import types

import numpy as np


def package(name):
    """A package without its `__init__`, which imports plots and data sets."""
    folders = [pathlib.Path(folder, *name.split(".")) for folder in sys.path]
    module = types.ModuleType(name)
    module.__path__ = [str(folder) for folder in folders if folder.is_dir()]
    sys.modules[name] = module


package("trackeval")
package("trackeval.metrics")
HOTA = importlib.import_module("trackeval.metrics.hota").HOTA()
IDENTITY = importlib.import_module("trackeval.metrics.identity").Identity({"PRINT_CONFIG": False})


def data(sequence):
    """A sequence in TrackEval's form."""
    frames = [(np.array(g, int), np.array(t, int), s) for g, t, s in sequence]
    gt_ids, tracker_ids = (sorted({i for f in frames for i in f[side]}) for side in (0, 1))
    return {
        "num_gt_dets": sum(len(g) for g, _, _ in frames),
        "num_tracker_dets": sum(len(t) for _, t, _ in frames),
        "num_gt_ids": len(gt_ids),
        "num_tracker_ids": len(tracker_ids),
        "gt_ids": [np.array([gt_ids.index(i) for i in g], int) for g, _, _ in frames],
        "tracker_ids": [np.array([tracker_ids.index(i) for i in t], int) for _, t, _ in frames],
        "similarity_scores": [np.array(s, float).reshape(len(g), len(t)) for g, t, s in frames],
    }


def figures(case):
    """The figures of the sequences of a case together, in percent."""
    sequences = [data(sequence) for sequence in case]
    found = {}
    for metric in (HOTA, IDENTITY):
        results = {str(i): metric.eval_sequence(s) for i, s in enumerate(sequences)}
        found |= metric.combine_sequences(results)
    names = ("HOTA", "DetA", "AssA", "LocA", "IDF1", "IDP", "IDR")
    return [100 * float(np.mean(found[name])) for name in names]


print(json.dumps([figures(case) for case in json.load(sys.stdin)]))
