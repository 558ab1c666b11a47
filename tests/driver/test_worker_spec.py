"""The driver's decisions: class weights by label, and what held a run back."""

from __future__ import annotations

import pytest
from pyspark.ml.linalg import VectorUDT
from pyspark.sql.types import ArrayType, BooleanType, DecimalType, StringType, StructField, StructType

from sparktrain.config import ConfigError, Data, Training
from sparktrain.data import UnfitColumn
from sparktrain.driver.attempts.worker_spec import class_weights, refuse_unfit_types
from sparktrain.driver.timeline import held_back_by


def training(weights):
    return Training.model_validate({"class_weight": weights})


def test_class_weights_are_by_the_index_of_the_label():
    assert class_weights(training({"refund": 3, "other": 1}), ["other", "refund"]) == {1: 3, 0: 1}
    assert class_weights(training({0: 1, 1: 5}), None) == {0: 1, 1: 5}
    assert class_weights(training({20: 2, 10: 1}), [10, 20]) == {1: 2, 0: 1}
    assert class_weights(training(None), ["a", "b"]) is None


@pytest.mark.parametrize("labels, told", [(["other", "refund"], "refund"), (None, "whole numbers")])
def test_a_weight_of_a_class_that_is_not_there_is_refused_with_those_that_are(labels, told):
    with pytest.raises(ConfigError, match="returned") as caught:
        class_weights(training({"returned": 2}), labels)
    assert "training.class_weight" in str(caught.value) and told in str(caught.value)


def test_the_longest_phase_held_the_run_back():
    told = held_back_by({"slots": 0.0, "prepare": 30.0, "fill": 5.0, "start workers": 5.0, "train": 10.0, "save": 0.0})
    assert "preparation" in told and "60% of 50 s" in told
    assert "waiting for executors" in held_back_by({"slots": 1.0})


@pytest.mark.parametrize(
    "phase, told",
    [
        ("slots", "waiting for executors"),
        ("prepare", "preparation"),
        ("fill", "segments"),
        ("start workers", "starting"),
        ("train", "training itself"),
        ("save", "storage"),
    ],
)
def test_each_phase_of_a_summary_can_be_what_held_it_back(phase, told):
    seconds = dict.fromkeys(["slots", "prepare", "fill", "start workers", "train", "save"], 1.0) | {phase: 5.0}
    assert told in held_back_by(seconds) and "50% of 10 s" in held_back_by(seconds)
    assert held_back_by({phase: 0.0}).endswith("(0% of 0 s)")


@pytest.mark.parametrize(
    "words, column, said",
    [
        (dict(features=["when"], label="y"), "when", "unix_timestamp"),
        (dict(features={"a": {"column": "y", "length": 5}}, label="y"), "y", "only arrays can be padded"),
        (dict(features=["x"], label="name"), "name", "classes"),
        (dict(features=["x"], label={"column": "x", "classes": ["a", "b"]}), "x", "one string, number or boolean"),
        (dict(features=["x"], label="y", weight="name"), "name", "each row must have one number"),
        (dict(features=["x", "m"], label="y"), "m", "Take the numbers out of it"),
        (dict(features=["year"], label="y"), "year", ""),
    ],
)
def test_a_type_that_can_t_be_trained_on_is_refused_by_the_frame_s_schema(words, column, said):
    schema = StructType.fromJson(
        {
            "type": "struct",
            "fields": [
                {"name": name, "type": kind, "nullable": True, "metadata": {}}
                for name, kind in {
                    "when": "timestamp",
                    "y": "integer",
                    "name": "string",
                    "year": "interval year to month",
                    "x": {"type": "array", "elementType": "float", "containsNull": True},
                    "m": {"type": "map", "keyType": "string", "valueType": "double", "valueContainsNull": True},
                }.items()
            ],
        }
    )
    data = Data.model_validate({"path": "unused"} | words)
    with pytest.raises(UnfitColumn, match=f"'{column}'") as refused:
        refuse_unfit_types(data, StructType([field for field in schema.fields if field.name in data.columns]), data.classes)
    assert said in str(refused.value)


def test_numbers_arrays_and_vectors_are_taken_and_columns_that_are_not_there_yet_are_left_out():
    schema = StructType(
        [
            StructField("v", VectorUDT()),
            StructField("x", ArrayType(ArrayType(DecimalType(9, 2)))),
            StructField("b", BooleanType()),
            StructField("name", StringType()),
        ]
    )
    data = Data.model_validate(
        {
            "path": "unused",
            "features": {"a": {"column": "x", "length": 3}, "v": "v", "later": "later"},
            "label": {"column": "name", "classes": ["a", "b"]},
            "weight": "b",
        }
    )
    refuse_unfit_types(data, schema, data.classes)
