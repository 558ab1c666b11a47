from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from sparktrain.config.data import Data
from sparktrain.data import ROW, VALIDATION, Prepared, deal, prepare


@pytest.fixture
def section() -> Callable[..., Data]:
    """A job's data section, of the words that matter to a test."""

    def make(**words: Any) -> Data:
        return Data.model_validate({"path": "unused", "features": ["x"], "label": "y", "keep": "none"} | words)

    return make


@pytest.fixture
def prepared(spark, section) -> Callable[..., Prepared]:
    """What `prepare` makes of a frame."""
    made: list[Prepared] = []

    def make(frame, preprocess=None, pipeline=None, pipeline_url=None, classes=None, seed=7, **words):
        data = section(pipeline=pipeline_url, **words)
        made.append(prepare(spark, data, seed=seed, frame=frame, preprocess=preprocess, pipeline=pipeline, classes=classes))
        return made[-1]

    yield make
    for one in made:
        one.release()


@pytest.fixture
def training() -> Callable[[Prepared], Counter]:
    """How often each training row is there."""

    def count(result: Prepared) -> Counter:
        return Counter(map(tuple, result.frame.where(f"NOT {VALIDATION}").drop(ROW, VALIDATION).collect()))

    return count


@pytest.fixture
def dealt() -> Callable[..., list[list[tuple]]]:
    """The rows of each part, in the order of their hashes."""

    def collect(result: Prepared, parts: int, seed: int = 7) -> list[list[tuple]]:
        return [
            [tuple(row) for row in sorted(part, key=lambda row: row[ROW])]
            for part in deal(result.frame, parts, seed, False, result.repeated(parts, False)).rdd.glom().collect()
        ]

    return collect
