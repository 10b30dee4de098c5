"""Work shared by processes, and by threads."""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest
from processes import ROOT

from a2d_tf.core.errors import InputError
from a2d_tf.core.machine.tasks import Task
from a2d_tf.core.machine.workers import imap, in_threads


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_errors_through(workers):
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    other.start()
    assert list(imap(abs, [-3, 2, -1], workers)) == [3, 2, 1] and other.is_alive()
    other.terminate()
    with pytest.raises(ValueError, match="invalid literal"):
        list(imap(int, ["1", "one"], workers))


def test_a_killed_process_is_a_clear_error():
    with pytest.raises(InputError, match="a worker process was killed.*--workers"):
        list(imap(os._exit, [1], 2))


def test_a_process_that_ends_before_it_has_read_anything():
    """What it is to do is more than a pipe holds."""
    code = (
        "import multiprocessing as m; from multiprocessing import resource_tracker"
        " as r; "
    )
    code += (
        "r.ensure_running(); m.set_executable('/bin/false');"
        " from a2d_tf.core.machine import workers; "
    )
    code += "list(workers.imap(bytes(10**6).startswith, [b'0'] * 9, 2))"
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=60
    )
    assert (
        done.returncode == 1
        and "InputError: a worker process was killed" in done.stderr
    )


def test_threads_keep_the_order_and_take_no_more_items_than_they_may():
    taken = []

    def items():
        for item in range(9):
            taken.append(item)
            yield item

    def work(item):
        time.sleep(0.02 if item % 2 == 0 else 0)
        return item

    found = in_threads(work, items(), ahead=3, threads=2)
    assert next(found) == 0 and taken == [0, 1, 2, 3]
    assert list(found) == list(range(1, 9))


def test_errors_of_threads_and_of_items_are_raised_in_their_place():
    def fail_at_two(item):
        if item == 2:
            raise InputError("two")
        return item

    found = in_threads(fail_at_two, range(9), ahead=3)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(InputError, match="two"):
        next(found)

    def broken():
        yield 0
        raise InputError("no more")

    with pytest.raises(InputError, match="no more"):
        list(in_threads(lambda item: item, broken(), ahead=3))


def test_tasks_share_all_items_once():
    items = list(range(23))
    for count in (1, 2, 5, 23, 40):
        shares = [Task.parse(f"{i}/{count}").share(items) for i in range(1, count + 1)]
        assert sorted(sum(shares, [])) == items
    assert Task.parse("2/5").share(items) == [1, 6, 11, 16, 21]
    for text in ("0/3", "4/3", "3", "a/b", "1/0", "-1/2", "1/2/3", ""):
        with pytest.raises(InputError, match=f"--task={text}: invalid task"):
            Task.parse(text)
