"""Records by Beam: a shard an element; this process publishes them when all are whole."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from a2d_tf.commands.beam import files, pipeline
from a2d_tf.core.errors import InputError
from a2d_tf.data import manifest
from a2d_tf.data.convert import PARTIAL, Conversion, Shard


@dataclasses.dataclass(frozen=True)
class Builder:
    """What the workers know beside the shards.

    Attributes:
      words: Beam's command line.
      url: of the records where they are not on a disk that all workers see, else None.
      copies: (URL, path of its copy on each machine) of the inputs.
      folder: of each machine, for what it must hold for a while.
    """

    words: tuple[str, ...]
    url: str | None
    copies: tuple[tuple[str, str], ...]
    folder: str

    def build_all(
        self, conversion: Conversion, shards: Sequence[Shard], workers: int
    ) -> Iterator[tuple[str, dict]]:
        """Build shards on Beam's workers; see `convert.build_all`, whose place it takes.

        Raises:
          InputError: of a worker, or the runner failed.
        """
        output = conversion.output
        function = functools.partial(_build, self, conversion)
        results = pipeline.run(function, shards, self.words, self.url or str(output))
        problems = sorted(result["problem"] for result in results if result["problem"])
        if problems:
            more = f" (and {len(problems) - 1} more shards failed)" if len(problems) > 1 else ""
            raise InputError(problems[0] + more)
        if self.url:
            files.get(files.join(self.url, PARTIAL), str(output / PARTIAL))
        for result in results:
            yield result["shard"], result["sidecar"]


def _build(builder: Builder, conversion, shard) -> dict[str, Any]:
    """In a worker: build a shard, or find it built."""
    for url, place in builder.copies:
        files.ensure(url, place)

    def build(folder):
        return dataclasses.replace(conversion, output=folder).build_in_worker(shard)

    try:
        sidecar = (
            _build_apart(builder.url, shard, builder.folder, build)
            if builder.url
            else build(conversion.output)
        )
    except InputError as error:
        return {"shard": shard.name, "sidecar": None, "problem": str(error)}
    return {"shard": shard.name, "sidecar": sidecar, "problem": ""}


def _build_apart(records_url, shard, place, build):
    """Build a shard in a folder of this machine, and copy it to the URL, the sidecar last."""
    url, sidecar = files.join(records_url, PARTIAL), f"{shard.name}.json"
    with files.scratch(place) as folder:
        partial = pathlib.Path(folder, PARTIAL)
        partial.mkdir()
        wanted = {files.join(url, name): str(partial / name) for name in (shard.name, sidecar)}
        finished = set(wanted) <= set(files.listing(files.join(url, f"{shard.name}*")))
        if finished:
            files.get_files(wanted)
        before = (partial / sidecar).read_bytes() if finished else b""
        result = build(pathlib.Path(folder))
        if (partial / sidecar).read_bytes() != before:
            files.delete([files.join(url, sidecar)])
            files.put(str(partial), url, last=sidecar)
    return result


def fetch_published(url: str, output: str) -> None:
    """Copy records that are published at a URL, if they are, so that they can be compared."""
    if files.join(url, manifest.NAME) in files.listing(url):
        there = [path for path in files.listing(url) if PARTIAL not in path]
        files.get_files({path: os.path.join(output, files.relative(path, url)) for path in there})


def publish(output: str, url: str) -> None:
    """Copy records that were published in `output` to a URL, the manifest last.

    The shards are copied from here, where each was compared with its digest.
    """
    there = files.listing(url)
    if files.join(url, manifest.NAME) in there or not os.path.exists(
        os.path.join(output, manifest.NAME)
    ):
        return
    files.put(output, url, last=manifest.NAME)
    files.delete(path for path in there if f"/{PARTIAL}/" in path)
