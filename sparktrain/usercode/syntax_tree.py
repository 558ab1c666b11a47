"""Parses Python files, for what they import and define."""

from __future__ import annotations

import ast
import threading

_PARSING = threading.Lock()


def parse(source: str | bytes, name: str = "<unknown>") -> ast.Module:
    """Return the syntax tree of a file, as `ast.parse` does, which several threads may not call at the same time.

    CPython counts the depth of trees that it builds for the whole process (before 3.13: "AST constructor recursion depth
    mismatch"), and runs of one application may begin side by side.

    Raises:
        SyntaxError, ValueError: the file can't be parsed.
    """
    with _PARSING:
        return ast.parse(source, name)
