"""Records by Beam: a shard an element; this process publishes them when all are whole."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

from a2d_tf.commands.beam import files
from a2d_tf.commands.beam.pipeline import Setup
from a2d_tf.core.errors import InputError
from a2d_tf.data import manifest
from a2d_tf.data.convert import PARTIAL, Conversion, Shard


def build_all(
    setup: Setup, conversion: Conversion, shards: Sequence[Shard], workers: int
) -> Iterator[tuple[str, dict]]:
    """Build shards on Beam's workers; see `convert.build_all`, whose place it takes.

    Raises:
      InputError: of a worker, or the runner failed.
    """
    output, url = conversion.output, setup.url_of(str(conversion.output))
    if url:  # what an earlier call has finished was copied here
        there = [shard for shard in shards if conversion.sidecar_path(shard).exists()]
        yield from ((shard.name, conversion.build(shard)) for shard in there)
        shards = [shard for shard in shards if shard not in there]
    results = setup.run(functools.partial(_build, setup, conversion), shards, str(output))
    problems = sorted(problem for _, _, problem in results if problem)
    if problems:
        more = f" (and {len(problems) - 1} more shards failed)" if len(problems) > 1 else ""
        raise InputError(problems[0] + more)
    if url:
        files.get(files.join(url, PARTIAL), str(output / PARTIAL))
    yield from ((name, sidecar) for name, sidecar, _ in results)


def publish(output: str, url: str) -> None:
    """Copy records that were published in `output` to a URL, the manifest last.

    The shards are copied from here, where each was compared with its digest.
    """
    _, there = files.listing(url)
    if manifest.NAME not in there:
        files.put(output, url, last=manifest.NAME)
        files.delete(entry.path for entry in there.values() if f"/{PARTIAL}/" in entry.path)


def _build(setup: Setup, conversion: Conversion, shard: Shard) -> tuple[str, dict | None, str]:
    """In a worker: build a shard; return its name, its sidecar, and what went wrong."""
    url = setup.url_of(str(conversion.output))
    try:
        setup.fetch_copies()
        if not url:
            return shard.name, conversion.build_in_worker(shard), ""
        with tempfile.TemporaryDirectory(dir=setup.staging) as folder:
            partial = os.path.join(folder, PARTIAL)
            os.mkdir(partial)
            apart = dataclasses.replace(conversion, output=pathlib.Path(folder))
            sidecar = apart.build_in_worker(shard)
            files.put(partial, files.join(url, PARTIAL), last=f"{shard.name}.json")
        return shard.name, sidecar, ""
    except InputError as error:
        return shard.name, None, str(error)
