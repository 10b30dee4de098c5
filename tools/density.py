"""Count constructs that pack several steps into one line.

  python tools/density.py a2d_tf tests                  counts by folder
  python tools/density.py a2d_tf --list ifexp           file and line of each
  python tools/density.py a2d_tf --most tuple=3 multi=0.7    status 1 above a limit
                                                        per 1000 lines of code

tuple: `a, b = x, y`; ifexp: `x if c else y`; comp: comprehensions and generator
expressions; multi: those with two `for`, or with one inside; spread: `*(...)` and
`**{...}` of a literal; loopif: `for x in a if c else ()`; times: a list or text times a
condition; walrus: `:=`; long: lines over 88 columns; big: functions over 50 lines of
code.
"""

from __future__ import annotations

import argparse
import ast
import collections
import io
import pathlib
import sys
import tokenize
from collections.abc import Iterator
from typing import NamedTuple

KINDS = (
    "tuple",
    "ifexp",
    "comp",
    "multi",
    "spread",
    "loopif",
    "times",
    "walrus",
    "long",
    "big",
)
_COLUMNS = 88
_LONGEST_FUNCTION = 50  # lines of code
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LITERALS = (ast.Tuple, ast.List, ast.IfExp, *_COMPREHENSIONS)
_CONDITIONS = (ast.Compare, ast.BoolOp, ast.Call, ast.UnaryOp)
_NO_CODE = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


class Find(NamedTuple):
    """A construct in a file.

    Attributes:
      kind: its kind, one of KINDS.
      line: number of the line in which it begins, from 1.
    """

    kind: str
    line: int


class Source(NamedTuple):
    """A file of Python code, and the constructs in it.

    Attributes:
      path: path of the file.
      lines: number of its lines of code.
      finds: the constructs.
    """

    path: pathlib.Path
    lines: int
    finds: list[Find]

    def count(self) -> collections.Counter:
        """Return the number of the constructs of each kind."""
        return collections.Counter(find.kind for find in self.finds)


def code_lines(text: str, tree: ast.AST) -> set[int]:
    """Return the numbers of the lines with code: not blank, a comment or a docstring.

    Args:
      text: text of the file.
      tree: its syntax tree.
    """
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and _is_text(node.value):
            lines.difference_update(_lines_of(node))
    return lines


def _lines_of(node):
    return range(node.lineno, node.end_lineno + 1)


def _is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def kinds_of(node: ast.AST, code: set[int]) -> Iterator[str]:
    """Yield the kinds of construct that a node of the syntax tree is.

    Args:
      node: the node.
      code: numbers of the file's lines of code.
    """
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
        if any(isinstance(target, ast.Tuple) for target in node.targets):
            yield "tuple"
    if isinstance(node, ast.IfExp):
        yield "ifexp"
    if isinstance(node, _COMPREHENSIONS):
        yield "comp"
        if _is_nested(node):
            yield "multi"
    if isinstance(node, ast.Starred) and isinstance(node.value, _LITERALS):
        yield "spread"
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values):
            if key is None and isinstance(value, (ast.Dict, ast.IfExp, ast.DictComp)):
                yield "spread"
    if isinstance(node, ast.For) and isinstance(node.iter, ast.IfExp):
        yield "loopif"
    if isinstance(node, ast.BinOp) and _repeats_by_condition(node):
        yield "times"
    if isinstance(node, ast.NamedExpr):
        yield "walrus"
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if len(code.intersection(_lines_of(node))) > _LONGEST_FUNCTION:
            yield "big"


def _is_nested(comprehension):
    """Return whether a comprehension has two `for`, or another one inside."""
    if len(comprehension.generators) > 1:
        return True
    for node in ast.walk(comprehension):
        if isinstance(node, _COMPREHENSIONS) and node is not comprehension:
            return True
    return False


def _repeats_by_condition(node):
    """Return whether an operation is a list or a text times a condition."""
    if not isinstance(node.op, ast.Mult):
        return False
    has_list = False
    has_condition = False
    for operand in (node.left, node.right):
        if isinstance(operand, (ast.List, ast.JoinedStr)) or _is_text(operand):
            has_list = True
        if isinstance(operand, _CONDITIONS):
            has_condition = True
    return has_list and has_condition


def read(path: pathlib.Path) -> Source:
    """Read a file and find the constructs in it.

    Args:
      path: path of the file.
    """
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    code = code_lines(text, tree)
    finds = []
    for node in ast.walk(tree):
        for kind in kinds_of(node, code):
            finds.append(Find(kind, node.lineno))
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _COLUMNS:
            finds.append(Find("long", number))
    return Source(path, len(code), finds)


def table(sources: list[Source]) -> str:
    """Return the counts by folder, in all, and per 1000 lines of code, as text.

    Args:
      sources: the files.
    """
    by_folder: dict[str, collections.Counter] = {}
    for source in sources:
        counts = by_folder.setdefault(str(source.path.parent), collections.Counter())
        counts["lines"] += source.lines
        counts.update(source.count())
    total: collections.Counter = collections.Counter()
    for counts in by_folder.values():
        total.update(counts)
    columns = ("lines", *KINDS)
    lines = [_row("", columns)]
    for folder, counts in by_folder.items():
        lines.append(_row(folder, [counts[name] for name in columns]))
    lines.append(_row("all", [total[name] for name in columns]))
    rates = [""]  # the number of lines has none
    for kind in KINDS:
        rates.append(f"{1000 * total[kind] / total['lines']:.1f}")
    lines.append(_row("per 1000 lines of code", rates))
    return "\n".join(lines)


def _row(name, cells):
    row = f"{name:28}"
    for cell in cells:
        row += f"{cell:>7}"
    return row


def above_limits(sources: list[Source], limits: list[str]) -> list[str]:
    """Return a line for each limit that is exceeded.

    Args:
      sources: the files.
      limits: limits in the form KIND=RATE; multi=2 is 2 per 1000 lines of code.

    Raises:
      SystemExit: a kind is unknown.
    """
    counts: collections.Counter = collections.Counter()
    lines = 0
    for source in sources:
        counts.update(source.count())
        lines += source.lines
    problems = []
    for limit in limits:
        kind, _, most = limit.partition("=")
        if kind not in KINDS:
            raise SystemExit(f"error: --most {limit}: use one of {', '.join(KINDS)}")
        rate = 1000 * counts[kind] / lines
        if rate > float(most):
            problems.append(f"{kind}: {rate:.1f} per 1000 lines, at most {most}")
    return problems


def main() -> int:
    """Count the constructs as the command line asks; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--list", choices=KINDS, help="print where this kind is")
    parser.add_argument("--most", nargs="+", default=[], metavar="KIND=RATE")
    options = parser.parse_args()
    paths: list[pathlib.Path] = []
    for folder in options.folders:
        paths += sorted(folder.rglob("*.py"), key=lambda path: (path.parent, path.name))
    sources = [read(path) for path in paths]
    if options.list:
        for source in sources:
            for find in source.finds:
                if find.kind == options.list:
                    print(f"{source.path}:{find.line}")
        return 0
    print(table(sources))
    problems = above_limits(sources, options.most)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
