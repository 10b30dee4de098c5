"""What the soak compares of a training."""

import pytest

from tools import soak


def test_a_run_without_a_validation_has_no_best_checkpoint_to_compare(tiny_run):
    assert not (tiny_run / "best").exists()
    values = soak.training(str(tiny_run))
    assert values
    assert all(name.startswith("checkpoints/") for name in values)


def test_a_run_without_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(Exception, match="checkpoints"):
        soak.training(str(tmp_path))
