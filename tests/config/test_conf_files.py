"""The YAMLs that the project ships, held against the schema, and the schema against its documentation."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from sparktrain.config import describe, load, reference, schema
from sparktrain.config.yamltext import parse

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "conf").glob("*.yaml"))
KEYS = list(describe.keys(schema()))


def test_the_project_ships_jobs():
    assert "every-key.yaml" in [path.name for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_job_is_valid_to_editors_and_to_us(path):
    jsonschema.Draft202012Validator(schema()).validate(parse(path.read_text(encoding="utf-8"), path.name)[0])
    load(path)


@pytest.mark.parametrize("text", ["data: {features: x, label: y}", "data: {features: [x], label: y, fromat: csv}",
                                  "data: {features: [x], label: y}\ntraining: {engine: spark}",
                                  "data: {features: [x], label: y, validation: {fraction: 2}}"])
def test_editors_see_what_is_wrong_by_the_schema(text):
    assert not jsonschema.Draft202012Validator(schema()).is_valid(parse(text, "")[0])


def test_the_schema_itself_is_valid_and_a_copy_each_time():
    jsonschema.Draft202012Validator.check_schema(schema())
    schema().clear()
    assert schema()["properties"]["data"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_has_a_description_and_stands_in_the_documentation(key):
    assert len(key.node["description"]) > 10
    assert f"| `{key.name}` |" in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_the_committed_documentation_is_the_schemas():
    committed = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert committed == reference(), (
        "write it again: python -c \"from sparktrain.config import reference; print(reference(), end='')\" "
        "> docs/configuration.md")


def test_every_key_stands_in_every_key_yaml():
    text = (ROOT / "conf" / "every-key.yaml").read_text(encoding="utf-8")
    for key in KEYS:
        name = key.name.rpartition(".")[2]
        assert re.search(rf"\b{name}:", text), f"{key.name} is not in conf/every-key.yaml"
