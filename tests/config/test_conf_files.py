"""What conf/ ships: YAMLs, held against the schema and the schema against its documentation, and what Spark's log leaves out."""

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
PAGES = {"job": "configuration", "search": "search-keys", "scoring": "scoring-keys"}


def test_the_project_ships_jobs():
    assert "every-key.yaml" in [path.name for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_job_is_valid_to_editors_and_to_us(path):
    jsonschema.Draft202012Validator(schema()).validate(parse(path.read_text(encoding="utf-8"), path.name)[0])
    load(path)


@pytest.mark.parametrize(
    "text",
    [
        "data: {features: x, label: y}",
        "data: {features: [x], label: y, fromat: csv}",
        "data: {features: [x], label: y}\ntraining: {engine: spark}",
        "data: {features: [x], label: y, validation: {fraction: 2}}",
    ],
)
def test_editors_see_what_is_wrong_by_the_schema(text):
    assert not jsonschema.Draft202012Validator(schema()).is_valid(parse(text, "")[0])


def test_the_schema_itself_is_valid_and_a_copy_each_time():
    jsonschema.Draft202012Validator.check_schema(schema())
    schema().clear()
    assert schema()["properties"]["data"]


@pytest.mark.parametrize("what", PAGES)
def test_every_key_has_a_description(what):
    assert not [key.name for key in describe.keys(schema(what)) if len(key.node["description"]) <= 10]


@pytest.mark.parametrize("what", PAGES)
def test_the_committed_documentation_is_the_schemas(what):
    page = f"docs/{PAGES[what]}.md"
    committed = (ROOT / page).read_text(encoding="utf-8")
    assert committed == reference(what), f"write it again: sparktrain config --reference {what} > {page}"


def test_every_key_stands_in_every_key_yaml_and_so_does_every_choice():
    text = (ROOT / "conf" / "every-key.yaml").read_text(encoding="utf-8")
    for key in KEYS:
        name = key.name.rpartition(".")[2]
        assert re.search(rf"\b{name}:", text), f"{key.name} is not in conf/every-key.yaml"
        for choice in key.node.get("enum", ()):
            assert re.search(rf"\b{choice}\b", text), f"{key.name}: {choice} is not in conf/every-key.yaml"


def test_what_a_local_cluster_says_at_its_end_is_not_shown_and_what_fails_is():
    logging = (ROOT / "conf" / "log4j2.properties").read_text()
    [messages] = re.findall(r"^appender.stderr.filter.own.regex = (.*)$", logging, re.MULTILINE)
    [events] = re.findall(r"^appender.stderr.layout.pattern = %replace\{.*%ex\}\{(.*)\}\{\}$", logging, re.MULTILINE)
    messages = messages.replace(r"\\", "\\")  # as Java reads a file of properties

    def shown(message: str, trace: str = "") -> bool:
        event = f"08:26:56 ERROR Worker: {message}\n{trace}\n\tat org.apache\n"
        return not re.fullmatch(messages, message) and not re.fullmatch(events, event)

    for message in (
        "Got status update for unknown executor app-20261129082248-0000/2",
        "Lost executor 1 on 127.0.0.1: Worker shutting down",
        "Stage 0 contains a task of very large size (11676 KiB). The maximum recommended task size is 1000 KiB.",
    ):
        assert not shown(message), message
    failed = "Failed to launch executor app-20261129082248-0000/2 for program.py."
    assert not shown(failed, "java.lang.IllegalStateException: Shutdown hooks cannot be modified during shutdown.")
    assert shown(failed, "java.nio.file.AccessDeniedException: /work/app-1/0")
    assert shown("Application has been killed. Reason: Master removed our application: FAILED")
    assert shown("Lost executor 1 on 10.0.0.7: Remote RPC client disassociated") and shown("Lost task 0.0 in stage 1.0 (TID 1)")
