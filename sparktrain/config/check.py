"""Validates a mapping: makes a job of it, or reports all of its problems at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError

from sparktrain.config import describe
from sparktrain.config.errors import ConfigError, Problem, show
from sparktrain.config.kinds import TAGS, Section
from sparktrain.config.rules.rule import broken
from sparktrain.config.yamltext import dotted

Parts = tuple[Any, ...]
J = TypeVar("J", bound=Section)
_STAND_INS = {"data": {"features": ["-"], "label": "-"}}  # replace required keys that are wrong, to check the others
_UNKNOWN = {"extra_forbidden", "invalid_key"}


def validate(
    model: type[J],
    mapping: Any,
    *,
    whole: bool,
    places: Mapping[str, str] | None = None,
    source: str = "the job",
    found: Sequence[Problem] = (),
) -> J:
    """Return the job that a mapping describes.

    Args:
        model: the job's class.
        mapping: the keys and values of each section.
        whole: whether rows, model and output must be named.
        places: the place of each key, such as file:line, by its dotted name.
        source: the mapping's origin, for the error.
        found: problems that are already known.

    Raises:
        ConfigError: the mapping can't work; the error has every problem.
    """
    problems = list(found)
    job = None
    raw = _plain(mapping)
    if not isinstance(raw, dict):
        problems.append(Problem(source, f"{show(raw)} came", f"a mapping with the keys {', '.join(model.model_fields)}"))
    else:
        raw = {key: {} if value is None and key in _sections(model) else value for key, value in raw.items()}
        wrong: set[str] = set()
        try:
            job = model.model_validate(raw)
        except ValidationError as error:
            for parts, problem in _translate(model, raw, error).items():
                problems.append(problem)
                wrong.update({dotted("", parts[0]), *(f"{parts[0]}.{part}" for part in parts[1:2])})
        partial = job if job is not None else _partial(model, raw, wrong)
        if partial is not None:
            problems += broken(partial, wrong, whole)
    if problems or job is None:
        raise ConfigError([one if one.place else one._replace(place=_place(one.key, places or {})) for one in problems], source)
    return job


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _sections(model: type[Section]) -> list[str]:
    return [
        name
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    ]


def _partial(model: type[J], raw: dict[str, Any], wrong: set[str]) -> J | None:
    kept: dict[str, Any] = {}
    for section in _sections(model):
        values = raw.get(section, {})
        values = values if isinstance(values, dict) else {}
        kept[section] = {
            **_STAND_INS.get(section, {}),
            **{key: value for key, value in values.items() if dotted(section, key) not in wrong},
        }
    try:
        return model.model_validate(kept)
    except ValidationError:  # a problem deeper than one key, which is reported already
        return None


def _translate(model: type[Section], raw: dict[str, Any], error: ValidationError) -> dict[Parts, Problem]:
    schema = describe.schema_of(model)
    problems: dict[Parts, Problem] = {}
    for one in error.errors(include_url=False):
        # pydantic adds a union's tag and the mark of a mapping's key to a location.
        marked = [part for part in one["loc"] if part not in TAGS]
        parts = tuple(marked[: marked.index("[key]")] if "[key]" in marked else marked)
        key = _name(raw, parts)
        if parts in problems:
            continue
        if one["type"] in _UNKNOWN:
            problems[parts] = _unknown(schema, parts, key, one["input"])
            continue
        node = describe.at(schema, parts) or {}
        came = "nothing came" if one["type"] == "missing" else f"{show(one['input'])} came"
        if "[key]" in marked:
            kind = "a string" if one["type"].startswith("string") else "an integer, a string or a boolean"
            problems[parts] = Problem(key, f"{show(one['input'])} came as a key", kind, "quotes make it a string")
        elif one["type"] == "value_error":
            problems[parts] = Problem(
                key,
                f"{came}: {one['ctx']['error']}",
                "numbers, strings, booleans, null, and lists and mappings of them by strings",
                "arguments are sent to the workers as JSON",
            )
        else:
            problems[parts] = Problem(
                key, came, describe.allowed(schema, node), _nearest_word(describe.words(schema, node), one["input"])
            )
    return problems


def _name(raw: Any, parts: Parts) -> str:
    key = ""
    for part in parts:
        key = dotted(key, part, item=isinstance(raw, list))
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            raw = None
    return key


def _unknown(schema: describe.Node, parts: Parts, key: str, came: Any) -> Problem:
    section = _name({}, parts[:-1])
    here = describe.names(schema, describe.at(schema, parts[:-1]) or {})
    wrong = str(parts[-1])
    near = get_close_matches(wrong, here, 1) or [name for name in here if name.startswith(wrong)]
    if near:
        meant = dotted(section, near[0])
    else:
        leaves: dict[str, str] = {}
        for known in describe.keys(schema):
            leaves.setdefault(known.name.rpartition(".")[2], known.name)
        near = get_close_matches(wrong, leaves, 1, cutoff=0.75)
        meant = leaves[near[0]] if near else ""
    return Problem(
        key, f"no such key ({show(came)} came)", f"one of {', '.join(here)}", f"did you mean {meant}?" if meant else ""
    )


def _nearest_word(words: list[str], came: Any) -> str:
    near = get_close_matches(came, words, 1) if isinstance(came, str) else []
    return f"did you mean {near[0]}?" if near else ""


def _place(key: str, places: Mapping[str, str]) -> str:
    while key not in places:
        shorter = max(key.rfind("."), key.rfind("["))
        if shorter < 0:
            return ""
        key = key[:shorter]
    return places[key]
