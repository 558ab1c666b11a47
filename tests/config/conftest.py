"""A job's file, written from what a test changes of a small good one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparktrain.config import ConfigError, Job, Problem, load

GOOD: dict[str, Any] = {
    "data": {"path": "hdfs:///data/flights", "features": ["history", "flight"], "label": "late"},
    "model": {"build": "jobs.flights:build_model"},
    "output": {"path": "hdfs:///models/flights"},
}


def merged(changes: dict[str, Any]) -> dict[str, Any]:
    """The good job with other values: `{"training.epochs": 3}`."""
    job = {section: dict(values) for section, values in GOOD.items()}
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if name:
            job.setdefault(section, {})[name] = value
        else:
            job[section] = value
    return job


@pytest.fixture
def good() -> Callable[..., Job]:
    """Validates the good job with changes, as a job's file is."""
    return lambda changes={}: Job.from_mapping(merged(changes), whole=True)


@pytest.fixture
def wrong(good) -> Callable[..., list[Problem]]:
    """What is wrong with the good job once it has the changes."""

    def problems(changes: dict[str, Any]) -> list[Problem]:
        with pytest.raises(ConfigError) as caught:
            good(changes)
        return caught.value.problems

    return problems


@pytest.fixture
def write(tmp_path) -> Callable[[str], Path]:
    """Writes a job's YAML to a file."""

    def to_file(text: str) -> Path:
        path = tmp_path / "job.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


@pytest.fixture
def refused(write) -> Callable[..., ConfigError]:
    """The error that loading a text and `--set`s raises."""

    def error(text: str, *overrides: str) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            load(write(text), overrides)
        return caught.value

    return error


@pytest.fixture
def good_text() -> str:
    return yaml.safe_dump(GOOD)
