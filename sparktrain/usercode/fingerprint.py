"""Fingerprints a function by its code and what it refers to."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def of_function(function: Any) -> str:
    """Return the SHA-256 of a function's bytecode, its defaults, and what it refers to in its own module.

    A pickle can't be hashed instead: it has random ids of classes and, in a notebook, file names that differ each time. The
    bytecode, and so the hash, differs between minor versions of Python.
    """
    return hashlib.sha256("\n".join(_described(function, set(), getattr(function, "__module__", None))).encode()).hexdigest()


def _described(value: Any, seen: set[int], home: str | None) -> Iterator[str]:
    """Yield lines that identify what a value does.

    Args:
        seen: ids of values already visited, for functions that refer to each other.
        home: the module whose functions and classes are hashed by value; those of other modules by name.
    """
    if isinstance(value, (*_PLAIN, type(Ellipsis))):
        yield repr(value)
    elif id(value) in seen:
        yield "again"
    elif isinstance(value, functools.partial):
        yield "partial"
        for each in (value.func, list(value.args), value.keywords):
            yield from _described(each, seen, home)
    elif isinstance(value, (list, tuple)):
        yield f"{type(value).__name__} of {len(value)}"
        for each in value:
            yield from _described(each, seen | {id(value)}, home)
    elif isinstance(value, dict):
        yield f"dict of {len(value)}"
        for key, each in value.items():
            yield repr(key) if isinstance(key, _PLAIN) else type(key).__qualname__
            yield from _described(each, seen | {id(value)}, home)
    elif isinstance(value, (set, frozenset)):
        yield from sorted("".join(_described(each, set(), home)) for each in value)
    elif isinstance(value, ModuleType):
        yield f"module {value.__name__}"
    elif isinstance(value, MethodType):
        yield from _described(value.__func__, seen, home)
        yield from _described(value.__self__, seen, home)
    elif isinstance(value, FunctionType) and value.__module__ == home:
        seen.add(id(value))
        yield from _said_function(value, seen, home)
    elif isinstance(value, type) and value.__module__ == home:
        seen.add(id(value))
        yield from _said_class(value, seen, home)
    elif isinstance(value, (FunctionType, type)) or hasattr(value, "__qualname__"):
        yield f"{getattr(value, '__module__', None)}.{value.__qualname__}"
    else:  # an object: its class, and the plain attributes of a user's class; others may hold process-specific numbers
        yield from _described(type(value), seen, home)
        if type(value).__module__ == home:
            yield from _described({name: each for name, each in vars(value).items() if isinstance(each, _PLAIN)}, seen, home)


def _said_function(function: FunctionType, seen: set[int], home: str | None) -> Iterator[str]:
    yield f"function {function.__qualname__}"
    yield from _said_code(function.__code__)
    yield from _described([function.__defaults__, function.__kwdefaults__], seen, home)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            content = cell.cell_contents
        except ValueError:  # not set yet
            continue
        yield f"free {name}"
        yield from _described(content, seen, home)
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            yield f"global {name}"
            yield from _described(function.__globals__[name], seen, home)


def _said_class(kind: type, seen: set[int], home: str | None) -> Iterator[str]:
    yield f"class {kind.__qualname__}"
    for base in kind.__bases__:
        yield from _described(base, seen, home)
    for name, value in sorted(vars(kind).items()):
        if name in ("__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__") or name.startswith("_abc_"):
            continue
        yield name
        value = getattr(value, "__func__", getattr(value, "fget", value))  # of a class or static method, or a property
        yield from _described(value, seen, home)


def _said_code(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars))
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _said_code(value)
        else:
            yield from _described(value, set(), None)


def _names(code: CodeType) -> set[str]:
    """Return the names that a code object and the functions in it look up."""
    return {*code.co_names}.union(*(_names(value) for value in code.co_consts if isinstance(value, CodeType)))
