"""What a model's numbers stand for, by its signature and the losses that it was compiled with."""

from __future__ import annotations

import pytest

from sparktrain.ml.scored_outputs import scored_outputs
from sparktrain.runs.records.signature import SignatureOutput

OF_LOGITS = {"class_name": "BinaryCrossentropy", "config": {"name": "binary_crossentropy", "from_logits": True}}
CUSTOM = {"class_name": "function", "config": "my_own_loss"}
PLAIN = {"class_name": "function", "config": "sparse_categorical_crossentropy"}


@pytest.mark.parametrize(
    "shape, classes, loss, decides, logits",
    [
        ([1], None, "binary_crossentropy", "threshold", False),
        ([1], None, OF_LOGITS, "threshold", True),
        ([3], None, PLAIN, "largest", False),
        ([3], ["a", "b", "c"], CUSTOM, "largest", False),
        ([1], ["no", "yes"], None, "threshold", False),
        ([1], None, "mse", "value", False),
        ([5], None, CUSTOM, "value", False),
        ([], None, "mae", "value", False),
        ([7, 4], None, "categorical_crossentropy", "largest", False),
    ],
)
def test_classes_come_of_labels_that_are_classes_and_numbers_stay_numbers(shape, classes, loss, decides, logits):
    [found] = scored_outputs([SignatureOutput(name="y", shape=shape, dtype="float32", classes=classes)], lambda: loss)
    assert (found.decides, found.logits, found.shape) == (decides, logits, tuple(shape))


@pytest.mark.parametrize("losses", [{"b": "mse", "a": OF_LOGITS}, [OF_LOGITS, "mse"]])
def test_each_output_has_its_own_loss_by_name_or_place(losses):
    outputs = [SignatureOutput(name=name, shape=[1], dtype="float32") for name in "ab"]
    assert [(one.decides, one.logits) for one in scored_outputs(outputs, lambda: losses)] == [
        ("threshold", True),
        ("value", False),
    ]


@pytest.mark.parametrize(
    "classes, found",
    [
        ([False, True], (False, True)),
        ([3, 1], (3, 1)),
        ([1, 2.5], (1.0, 2.5)),
        ([True, 2], (1, 2)),
        (["a", 2], ("a", "2")),
    ],
)
def test_classes_have_one_type_as_a_column_has(classes, found):
    [output] = scored_outputs([SignatureOutput(name="y", shape=[2], dtype="float32", classes=classes)], lambda: None)
    assert output.classes == found and len(set(map(type, output.classes))) == 1


def test_a_signature_that_says_what_its_numbers_are_needs_no_look_into_the_model():
    outputs = [SignatureOutput(name=name, shape=[1], dtype="float32", meaning=name) for name in ("classes", "logits", "values")]
    found = scored_outputs(outputs, lambda: pytest.fail("the model was read"))
    assert [(one.decides, one.logits) for one in found] == [("threshold", False), ("threshold", True), ("value", False)]
