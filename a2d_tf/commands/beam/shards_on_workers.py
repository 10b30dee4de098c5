"""Build records on Beam's workers; each item of work is one shard."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from a2d_tf.commands.beam import remote_files
from a2d_tf.commands.beam.beam_runner import BeamSetup
from a2d_tf.core.errors import InputError
from a2d_tf.data.conversion.shard_building import PARTIAL, Conversion, Shard
from a2d_tf.data.conversion.sidecar import Sidecar
from a2d_tf.data.record_folder import manifest


class _ShardResult(NamedTuple):
    """What a worker made of a shard, as JSON has it.

    Attributes:
      sidecar: the fields of its `Sidecar`; {} if there was a problem.
      problem: the message of an error; '' if there was none.
    """

    name: str
    sidecar: dict
    problem: str


def build_all(
    setup: BeamSetup, conversion: Conversion, shards: Sequence[Shard], workers: int
) -> Iterator[tuple[str, Sidecar]]:
    """Build the shards of records on Beam's workers, in place of `convert.build_all`.

    Shards that an earlier call finished are not built again. If the records go to a
    URL, the new shards' files are copied here.

    Args:
      setup: Beam's options, and the URLs and their local folders.
      conversion: how to build a shard; its `output` is the folder of the records.
      shards: all shards of the records.
      workers: not used here, because Beam's options set the number of workers.

    Yields:
      the name of a shard, and its sidecar: what its clips contain.

    Raises:
      InputError: a worker or the runner failed; if several shards failed, the message
        is that of the first.
    """
    partial = str(conversion.output / PARTIAL)
    url = setup.url_of(str(conversion.output))
    shards_to_build = list(shards)
    if url:  # what an earlier call has finished was copied here
        finished = {}
        for shard in shards:
            finished[shard] = conversion.finished(shard, conversion.fingerprint(shard))
        shards_to_build = [shard for shard in shards if not finished[shard]]
        for shard, sidecar in finished.items():
            if sidecar:
                yield shard.name, sidecar
    build = functools.partial(_build, setup, conversion)
    results = []
    for values in setup.run(build, shards_to_build, partial):
        results.append(_ShardResult(*values))
    # Of several problems, that of the first shard.
    for result in sorted(results, key=lambda result: result.name):
        if result.problem:
            raise InputError(result.problem)
    if url:
        remote_files.download(remote_files.join(url, PARTIAL), partial)
    for result in results:
        yield result.name, Sidecar.from_fields(result.sidecar)


def _build(setup: BeamSetup, conversion: Conversion, shard: Shard) -> _ShardResult:
    """In a worker: build a shard, by a copy if the records go to a URL."""
    url = setup.url_of(str(conversion.output))
    try:
        setup.download_inputs()
        if not url:
            sidecar = conversion.build_in_worker(shard)
            return _ShardResult(shard.name, sidecar.to_fields(), "")
        with tempfile.TemporaryDirectory(dir=setup.staging) as folder:
            partial = os.path.join(folder, PARTIAL)
            os.mkdir(partial)
            local = dataclasses.replace(conversion, output=pathlib.Path(folder))
            sidecar = local.build_in_worker(shard)
            remote_files.upload(
                partial, remote_files.join(url, PARTIAL), last=f"{shard.name}.json"
            )
        return _ShardResult(shard.name, sidecar.to_fields(), "")
    except InputError as error:
        return _ShardResult(shard.name, {}, str(error))


def publish(output: str, url: str) -> None:
    """Copy finished records to a URL, with the manifest last.

    If the URL has a manifest already, nothing is copied. The files of partial shards
    at the URL are deleted.

    Args:
      output: the local folder of the finished records.
      url: the URL of the folder to write.
    """
    files = remote_files.list_files(url).files
    if manifest.NAME not in files:
        remote_files.upload(output, url, last=manifest.NAME)
    remote_files.delete(
        metadata.path for metadata in files.values() if f"/{PARTIAL}/" in metadata.path
    )
