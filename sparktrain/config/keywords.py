"""A job's keys as the keyword arguments of a program: names, types, defaults and texts are the schema's."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

from sparktrain.config import describe
from sparktrain.config.check import validate
from sparktrain.config.errors import Problem, show
from sparktrain.config.job import Job
from sparktrain.config.manual import schema
from sparktrain.config.training import Training

F = TypeVar("F", bound=Callable[..., Any])
_OF_DATA = ("features", "label", "weight", "validation", "sample", "pipeline", "keep")  # the frame has the rest behind it
_NAMES = (
    {f"data.{name}": name for name in _OF_DATA}
    | {"model.args": "args", "model.files": "files"}
    | {f"training.{name}": name for name in Training.model_fields}
    | {"cluster": "cluster", "output.path": "output", "seed": "seed"}
)
# What differs from a job's file: another type that is taken, and the text in place of the schema's.
_IN_PROGRAMS = {
    "args": ("", "Keyword arguments of the model's function."),
    "callbacks": ("Callable[[], Sequence[Any]]", "A function that returns a list of Keras callbacks, called in every worker."),
    "checkpoint": ("Literal[False]", "When checkpoints are written, to resume from after a failure; False: never."),
    "cluster": ("", "What the workers need of the cluster: keys of a job's section `cluster`."),
    "output": (
        "",
        "The URL of the folder that the run's own folder is made in. Without it, the run is in a scratch folder of the default "
        "file system until `Result.save` copies it.",
    ),
    "pipeline": (
        "Estimator | Transformer",
        "A Spark ML Pipeline, which is fitted on the training rows, or a PipelineModel; or the URL of a saved one.",
    ),
}
_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class Keyword(NamedTuple):
    """A keyword argument that stands for a key of a job.

    Attributes:
        key: the dotted key.
        type: the argument's type as an annotation; None stands for the default.
        default: the key's default.
        required: whether the argument must be given.
        text: what it means.
    """

    key: str
    type: str
    default: Any
    required: bool
    text: str


def _keywords() -> dict[str, Keyword]:
    tree = schema()
    keys = {key.name: key for key in describe.keys(tree)}
    found = {}
    for dotted, name in _NAMES.items():
        key = keys[dotted]
        another, text = _IN_PROGRAMS.get(name, ("", key.node["description"]))
        types = [each for each in (_type(tree, key.node), another, "" if key.required else "None") if each]
        found[name] = Keyword(dotted, " | ".join(types), key.node.get("default"), key.required, text)
    return found


def _type(tree: describe.Node, node: describe.Node) -> str:
    """Return the annotation of the values that a part of the schema allows, but for null."""
    words = describe.words(tree, node)
    types = ["Literal[{}]".format(", ".join(f'"{word}"' for word in words))] if words else []
    for part in describe.alternatives(tree, node):
        more = part.get("additionalProperties")
        if part.get("type") == "array":
            types.append(f"Sequence[{_type(tree, part['items'])}]")
        elif isinstance(more, dict):
            names = "str" if "propertyNames" in part else "Any"  # of a name that may be a number JSON's schema says nothing
            types.append(f"Mapping[{names}, {_type(tree, more)}]")
        elif part.get("type") == "object":
            types.append("Mapping[str, Any]")
        elif "enum" not in part and "const" not in part:
            types.append(_TYPES[part["type"]])
    return " | ".join(dict.fromkeys(each for each in types if each != "None"))


KEYWORDS = _keywords()


def in_signature(function: F) -> F:
    """Show the keyword arguments in the signature and the docstring of a function that takes them as `**keywords`.

    In the docstring they take the place of the argument `**keywords`, which has one line.
    """
    parameters = inspect.signature(function).parameters.values()
    shown = [parameter for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    for name, keyword in KEYWORDS.items():
        default = inspect.Parameter.empty if keyword.required else keyword.default
        shown.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=keyword.type))
    function.__signature__ = inspect.signature(function).replace(parameters=shown)  # type: ignore[attr-defined]
    texts = "\n".join(
        textwrap.fill(f"{name}: {keyword.text}", 120, initial_indent=" " * 8, subsequent_indent=" " * 12)
        for name, keyword in KEYWORDS.items()
    )
    function.__doc__ = re.sub(r"^ *\*\*keywords:.*$", lambda _: texts, function.__doc__ or "", flags=re.MULTILINE)
    return function


def job_of_keywords(name: str, given: Mapping[str, Any]) -> Job:
    """Return the job of a program's keyword arguments: None takes the default, False sets a key to null.

    Args:
        name: the job's name.
        given: the arguments by their names, among them those that no key has.

    Raises:
        ConfigError: the job can't work; the error has every problem.
    """
    job, unknown = mapping_of_keywords(name, given)
    return validate(Job, job, whole=False, found=unknown)


def mapping_of_keywords(name: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the mapping of a job's sections that stands for a program's keyword arguments, and the problem of each unknown one.

    Args:
        name: the job's name.
        given: see `job_of_keywords`.
    """
    job: dict[str, Any] = {"name": name, "data": {}}
    unknown = []
    for word, value in given.items():
        if word not in KEYWORDS:
            unknown.append(_unknown(word, value))
        elif value is not None:
            section, _, key = KEYWORDS[word].key.rpartition(".")
            (job.setdefault(section, {}) if section else job)[key] = None if value is False else value
    return job, unknown


def _unknown(word: str, value: Any) -> Problem:
    keys: dict[str, str] = {}
    for key in describe.keys(schema()):
        keys.setdefault(key.name.rpartition(".")[2], key.name)
    near = get_close_matches(word, [*KEYWORDS, "name", "run_id", "control"], 3)
    meant = word if word in keys or near else next(iter(get_close_matches(word, keys, 1, cutoff=0.75)), "")
    dotted = keys.get(meant, "")
    inside = next((name for name, keyword in KEYWORDS.items() if dotted.startswith(f"{keyword.key}.")), None)
    if inside is not None:
        hint = f"did you mean {inside}={{{dotted.removeprefix(f'{KEYWORDS[inside].key}.')!r}: …}}?"
    elif dotted:
        hint = f"{dotted} is a key of a job's file alone"
    else:
        hint = f"did you mean {' or '.join(near)}?" if near else ""
    return Problem(word, f"no such argument ({show(value)} came)", "" if hint else f"one of {', '.join(KEYWORDS)}", hint)
