"""Work shared by processes."""

import os

import pytest

from a2d_tf.core.errors import InputError
from a2d_tf.data.workers import imap


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_errors_through(workers):
    assert list(imap(abs, [-3, 2, -1], workers)) == [3, 2, 1]
    with pytest.raises(ValueError, match="invalid literal"):
        list(imap(int, ["1", "one"], workers))


def test_a_killed_process_is_a_clear_error():
    with pytest.raises(InputError, match="a worker process was killed.*--workers"):
        list(imap(os._exit, [1], 2))
