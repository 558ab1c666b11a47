"""Reads from the source of a job's callbacks which packages they import, to report a missing one before any row is read."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sparktrain.models.by_value import SCRIPT
from sparktrain.usercode.lookup import find_module
from sparktrain.usercode.packing import own_modules
from sparktrain.usercode.syntax_tree import parse

# Callbacks of Keras that import another package only in the first step
_PACKAGES = {"TensorBoard": "tensorboard"}
_KNOWN = ("sparktrain", "keras", "tensorflow", "numpy")  # checked already, on every executor


def packages_needed(callbacks: str | Callable[..., Any] | None, folders: Sequence[str]) -> list[str]:
    """Return the packages that a function of callbacks needs on the executors, as far as its source shows.

    Imports under `try` or `if` may fail, and modules in the user's own folders are shipped: both are left out.

    Args:
        callbacks: the function, or its name as `module:function`; None for none.
        folders: where the user's modules are looked up.
    """
    if callbacks is None:
        return []
    if isinstance(callbacks, str):
        module, _, name = callbacks.partition(":")
        tree = _module(module, folders)
    else:
        name = getattr(callbacks, "__name__", "")
        in_module = getattr(callbacks, "__module__", SCRIPT) != SCRIPT
        tree = _module(callbacks.__module__, folders) if in_module else _source(callbacks)
    if tree is None:
        return []
    function = next((node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name), None)
    body = function.body if function is not None else []
    imported = [*_imports(tree.body), *_imports(body)]
    mentioned = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for part in body
        for node in ast.walk(part)
        if isinstance(node, (ast.Attribute, ast.Name))
    }
    imported += [package for callback, package in _PACKAGES.items() if callback in mentioned]
    packages = dict.fromkeys(each.partition(".")[0] for each in imported)
    return [
        each
        for each in packages
        if each not in sys.stdlib_module_names and each not in _KNOWN and not own_modules([each], folders)
    ]


def _module(name: str, folders: Sequence[str]) -> ast.Module | None:
    spec = find_module(name, folders)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        return parse(Path(spec.origin).read_bytes(), spec.origin)
    except (OSError, SyntaxError, ValueError):  # in an archive, or its import will report it
        return None


def _source(function: Callable[..., Any]) -> ast.Module | None:
    try:
        return parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # typed interactively, or no Python function
        return None


def _imports(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield the modules that statements import, except under `try` or `if` and inside functions and classes."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module
        elif isinstance(node, ast.With):
            yield from _imports(node.body)
