"""What one key asks of another."""

from __future__ import annotations

import pytest

CLASSES = {"column": "intent", "classes": ["refund", "other"]}
PREPARED = {"data.path": None, "data.prepared": "hdfs:///prepared/flights"}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"data.table": "flights"}, "data.path"),
        ({"data.path": None, "data.table": "flights", "data.sql": "SELECT 1"}, "data.table"),
        ({"data.path": None, "data.table": "flights", "data.options": {"header": True}}, "data.options"),
        ({"data.schema": "id BIGINT"}, "data.schema"),
        ({"data.args": {"a": 1}}, "data.args"),
        ({"data.validation": {}}, "data.validation"),
        ({"data.validation": {"fraction": 0.1, "where": "a > 1"}}, "data.validation.fraction"),
        ({"data.validation": {"where": "a > 1", "by": "tailnum"}}, "data.validation.by"),
        ({"data.validation": {"fraction": 0.1, "folds": 5}}, "data.validation.fraction"),
        ({"data.validation": {"folds": 5, "fold": 5}}, "data.validation.fold"),
        ({"data.validation": {"fraction": 0.1, "fold": 0}}, "data.validation.fold"),
        ({"data.validation": {"where": "a > 1", "parallel": 2}}, "data.validation.parallel"),
        ({"data.sample": {}}, "data.sample"),
        ({"data.sample": {"fraction": 0.5, "per_class": 10}}, "data.sample.fraction"),
        ({"data.features": ["a", "b", "a"]}, "data.features"),
        ({"data.features": {"x": ["a", "a"]}}, "data.features.x"),
        ({"data.features": {"x": {"column": "a", "pad": 1}}}, "data.features.x.pad"),
        ({"data.features": {"x": {"column": "a", "length": 20, "shape": [10, 3]}}}, "data.features.x.shape"),
        ({"data.features": ["a", {"column": "a", "length": 3}]}, "data.features"),
        ({"data.features": [{"column": "a", "side": "post"}]}, "data.features[0].side"),
        ({"data.label": ["late", "late"]}, "data.label"),
        ({"data.label": {"priority": "late", "department": "late"}}, "data.label"),
        ({"data.label": {"colum": "late"}}, "data.label.colum"),
        ({"data.label": {"priority": "late", "department": "delay"}, "training.class_weight": {0: 1}}, "training.class_weight"),
        ({"data.label": ["late", "delay"], "training.class_weight": {0: 1}}, "training.class_weight"),
        ({"data.label": {"column": "a", "classes": ["b", 1]}}, "data.label.classes"),
        ({"data.label": {"column": "a", "classes": ["b", "b"]}}, "data.label.classes"),
        ({"data.label": CLASSES, "data.sample": {"fractions": {"refunds": 0.1}}}, "data.sample.fractions.refunds"),
        ({"data.label": CLASSES, "training.class_weight": {0: 1}}, "training.class_weight.0"),
        ({"training.class_weight": {"refund": 1}}, "training.class_weight"),
        ({"model.load": "hdfs:///models/a"}, "model.build"),
        ({"training.average": 10, "training.scale_learning_rate": {}}, "training.scale_learning_rate"),
        ({"training.average": "epoch", "training.checkpoint": {"every": 10}}, "training.checkpoint.every"),
        ({"model.build": None, "model.load": "hdfs:///models/a", "model.args": {"a": 1}}, "model.args"),
        ({"training.engine": "single", "training.workers": 2}, "training.workers"),
        ({"training.batch_size": 64, "training.global_batch_size": 128}, "training.batch_size"),
        ({"training.global_batch_size": 1}, "training.global_batch_size"),
        ({"training.early_stopping": {"patience": 2}}, "training.early_stopping.monitor"),
        ({"training.save": "best"}, "training.save"),
        ({"output.path": "memory://models"}, "output.path"),
        ({"output.path": "local:///models"}, "output.path"),
        ({"data.prepared": "hdfs:///prepared/flights"}, "data.path"),
        *[
            ({**PREPARED, f"data.{name}": value}, f"data.{name}")
            for name, value in {
                "where": "a > 1",
                "preprocess": "jobs.flights:prepare",
                "args": {"a": 1},
                "validation": {"fraction": 0.1},
                "pipeline": "hdfs:///pipelines/flights",
                "sample": {"fraction": 0.5},
                "format": "csv",
                "options": {"header": True},
                "schema": "id BIGINT",
                "corrupt": "skip",
            }.items()
        ],
    ],
)
def test_keys_that_do_not_go_together_are_refused(wrong, changes, key):
    [problem] = wrong(changes)
    assert problem.key == key
    assert problem.came and problem.expected


@pytest.mark.parametrize(
    "changes",
    [
        {"data.path": None, "data.sql": "SELECT 1"},
        {"data.format": "csv", "data.schema": "id BIGINT", "data.options": {"header": True}},
        {"data.validation": {"fraction": 0.1, "by": "tailnum"}, "training.save": "best"},
        {"data.validation": {"folds": 2, "fold": 1, "by": "tailnum"}},
        {"training.early_stopping": {"monitor": "loss"}},
        {"data.features": {"x": {"column": "a", "length": 10, "shape": [10, 3], "pad": 1, "side": "post"}}},
        {"data.label": CLASSES, "training.class_weight": {"refund": 2}, "data.sample": {"fractions": {"other": 0.1}}},
        {"training.class_weight": {0: 1, 1: 5}},
        {"model.build": None, "model.load": "hdfs:///models/a", "training.class_weight": {"refund": 2}},
        {"training.global_batch_size": 128},
        {"training.engine": "single"},
        {"data.label": "history"},
        {"data.label": {"priority": "late", "department": "delay"}, "data.features": [{"column": "a", "length": 3}, "b"]},
        {
            **PREPARED,
            "training.early_stopping": {"patience": 2},
            "training.save": "best",
            "data.weight": "w",
            "training.class_weight": {"refund": 2},
            "data.keep": "storage",
        },  # what is in the frame will show
        {**PREPARED, "model.build": None, "model.load": "hdfs:///models/a"},
    ],
)
def test_keys_that_go_together_are_taken(good, changes):
    assert good(changes)


def test_an_input_of_one_column_is_named_by_it_and_labels_by_their_outputs(good):
    data = good({"data.label": {"priority": "p", "department": "d"}, "data.features": [{"column": "a", "length": 3}, "b"]}).data
    assert [(one.name, one.columns[0].column, one.columns[0].length) for one in data.inputs] == [("a", "a", 3), ("b", "b", None)]
    assert (data.label_column, data.more_labels, data.outputs) == ("p", ("d",), ("priority", "department"))
    assert good({"data.label": ["p", "d"]}).data.outputs is None and good({"data.label": {"column": "p"}}).data.labels == ("p",)


def test_the_engine_single_has_one_worker_without_saying_so(good):
    assert good({"training.engine": "single"}).training.workers == 1


def test_a_rule_over_a_key_that_is_already_wrong_is_left_out(wrong):
    [problem] = wrong({"training.engine": "single", "training.workers": "two"})
    assert problem.expected.startswith("a whole number")
