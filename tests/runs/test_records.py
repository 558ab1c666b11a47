"""Records have schemas: what is written is what they say, what earlier versions wrote is read, and the page has them all."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from sparktrain.runs.records.page import RECORDS, records_page
from sparktrain.runs.records.record import VERSION
from sparktrain.runs.records.run import Line, Summary
from sparktrain.runs.result import Result
from sparktrain.storage import open_folder

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = Path(__file__).with_name("written")
SUMMARY = dict(
    run="one", status="finished", finished="2026-01-01T00:00:00+00:00", rows=1, epochs=1, workers=1, engine="single", attempts=1
)


def test_the_page_of_the_records_is_what_the_schemas_say():
    assert (ROOT / "docs" / "records.md").read_text() == records_page()


def test_every_field_of_every_record_has_a_meaning():
    lacking = [
        f"{name}: {field}"
        for name, record in RECORDS.items()
        for field, info in record.model_fields.items()
        if not info.description
    ]
    assert not lacking


@pytest.mark.parametrize("file", sorted(WRITTEN.glob("*/*.json")), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_what_an_earlier_version_wrote_is_read_and_keeps_what_it_says(file):
    said = json.loads(file.read_text())
    read = RECORDS[_OF_FILE[file.stem]].model_validate(said)
    assert read.version == said.get("version", 1)
    assert read.model_dump(mode="json", exclude_unset=True) == said


_OF_FILE = {
    "summary": "summary.json",
    "lineage": "lineage.json",
    "status": "status.json",
    "end": "end.json",
    "line": "the JSON line",
    "signature": "signature.json",
    "prepared": "summary.json of a prepared frame",
    "identity": "identity.json",
    "checkpoint": "meta of a checkpoint",
}


def test_a_record_is_written_with_its_version_last_and_null_for_numbers_that_json_has_not(tmp_path):
    folder = open_folder(str(tmp_path))
    Summary(**SUMMARY, metrics={"loss": math.nan, "auc": 0.5}).write(folder, "summary.json")
    written = json.loads(folder.read_text("summary.json"))
    assert written == {**SUMMARY, "metrics": {"loss": None, "auc": 0.5}, "version": VERSION} and list(written)[-1] == "version"


def test_a_record_without_what_it_has_to_say_is_refused():
    with pytest.raises(ValidationError, match="engine"):
        Summary(**{name: value for name, value in SUMMARY.items() if name != "engine"}, metrics={})


def test_the_json_line_is_read_again_as_the_result_that_it_tells_of():
    result = Result(run="one", status="failed", attempts=2, seconds=1.23456, metrics={"loss": math.inf}, reason="a worker failed")
    line = json.loads(result.to_json())
    assert (
        line["metrics"] == {"loss": None} and line["seconds"] == 1.235 and Line.model_validate(line).reason == "a worker failed"
    )
    assert Result.of_line(line).to_json() == result.to_json()
