"""Describes a JSON Schema in words: its keys, and the values that each allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel

from sparktrain.config.kinds import FUNCTION, MODULE, NAME, SIZE
from sparktrain.config.yamltext import dotted

Node = Mapping[str, Any]
_NAMED = {
    FUNCTION: "module:function",
    SIZE: "a size such as 800m, 8g or 1t",
    MODULE: "a module's name",
    NAME: "a name of letters, digits, ., _ and -",
}
_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
ITEM = "NAME"


class Key(NamedTuple):
    """A key of the schema.

    Attributes:
        name: the dotted key.
        section: the dotted key of the mapping that it is in.
        node: the part of the schema with the values it allows.
        required: whether it must be set.
    """

    name: str
    section: str
    node: Node
    required: bool


@cache
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON Schema, with a description for each key."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    for part in [schema, *schema["$defs"].values()]:
        for node in part.get("properties", {}).values():
            node.pop("title", None)
            if "$ref" in node:  # pydantic leaves out a description that the section has itself
                node.setdefault("description", alternatives(schema, node)[0]["description"])
            node["description"] = " ".join(node["description"].split())
    return schema


def keys(schema: Node) -> Iterator[Key]:
    """Yield every key of a schema, sections before their keys. NAME in a key stands for a name that the job gives."""
    yield from _keys(schema, schema, "")


def _keys(schema: Node, node: Node, section: str) -> Iterator[Key]:
    for part in alternatives(schema, node):
        for name, inner in part.get("properties", {}).items():
            key = dotted(section, name)
            yield Key(key, section, inner, name in part.get("required", ()))
            yield from _keys(schema, inner, key)
        if isinstance(part.get("additionalProperties"), dict):
            yield from _keys(schema, part["additionalProperties"], dotted(section, ITEM))


def at(schema: Node, parts: Sequence[str | int]) -> Node | None:
    """Return the part of the schema for a key, given by its parts; None if there is no such key."""
    node: Node = schema
    for part in parts:
        found = next((inner for one in alternatives(schema, node) if (inner := _inside(one, part)) is not None), None)
        if found is None:
            return None
        node = found
    return node


def _inside(node: Node, part: str | int) -> Node | None:
    if part in node.get("properties", {}):
        return node["properties"][part]
    if node.get("type") == "array" and isinstance(part, int):
        return node.get("items")
    more = node.get("additionalProperties")
    return more if isinstance(more, dict) else None


def about(schema: Node, section: str) -> str:
    """Return a section's description."""
    node = at(schema, section.split(".") if section else ())
    descriptions = [part["description"] for part in alternatives(schema, node or {}) if "properties" in part]
    return " ".join(descriptions[0].split()) if descriptions else ""


def names(schema: Node, node: Node) -> list[str]:
    """Return the keys that a mapping may have."""
    return [name for part in alternatives(schema, node) for name in part.get("properties", {})]


def words(schema: Node, node: Node) -> list[str]:
    """Return the values that are allowed, if they are enumerated."""
    return [word for part in alternatives(schema, node) for word in part.get("enum", [part["const"]] if "const" in part else [])]


def allowed(schema: Node, node: Node) -> str:
    """Return the values that a key allows, in words, such as "a whole number (at least 1)"."""
    parts = [part for part in alternatives(schema, node) if part.get("type") != "null"]
    phrases = list(dict.fromkeys(_phrase(schema, part) for part in parts))
    return " or ".join([", ".join(phrases[:-1]), phrases[-1]] if len(phrases) > 1 else phrases)


def alternatives(schema: Node, node: Node) -> list[Node]:
    """Return the forms that a key's value may have, references resolved."""
    if "$ref" in node:
        return alternatives(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
    for union in ("anyOf", "oneOf"):
        if union in node:
            return [part for one in node[union] for part in alternatives(schema, one)]
    return [node]


def _phrase(schema: Node, node: Node) -> str:
    if "const" in node:
        return str(node["const"])
    if "enum" in node:
        return " | ".join(str(word) for word in node["enum"])
    bounds = [f"{phrase} {node[bound]}" for bound, phrase in _BOUNDS.items() if bound in node]
    kind = node.get("type")
    if kind == "string":
        return _NAMED.get(node.get("pattern", ""), "a string")
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + (f" ({', '.join(bounds)})" if bounds else "")
    if kind == "array":
        return f"[{allowed(schema, node['items'])}, …]"
    if kind == "object":
        more = node.get("additionalProperties")
        if isinstance(more, dict):
            return f"{{{ITEM}: {allowed(schema, more)}, …}}"
        return f"{{{', '.join(node['properties'])}}}" if "properties" in node else "a mapping"
    return {"boolean": "true or false"}.get(kind or "", "any value")
