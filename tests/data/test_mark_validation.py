"""Whoever scores or looks at a job's validation rows finds the very rows that its runs keep aside."""

from __future__ import annotations

import pytest

from sparktrain.config.data import Data
from sparktrain.data import VALIDATION, InputError, MissingColumn, mark_validation, prepare

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    "validation",
    [None, {"fraction": 0.3}, {"fraction": 0.3, "by": "y"}, {"folds": 4, "fold": 2}, {"where": "number % 3 = 0"}],
    ids=str,
)
def test_the_rows_are_those_that_training_keeps_aside(spark, validation):
    frame = spark.range(200).selectExpr("id AS number", "id % 20 AS y", "array(id, id + 1) AS x")
    data = Data.model_validate({"features": ["number"], "label": "y", "validation": validation})
    marked = mark_validation(frame.repartition(3), data.validation, 11)
    assert marked.columns == [*frame.columns, VALIDATION]
    kept = {row.number for row in marked.where(VALIDATION).collect()}
    prepared = prepare(spark, data, seed=11, frame=frame)
    assert kept == {row.number for row in prepared.frame.where(VALIDATION).collect()}
    assert (0 < len(kept) < 200) if validation is not None else not kept


def test_what_cannot_be_marked_is_refused(spark):
    frame = spark.range(5)

    def mark(**validation):
        mark_validation(frame, Data.model_validate({"features": ["id"], "label": "y", "validation": validation}).validation, 7)

    for validation, error, said in (
        ({"path": "hdfs:///later"}, InputError, "files of their own"),
        ({"folds": 3}, InputError, "expected `fold` beside it"),
        ({"fraction": 0.5, "by": "day"}, MissingColumn, "day"),
        ({"where": "day > 3"}, MissingColumn, r"The columns there are: id\."),
    ):
        with pytest.raises(error, match=said):
            mark(**validation)
