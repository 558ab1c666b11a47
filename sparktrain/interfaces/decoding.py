"""Decodes JSON to dataclasses, by the types of their fields."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints


def from_json(kind: Any, value: Any) -> Any:
    """Return what `dataclasses.asdict` and JSON have made of a value, as the value again.

    Nested dataclasses, tuples and the keys of mappings are restored, which JSON makes objects, arrays and strings. Scalars, and
    what is inside of `Any`, are returned as they are.

    Args:
        kind: the value's type: a dataclass, a scalar type, `list[X]`, `tuple[X, ...]`, `dict[K, X]`, `X | None`, a union of scalar
            types, or Any.
        value: the JSON value.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: the value is not of that type.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        nested = {name: from_json(each, value[name]) for name, each in _nested(kind).items() if name in value}
        return kind(**value | nested)
    made = get_origin(kind)
    if made is UnionType:
        kinds = [each for each in get_args(kind) if each is not NoneType]
        return value if value is None or len(kinds) > 1 else from_json(kinds[0], value)
    if made in (list, tuple):
        each_kind = get_args(kind)[0]
        return made(from_json(each_kind, each) for each in value)
    if made is dict:
        key_kind, each_kind = get_args(kind)
        return {key_kind(key): from_json(each_kind, each) for key, each in value.items()}
    return value


@functools.cache
def _nested(kind: type) -> Mapping[str, Any]:
    """Return the types of a dataclass's fields, without those of scalars: most messages, such as a line of a log, have no other."""
    return {name: each for name, each in get_type_hints(kind).items() if get_origin(each) is not None or is_dataclass(each)}
