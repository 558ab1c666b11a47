"""Checks the names of keyword arguments against the user's functions that take them, without importing these."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sparktrain.config import Problem
from sparktrain.usercode.lookup import find_module
from sparktrain.usercode.syntax_tree import parse


def argument_names(function: str | Callable[..., Any], folders: Sequence[str]) -> list[str] | None:
    """Return the names of a function's arguments; None if it takes any, or if only an import can tell.

    Args:
        function: a function, or its name as `module:function`.
        folders: where modules are looked up.
    """
    if not isinstance(function, str):
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return None
        any_name = any(each.kind is each.VAR_KEYWORD for each in parameters)
        return None if any_name else [each.name for each in parameters if each.kind is not each.POSITIONAL_ONLY]
    module, _, name = function.partition(":")
    spec = find_module(module, folders)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        body = parse(Path(spec.origin).read_bytes(), spec.origin).body
    except (SyntaxError, ValueError, OSError):
        return None  # which the check of the function itself reports
    found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == name]
    if len(found) != 1 or found[0].decorator_list or found[0].args.kwarg is not None:
        return None
    return [each.arg for each in (*found[0].args.args, *found[0].args.kwonlyargs)]


def unknown_arguments(
    keys: Iterable[str], prefix: str, function: str | Callable[..., Any] | None, folders: Sequence[str], place: str
) -> list[Problem]:
    """Return a problem for each key that stands for an argument which a function doesn't have.

    Args:
        keys: dotted keys.
        prefix: what the keys of the function's arguments begin with, such as `model.args.`
        function: the function that is called with them, or its name; None if there is none.
        folders: where modules are looked up.
        place: what stands before the keys in the problem's key.
    """
    asked = {key: key.removeprefix(prefix).partition(".")[0] for key in keys if key.startswith(prefix)}
    known = argument_names(function, folders) if asked and function is not None else None
    if known is None:
        return []
    name = function if isinstance(function, str) else getattr(function, "__qualname__", str(function))
    problems = []
    for key, argument in asked.items():
        if argument not in known:
            near = difflib.get_close_matches(argument, known, 1)
            expected = f"one of {', '.join(known)}" if known else "no argument"
            hint = f"did you mean {near[0]}?" if near else ""
            problems.append(Problem(f"{place}{key}", f"{name} has no argument {argument!r}", expected, hint))
    return problems
