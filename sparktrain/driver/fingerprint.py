"""What tells whether a run is still the same where nothing has a name: functions by value, and the plan of a frame given."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Iterator

from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame

from sparktrain.driver.functions import goes_by_name
from sparktrain.driver.given import Given

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_NUMBERED = re.compile(r"#\d+L?|\bplan_id=\d+")   # Spark numbers a plan's columns anew in each application


def of_given(given: Given, *, rows_kept: bool) -> dict[str, str]:
    """A fingerprint of each thing that a program hands over and that no file tells of.

    Args:
        given: what it hands over. Functions of modules are left out: those are known by their files.
        rows_kept: whether the run reads its rows as it has stored them once, whatever the frame is by now.
    """
    found = {}
    for name, value in (("model", given.model), ("preprocess", given.preprocess), ("callbacks", given.callbacks)):
        if hasattr(value, "train_on_batch"):
            found[name] = of_model(value)
        elif value is not None and not goes_by_name(value):
            found[name] = of_function(value)
    if given.pipeline is not None:
        found["pipeline"] = of_pipeline(given.pipeline)
    if given.frame is not None and not rows_kept:
        found["frame"] = of_frame(given.frame)
    return found


def of_model(model: Any) -> str:
    """SHA-256 of a Keras model's layers and of what it was compiled with, not of its weights, which begin anew each time."""
    said = json.dumps([model.get_config(), model.get_compile_config()], default=repr, sort_keys=True)
    # Keras numbers layers on within a process
    return hashlib.sha256(re.sub(r'_\d+(?=["/])', "", said).encode()).hexdigest()


def of_pipeline(pipeline: Any) -> str:
    """SHA-256 of a Spark ML Pipeline's or PipelineModel's stages with their parameters; not of what a fitted stage has learned."""
    def said(stage: Any) -> list[Any]:
        inner = stage.getStages() if isinstance(stage, Pipeline) else stage.stages if isinstance(stage, PipelineModel) else []
        set_to = {param.name: str(value) for param, value in stage.extractParamMap().items() if param.name != "stages"}
        return [type(stage).__qualname__, set_to, [said(each) for each in inner]]

    # Some parameters' defaults have the stage's uid in them, which is random
    plain = re.sub(r"_[0-9a-f]{12}", "", json.dumps(said(pipeline), sort_keys=True))
    return hashlib.sha256(plain.encode()).hexdigest()


def of_function(function: Any) -> str:
    """SHA-256 of what a function does: its code, its defaults, and what of its own module it refers to.

    Not of its pickle, which holds random ids of classes, and a notebook's files by names that differ each time. The same source
    under another minor version of Python is another: its bytecode is.
    """
    return hashlib.sha256("\n".join(_said(function, set(), getattr(function, "__module__", None))).encode()).hexdigest()


def of_frame(frame: DataFrame) -> str:
    """SHA-256 of the analysed plan: which sources, conditions, functions and columns, not which rows they give.

    The same program under another version of Spark may be another.
    """
    conf, key = frame.sparkSession.conf, "spark.sql.debug.maxToStringFields"
    before = conf.get(key, None)
    conf.set(key, str(1 << 30))
    try:
        plan = frame._jdf.queryExecution().analyzed().toString()
    finally:
        if before is None:
            conf.unset(key)
        else:
            conf.set(key, before)
    return hashlib.sha256(_NUMBERED.sub("", plan).encode()).hexdigest()


def _said(value: Any, seen: set[int], home: str | None) -> Iterator[str]:
    """Lines that differ where what two values do differs.

    Args:
        seen: ids of what has been said, for functions that refer to each other.
        home: the module that goes by value; what is of another goes by its name.
    """
    if isinstance(value, (*_PLAIN, type(Ellipsis))):
        yield repr(value)
    elif id(value) in seen:
        yield "again"
    elif isinstance(value, functools.partial):
        yield "partial"
        for each in (value.func, list(value.args), value.keywords):
            yield from _said(each, seen, home)
    elif isinstance(value, (list, tuple)):
        yield f"{type(value).__name__} of {len(value)}"
        for each in value:
            yield from _said(each, seen | {id(value)}, home)
    elif isinstance(value, dict):
        yield f"dict of {len(value)}"
        for key, each in value.items():
            yield repr(key) if isinstance(key, _PLAIN) else type(key).__qualname__
            yield from _said(each, seen | {id(value)}, home)
    elif isinstance(value, (set, frozenset)):
        yield from sorted("".join(_said(each, set(), home)) for each in value)
    elif isinstance(value, ModuleType):
        yield f"module {value.__name__}"
    elif isinstance(value, MethodType):
        yield from _said(value.__func__, seen, home)
        yield from _said(value.__self__, seen, home)
    elif isinstance(value, FunctionType) and value.__module__ == home:
        seen.add(id(value))
        yield from _said_function(value, seen, home)
    elif isinstance(value, type) and value.__module__ == home:
        seen.add(id(value))
        yield from _said_class(value, seen, home)
    elif isinstance(value, (FunctionType, type)) or hasattr(value, "__qualname__"):
        yield f"{getattr(value, '__module__', None)}.{value.__qualname__}"
    else:   # an object: its class; and what is plain in one of the user's own, as others may hold numbers of their process
        yield from _said(type(value), seen, home)
        if type(value).__module__ == home:
            yield from _said({name: each for name, each in vars(value).items() if isinstance(each, _PLAIN)}, seen, home)


def _said_function(function: FunctionType, seen: set[int], home: str | None) -> Iterator[str]:
    yield f"function {function.__qualname__}"
    yield from _said_code(function.__code__)
    yield from _said([function.__defaults__, function.__kwdefaults__], seen, home)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            content = cell.cell_contents
        except ValueError:   # not set yet
            continue
        yield f"free {name}"
        yield from _said(content, seen, home)
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            yield f"global {name}"
            yield from _said(function.__globals__[name], seen, home)


def _said_class(kind: type, seen: set[int], home: str | None) -> Iterator[str]:
    yield f"class {kind.__qualname__}"
    for base in kind.__bases__:
        yield from _said(base, seen, home)
    for name, value in sorted(vars(kind).items()):
        if name in ("__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__") or name.startswith("_abc_"):
            continue
        yield name
        value = getattr(value, "__func__", getattr(value, "fget", value))   # of a class's or static method, of a property
        yield from _said(value, seen, home)


def _said_code(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars))
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _said_code(value)
        else:
            yield from _said(value, set(), None)


def _names(code: CodeType) -> set[str]:
    """The names that code and the functions within it look up."""
    return {*code.co_names}.union(*(_names(value) for value in code.co_consts if isinstance(value, CodeType)))
