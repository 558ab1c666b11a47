"""What a run that goes on from another tells of its validation rows."""

from __future__ import annotations

import pytest
import yaml

from sparktrain.config import Job
from sparktrain.driver.model.parent_run import ParentRun, note_of_leak


def job(**changes) -> Job:
    data = {"path": "hdfs:///rows", "features": ["x"], "label": "y", "validation": {"fraction": 0.2}, **changes.pop("data", {})}
    return Job.from_mapping(
        {
            "name": "nightly",
            "seed": 7,
            "data": data,
            "model": {"build": "mine:build"},
            "training": {"epochs": 1},
            "output": {"path": "hdfs:///models"},
            **changes,
        }
    )


@pytest.mark.parametrize(
    "changes, told",
    [
        ({}, None),
        ({"data": {"validation": {"fraction": 0.1}}}, None),  # which all were validated before
        ({"data": {"validation": None}}, None),
        ({"data": {"validation": {"where": "day > 3"}}}, None),
        ({"seed": 8}, "seed was 7 and is 8"),
        ({"data": {"validation": {"fraction": 0.3}}}, "data.validation.fraction was 0.2 and is 0.3"),
        ({"data": {"validation": {"fraction": 0.2, "by": "id"}}}, "data.validation.by was None and is id"),
    ],
)
def test_validation_rows_that_were_trained_on_yesterday_are_named(changes, told):
    parent = ParentRun("hdfs:///models/yesterday", None, None, yaml.safe_load(job().to_yaml()))
    note = note_of_leak(parent, job(**changes))
    if told is None:
        assert note is None
    else:
        assert "trained on by hdfs:///models/yesterday" in note and told in note and "Keep seed" in note


def test_a_run_without_validation_trained_on_all_rows():
    parent = ParentRun("hdfs:///models/yesterday", None, None, yaml.safe_load(job(data={"validation": None}).to_yaml()))
    assert "data.validation.fraction was None and is 0.2" in note_of_leak(parent, job())
