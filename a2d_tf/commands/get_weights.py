"""Get public weights by name, or see whether a copy of A2D is whole.

  python tools/get_weights.py coco imagenet
  python -m a2d_tf.train ... --init_rgb=coco --init_flow=imagenet

fetches Mask R-CNN on COCO (matterport) and ResNet-101 on ImageNet (Keras) from where they are
published, checks and imports them, and keeps both in the cache. Interrupted and run again, it goes
on from there. Training fetches what it needs by itself; this is for machines without a network
(--from) and for doing it beforehand.

  python tools/get_weights.py --check_archive=A2D_main_1_0.tar.bz
  python tools/get_weights.py --check_archive=Release --json=missing.json --whole=whole.txt

compares an archive or a folder with its videoset.csv and says what is missing or cut off, by names,
sizes and headers; the exit status is 1 where it is not complete.
"""

from __future__ import annotations

from absl import flags

from a2d_tf.core import errors
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json, write_text

_CACHE = flags.DEFINE_string(
    "cache", None, "Folder of the weights; by default $A2D_TF_CACHE, or ~/.cache/a2d_tf."
)
_FROM = flags.DEFINE_string(
    "from", None, "Folder of the published files, got by hand; nothing is fetched."
)
_ARCHIVE = flags.DEFINE_multi_string(
    "check_archive",
    [],
    "A copy of A2D, or a part of it: .tar.bz and other tar files, .zip, or a "
    "folder. Given several times, they are one copy.",
)
_LIST = flags.DEFINE_string(
    "list", None, "With --check_archive: videoset.csv to compare with, if not the copy's own."
)
_JSON = flags.DEFINE_string("json", None, "With --check_archive: file for all that was found.")
_WHOLE = flags.DEFINE_string(
    "whole",
    None,
    "With --check_archive: file for the VIDs that are whole, one a line, for --videos of "
    "tools/build_records.py.",
)


def main(argv):
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
    # Below, because TensorFlow takes seconds to load: a mistyped name should not wait for it.
    from a2d_tf.pretrained import cache

    for name in names:
        path = cache.get(name, _CACHE.value, _FROM.value)
        print(f"{name}: {path}, for --init_rgb={name} or --init_flow={name}")
    if _CACHE.value:
        print(f"set A2D_TF_CACHE={cache.folder(_CACHE.value)} for the names to be found there")
    return 0


def _check_archive():
    from a2d_tf.data.sources import archive

    inventory = archive.check(_ARCHIVE.value, _LIST.value)
    print(inventory.text())
    if _JSON.value:
        write_json(_JSON.value, inventory.to_dict())
        print(f"{_JSON.value}: written")
    if _WHOLE.value:
        write_text(_WHOLE.value, "".join(f"{vid}\n" for vid in inventory.whole))
        print(f"{_WHOLE.value}: written")
    return 0 if inventory.complete else 1


def run() -> None:
    """Run the command with the words of the command line."""
    errors.run(main)


if __name__ == "__main__":
    run()
