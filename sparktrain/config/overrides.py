"""Applies `--set a.b=c`: sets a job's keys from the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sparktrain.config.errors import Problem, show
from sparktrain.config.yamltext import dotted, parse, scalar

_PART = re.compile(r"""\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^."'=\s]+))\s*(?P<end>\.|$)""")


def apply(mapping: dict[str, Any], places: dict[str, str], overrides: Sequence[str]) -> list[Problem]:
    """Put the values of `--set` into a job's mapping in place, later ones over earlier ones.

    Args:
        mapping: the job's sections; changed in place.
        places: the place where each key was set; changed in place.
        overrides: `a.b=c` each, with `c` as YAML. A part of the key may be quoted, so that its dots or digits are taken
            as a string. `section.key=null` removes the key, so that it has its default.

    Returns:
        The problems of overrides that can't be parsed or applied.
    """
    problems = []
    for override in overrides:
        place = f"--set {override}"
        dotted_key, equals, text = override.partition("=")
        parts = parts_of(dotted_key)
        if not equals or parts is None:
            problems.append(
                Problem(
                    place, "not of the form key=value", "a dotted key, = and a value as YAML", "such as --set training.epochs=3"
                )
            )
            continue
        value, _, wrong = parse(text, place)
        if wrong:
            problems.extend(Problem(dotted_key, problem.came, "a value as YAML", "quote the value", place) for problem in wrong)
            continue
        problem = put(mapping, places, parts, value, place)
        if problem is not None:
            problems.append(problem)
    return problems


def parts_of(key: str) -> list[Any] | None:
    """Return the parts of a dotted key, of which some may be quoted; None if it isn't one."""
    parts, position, more = [], 0, True
    while more:
        found = _PART.match(key, position)
        if found is None:
            return None
        quoted = found["double"] if found["double"] is not None else found["single"]
        parts.append(quoted if quoted is not None else scalar(found["bare"]))
        position, more = found.end(), found["end"] == "."
    return parts


def put(mapping: dict[str, Any], places: dict[str, str], parts: Sequence[Any], value: Any, place: str) -> Problem | None:
    """Put a value into a job's mapping in place; return the problem if there is no room for it.

    Args:
        mapping: the job's sections; changed in place, but for what aliases of YAML may share.
        places: the place where each key was set; changed in place.
        parts: the parts of the key.
        place: the place where the value was set.
    """
    at, key = mapping, ""
    for part in parts[:-1]:
        key = dotted(key, part)
        if at.get(part) is None:
            at[part] = {}
            places[key] = place
        if not isinstance(at[part], dict):
            return Problem(
                key,
                f"its value is {show(at[part])}, which has no keys",
                "a mapping",
                f"set all of it: --set '{key}={{…}}'",
                place,
            )
        at[part] = dict(at[part])  # a YAML alias may share it
        at = at[part]
    if value is None and len(parts) == 2:  # as if the key were not set: it has its default
        at.pop(parts[-1], None)
    else:
        at[parts[-1]] = value
    key = dotted(key, parts[-1])
    for known in [known for known in places if known.startswith((f"{key}.", f"{key}["))]:
        del places[known]
    places[key] = place
    return None
