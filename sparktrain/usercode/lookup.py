"""Looks up the user's functions and modules, and sends functions to the child process by name or by value."""

from __future__ import annotations

import ast
import difflib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from sparktrain.config import ConfigError, Problem
from sparktrain.interfaces.training_spec import Source
from sparktrain.models.by_value import by_value
from sparktrain.usercode.syntax_tree import parse


def search_folders(config_file: str | Path | None = None) -> list[str]:
    """Return the folders where `module:function` is looked up: the YAML's folder, the current folder, PYTHONPATH."""
    folders = [str(Path(config_file).resolve().parent)] if config_file is not None else []
    folders += [os.getcwd(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return list(dict.fromkeys(str(Path(folder).resolve()) for folder in folders if Path(folder).exists()))


def own_folders(functions: Iterable[Any]) -> list[str]:
    """Return the folders that the modules of these functions were imported from; for a script's function, its folder."""
    found = []
    for function in functions:
        module = sys.modules.get(getattr(function, "__module__", None) or "")
        file = getattr(module, "__file__", None)
        if module is not None and file is not None:
            depth = module.__name__.count(".") + (Path(file).name == "__init__.py")
            found.append(str(Path(file).resolve().parents[depth]))
    return list(dict.fromkeys(found))


def find_module(name: str, folders: Sequence[str]) -> ModuleSpec | None:
    """Return a module's spec, without importing it, from the folders or else sys.path; None if there is no such module."""
    path: Sequence[str] = [*folders, *sys.path]
    spec = None
    parts = name.split(".")
    for depth in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: depth + 1]), list(path))
        if spec is None:
            return None
        path = spec.submodule_search_locations or []
    return spec


def check_function(key: str, name: str, folders: Sequence[str]) -> Problem | None:
    """Check that `module:function` exists, without importing it (a builder's module imports TensorFlow).

    Returns:
        None if it exists; else a problem with the folders searched, or the functions that the module defines.
    """
    module, _, function = name.partition(":")
    missing = check_module(key, module, folders, f"{name}: ")
    if missing is not None:
        return missing
    spec = find_module(module, folders)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None  # compiled, or a package without a file: only an import can tell
    try:
        body = parse(Path(spec.origin).read_bytes(), spec.origin).body
    except (SyntaxError, ValueError) as error:
        return Problem(key, f"{name}: {spec.origin} can't be imported: {error}", "a module of Python")
    names = {name for node in body for name in _bound(node)}
    if function in names or "*" in names:
        return None
    defined = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    nearest = difflib.get_close_matches(function, defined, n=1)
    return Problem(
        key,
        f"{name}: there is no function {function!r} in {spec.origin}",
        f"one of {', '.join(defined)}" if defined else "a function",
        f"did you mean {module}:{nearest[0]}?" if nearest else "",
    )


def check_module(key: str, name: str, folders: Sequence[str], what: str = "") -> Problem | None:
    """Check that a module exists, without importing it; return a problem if it doesn't, else None.

    Args:
        key: the configuration's key that names it.
        what: a prefix for the message.
    """
    if find_module(name, folders) is not None:
        return None
    expected = "a module in the YAML's folder, the current folder or on PYTHONPATH"
    return Problem(key, f"{what}there is no module {name!r}", expected, f"looked in {', '.join(folders)}")


def _bound(node: ast.stmt) -> list[str]:
    """Return the names that a statement at a module's top level binds."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [target.id for target in targets if isinstance(target, ast.Name)]
    inside = [inner for block in ("body", "orelse", "finalbody") for inner in getattr(node, block, ())]
    inside += [inner for handler in getattr(node, "handlers", ()) for inner in handler.body]
    return [name for inner in inside for name in _bound(inner)]


def resolve(name: str, folders: Sequence[str]) -> Callable[..., Any]:
    """Import and return `module:function`."""
    module, _, function = name.partition(":")
    for folder in reversed(folders):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    return getattr(importlib.import_module(module), function)


def goes_by_name(function: Any) -> bool:
    """Return whether a function can be imported by its module and name.

    False for a script's function, a bound method, one that a decorator replaced, and functools.partial.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    return module != "__main__" and getattr(sys.modules.get(module or ""), name, None) is function


def source(function: str | Callable[..., Any], args: dict[str, Any] | None = None, modules: Sequence[str] = ()) -> Source:
    """Return how the child process loads a function: by name if it can be imported, else (a script, a notebook) by value.

    Args:
        function: the function, or its name as `module:function`.
        args: its keyword arguments.
        modules: modules for the child to import first.

    Raises:
        ConfigError: an argument is no value that JSON can hold.
    """
    args = args or {}
    for name, value in args.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            kind = f"{name}, a {type(value).__name__}"
            raise ConfigError([Problem("model.args", kind, "what JSON can hold", str(error))]) from error
    if isinstance(function, str):
        return Source(function=function, args=args, modules=tuple(modules))
    if goes_by_name(function):
        return Source(function=f"{function.__module__}:{function.__qualname__}", args=args, modules=tuple(modules))
    return Source(pickle=by_value(function), args=args, modules=tuple(modules))
