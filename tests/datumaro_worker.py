"""What Datumaro makes of exports: run by tests/datumaro_env.py, in Datumaro's packages.

Each line of stdin is a request, JSON, and so is its answer on stdout, {"result", "error"}:

["read", FORMAT, FOLDER, HEIGHT, WIDTH]    # the instances
["write", FORMAT, FOLDER, CONTENT]         # null
"""

import json
import pathlib
import shutil
import sys
import tempfile
import traceback
import warnings

import datumaro as dm
import numpy as np
from datumaro.components.media import Image


def read(format_name, folder, height, width):
    """{item id: [instance, ...]}, masks as RLEs; groups are merged as Datumaro merges them."""
    with tempfile.TemporaryDirectory() as copy:
        copy = pathlib.Path(shutil.copytree(folder, copy, dirs_exist_ok=True))
        if format_name.startswith("coco"):  # is not read without
            (copy / "images").mkdir(exist_ok=True)
        dataset = dm.Dataset.import_from(str(copy), format_name)
        labels = dataset.categories()[dm.AnnotationType.label]
        blank = Image.from_numpy(np.zeros((height, width, 3), np.uint8))
        items = [
            item.wrap(
                annotations=[x for x in item.annotations if not x.attributes.get("outside")],
                media=item.media if item.media is not None and item.media.size else blank,
            )
            for item in dataset
        ]
        dataset = dm.Dataset.from_iterable(items, categories=dataset.categories())
        dataset.transform("polygons_to_masks")
        dataset.transform("merge_instance_segments")
        return {
            item.id: [
                described(x, labels) for x in item.annotations if x.type == dm.AnnotationType.mask
            ]
            for item in dataset
        }


def described(mask, labels):
    """An instance as JSON, see `datumaro_env.instances`."""
    return {
        "label": labels[mask.label].name,
        "attributes": mask.attributes,
        "group": mask.group,
        "area": int(np.count_nonzero(mask.image)),
        "rows": np.flatnonzero(mask.image).tolist(),
    }


def write(format_name, folder, content):
    """Write {"labels": [...], "size": [h, w], "items": {id: {"frame", "shapes"}}} to a folder.

    A shape is {"label": index, "group", "attributes"} and "polygon" [x1, y1, ...] or "mask", rows
    of 0 and 1.
    """
    height, width = content["size"]
    media = Image.from_numpy(np.zeros((height, width, 3), np.uint8))
    items = []
    for name, item in content["items"].items():
        annotations = []
        for shape in item["shapes"]:
            common = {key: shape[key] for key in ("label", "group", "attributes")}
            if "polygon" in shape:
                annotations.append(dm.Polygon(shape["polygon"], **common))
            else:
                annotations.append(dm.Mask(np.array(shape["mask"], bool), **common))
        attributes = {"frame": item["frame"]}
        items.append(
            dm.DatasetItem(name, media=media, attributes=attributes, annotations=annotations)
        )
    dataset = dm.Dataset.from_iterable(items, categories=content["labels"])
    dataset.export(folder, format_name, save_media=True)


def answer(request):
    """The answer to a request."""
    try:
        command, *arguments = json.loads(request)
        result = {"read": read, "write": write}[command](*arguments)
        return {"result": result, "error": None}
    except Exception:
        return {"result": None, "error": traceback.format_exc()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr  # where Datumaro may print
    for line in sys.stdin:
        print(json.dumps(answer(line)), file=answers, flush=True)
