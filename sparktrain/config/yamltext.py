"""Reads and writes jobs as YAML: with the scalars of YAML 1.2's core schema, and the line of every key.

PyYAML implements YAML 1.1, where `on`, `no` and `12:30` are a boolean, a boolean and 750, and 1e-3 is a string. Editors
and people mean 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema).
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from sparktrain.config.errors import Problem

_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
    r"|\.(?:nan|NaN|NAN))$"
)
_INT = re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
_SCALARS = [
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", _INT, list("-+0123456789")),
    ("float", _FLOAT, list("-+0123456789.")),
    ("merge", re.compile(r"^<<$"), ["<"]),
]


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[Any]] = {}

    def construct_int(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


class _Dumper(yaml.SafeDumper):
    """Quotes every string that YAML 1.1 or 1.2 would read as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        # PyYAML folds Unicode's line breaks into spaces unless they are escaped.
        style = '"' if any(mark in text for mark in "\x85\u2028\u2029\ufeff") else None
        return self.represent_scalar(_TAG + "str", text, style=style)


for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _first)
    _Dumper.add_implicit_resolver(_TAG + _name, _pattern, _first)
_CORE = (None, *(_TAG + kind for kind in ("null", "bool", "float", "str", "seq", "map")))
_Loader.yaml_constructors = {tag: yaml.SafeLoader.yaml_constructors[tag] for tag in _CORE}
_Dumper.add_representer(str, _Dumper.represent_text)
_Loader.add_constructor(_TAG + "int", _Loader.construct_int)


def dotted(key: str, part: Hashable, item: bool = False) -> str:
    """Return the dotted name of a key inside another: `training.epochs`, or `features[1]` for a list's item."""
    if item:
        return f"{key}[{part}]"
    name = "null" if part is None else str(part).lower() if isinstance(part, bool) else str(part)
    return f"{key}.{name}" if key else name


def parse(text: str, source: str) -> tuple[Any, dict[str, str], list[Problem]]:
    """Parse one YAML document.

    Args:
        text: the document.
        source: its file, for the places.

    Returns:
        The value (None if the document is empty); the place, `file:line`, of every key and list item; and the problems:
        a syntax error, which ends the parsing, and duplicate keys.
    """
    places: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, places, problems
        _walk(loader, node, "", source, places, problems)
        return loader.construct_document(node), places, problems
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = source if mark is None else f"{source}:{mark.line + 1}"
        reason = " ".join(part for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part)
        column = "" if mark is None else f" (column {mark.column + 1})"
        return (
            None,
            places,
            [
                Problem(
                    source,
                    f"not YAML: {reason or error}{column}",
                    "a mapping of keys to values",
                    "tabs can't indent, and a value with ': ' or ' #' in it needs quotes",
                    place,
                )
            ],
        )
    except (ValueError, KeyError, RecursionError) as error:  # a tag that doesn't fit its value; an alias inside itself
        return None, places, [Problem(source, f"not YAML: {error}", "a mapping of keys to values", "", source)]


def _walk(loader: _Loader, node: yaml.Node, key: str, source: str, places: dict[str, str], problems: list[Problem]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            inner = dotted(key, index, item=True)
            places[inner] = f"{source}:{item.start_mark.line + 1}"
            _walk(loader, item, inner, source, places, problems)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[Hashable, str] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode) or name.tag == _TAG + "merge":
                continue
            part = loader.construct_object(name)
            inner = dotted(key, part)
            place = f"{source}:{name.start_mark.line + 1}"
            if part in seen:
                problems.append(
                    Problem(inner, "the key is set twice", "each key once", f"it is also at {seen[part]}; remove one", place)
                )
            seen.setdefault(part, place)
            places.setdefault(inner, place)
            _walk(loader, value, inner, source, places, problems)


def scalar(text: str) -> Any:
    """Return the value of a YAML scalar: 7 for `7`, True for `true`, else the text itself."""
    value = parse(text, "")[0]
    return text if isinstance(value, (dict, list)) or value is None else value


def dump(value: Any) -> str:
    """Return a value as YAML that `parse` and YAML 1.1 readers read the same value from."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
