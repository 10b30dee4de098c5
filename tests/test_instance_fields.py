"""Labels of instances beside class, box and mask, from annotation files to batches."""

import json

import numpy as np
import pytest
import tensorflow as tf
from a2d_files import coloured_frames, write_video
from test_annotation_formats import open_source

from a2d_tf.annotations import annotated_videos
from a2d_tf.annotations.readers import coco_document
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config, ModelConfig, TrainingConfig
from a2d_tf.data import clip_records
from a2d_tf.data.batches import augmentation, padding, pipeline
from a2d_tf.data.conversion import convert
from a2d_tf.data.conversion.clips import ConversionSettings
from a2d_tf.data.instance_fields import Category, Numbers, Points
from a2d_tf.data.record_folder.manifest import Manifest

SEX = Category("sex", ("female", "male"))
EYES = Points("eyes", (2, 2))
WEIGHT = Numbers("weight")
HALF = np.array([0.5, 2.0])  # height, width


def test_categories_are_names_in_files_and_indices_in_arrays():
    assert SEX.read("male", HALF) == 1 and SEX.read("male", HALF).dtype == np.int32
    assert SEX.read(None, HALF) == -1
    assert SEX.all_missing(2).tolist() == [-1, -1]
    assert [SEX.written(np.int32(i)) for i in (0, 1, -1)] == ["female", "male", None]
    with pytest.raises(InputError, match="'sex' 'unknown' is not a category; use one"):
        SEX.read("unknown", HALF)


def test_points_are_scaled_and_numbers_are_not():
    points = EYES.read([[10, 4], [20, 8]], HALF)
    assert points.tolist() == [[2, 20], [4, 40]]  # (y, x), in pixels of the frame
    assert EYES.written(points) == [[20, 2], [40, 4]]
    assert np.isnan(EYES.read(None, HALF)).all()
    assert WEIGHT.read(3, HALF) == 3 and np.isnan(WEIGHT.all_missing(1)).all()
    for wrong in ([1, 2], "heavy", float("inf"), [[1], [2, 3]]):
        with pytest.raises(InputError, match="'weight' .* is not finite numbers"):
            WEIGHT.read(wrong, HALF)


@pytest.fixture
def fields(monkeypatch):
    """SEX and EYES, known to every module that handles fields."""
    readers = (
        annotated_videos,
        coco_document,
        clip_records.parsing,
        clip_records.truth,
    )
    for module in (*readers, padding, augmentation, pipeline):
        monkeypatch.setattr(module, "FIELDS", (SEX, EYES))


def test_a_category_reaches_batches_as_annotated(fields, tmp_path):
    write_video(tmp_path / "clip.mp4", coloured_frames(4, 64, 96))
    square = [[8, 6, 40, 6, 40, 30, 8, 30]]
    instance = {"image_id": 0, "actor": "cat", "action": "sit", "segmentation": square}
    annotations = [
        {**instance, "sex": "male", "eyes": [[10, 8], [20, 8]]},
        {**instance, "segmentation": [[50, 30, 60, 30, 60, 40, 50, 40]]},
    ]
    image = {"id": 0, "file_name": "clip/00002", "width": 96, "height": 64}
    image["split"] = "train"
    export = {"images": [image], "annotations": annotations}
    (tmp_path / "own.json").write_text(json.dumps(export))

    source = open_source(tmp_path / "own.json", tmp_path)
    settings = ConversionSettings(image_height=64, image_width=96, clip_frames=1)
    convert.convert(source, tmp_path / "records", settings, workers=1)
    manifest = Manifest.load(tmp_path / "records")
    (serialized,) = clip_records.read_shard(manifest.shards("train")[0])
    truth = clip_records.read_truth(serialized)
    assert truth.fields["sex"].tolist() == [1, -1]
    assert np.isnan(truth.fields["eyes"][1]).all()

    clip = clip_records.parse(serialized)
    assert clip["sex"].dtype == tf.int32 and clip["sex"].numpy().tolist() == [1, -1]
    seed = tf.constant([0, 0], tf.int64)
    augmented = augmentation.augment(clip, seed, TrainingConfig())
    assert augmented["sex"].numpy().tolist() == [1, -1]
    model = ModelConfig(image_height=64, image_width=96, temporal_layers=0)
    config = Config(model=model, training=TrainingConfig(max_instances=3))
    batches = pipeline.evaluation(
        manifest, "train", config, 1, fields=["sex", "eyes", "present"]
    )
    (batch,) = batches
    assert batch["sex"].numpy().tolist() == [[1, -1, 0]]
    assert batch["present"].numpy().tolist() == [[True, True, False]]
    assert batch["eyes"].numpy()[0, 0].tolist() == [[8, 10], [8, 20]]


def test_records_of_sources_without_a_field_lack_it(fields, mini_records):
    serialized = next(clip_records.read_shard(mini_records.shards("train")[0]))
    truth = clip_records.read_truth(serialized)
    assert truth.fields["sex"].tolist() == [-1] * len(truth.codes)
    clip = clip_records.parse(serialized)
    assert clip["sex"].numpy().tolist() == [-1] * len(truth.codes)
    assert clip["eyes"].shape == (len(truth.codes), 2, 2)
    assert np.isnan(clip["eyes"]).all()
