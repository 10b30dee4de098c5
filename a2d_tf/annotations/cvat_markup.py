"""XML of other people's programs, parsed with care."""

from __future__ import annotations

import pathlib
from typing import NoReturn
from xml.etree import ElementTree

from a2d_tf.core.errors import InputError


class _Builder(ElementTree.TreeBuilder):
    """Builds the tree of a document that declares no types or entities of its own."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        # Entities of entities grow to any length, and others read files of this machine.
        raise InputError("has a <!DOCTYPE>, which no annotation tool writes; remove it")


def parse_xml(content: bytes, path: pathlib.PurePath) -> ElementTree.Element:
    """Parse an XML document; return its root.

    Args:
      content: the document, in the encoding that it declares.
      path: its path, for errors.

    Raises:
      InputError: no XML, a truncated document, or one with a DOCTYPE.
    """
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(content)
        return parser.close()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except ElementTree.ParseError as error:
        line = error.position[0]
        raise InputError(
            f"{path}: line {line}: no XML, or a truncated file ({error}); export it again"
        ) from error
    except (LookupError, ValueError) as error:
        raise InputError(f"{path}: unreadable encoding ({error}); save it as UTF-8") from error
