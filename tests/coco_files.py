"""Random truth and results as COCO's JSON files."""

import json

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.segmentations import encode_mask

SPACE = LabelSpace(("man", "dog"), ("run", "eat"), (11, 12, 21, 22))


def ellipse(rng, height, width, scale):
    centre, radius = scale * rng.uniform(8, 32, 2), scale * rng.uniform(3, 14, 2)
    y, x = np.ogrid[:height, :width]
    return ((y - centre[0]) / radius[0]) ** 2 + ((x - centre[1]) / radius[1]) ** 2 <= 1


def random_files(folder, seed, scale=1):
    """Paths of a truth and of results around it, with masks, in three sizes of frames."""
    rng = np.random.default_rng(seed)
    sizes = [(40 * scale, 40 * scale), (40 * scale, 56 * scale), (44 * scale, 40 * scale)]
    images = [
        {"id": 10 + i, "file_name": f"v/{i:05d}.png", "height": height, "width": width}
        for i, (height, width) in enumerate(sizes)
    ]
    annotations, results = [], []
    for i in range(18):
        image = images[i % 3]
        mask = ellipse(rng, image["height"], image["width"], scale)
        common = {"image_id": image["id"], "category_id": int(rng.choice([11, 12, 21]))}

        def shape(mask):
            rle = encode_mask(mask)
            return {"segmentation": rle, "bbox": rle_tools.toBbox(rle).tolist()}

        area = int(mask.sum())
        annotations.append({**common, **shape(mask), "id": i + 1, "iscrowd": 0, "area": area})
        for shift in (0, 1, 4):
            moved = np.roll(mask, scale * shift, axis=(0, 1))
            code = int(rng.choice([common["category_id"], 22]))
            score = round(float(rng.random()), 1)
            results.append({**common, **shape(moved), "category_id": code, "score": score})
    categories = [{"id": code, "name": str(code)} for code in SPACE.codes]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    for name, value in (("truth", truth), ("results", results)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder / "truth.json", folder / "results.json"
