"""A model that doesn't fit the rows is refused before the first step, in words that say what to change."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

pytestmark = pytest.mark.real

ROWS = {"history": ((24, 5), np.float32), "flight": ((3,), np.float32)}


@pytest.fixture(scope="module")
def keras():
    import keras

    return keras


def _model(keras, names=("history", "flight"), history=(24, 5), as_dict=False):
    tensors = [keras.Input(history if name == "history" else (3,), name=name) for name in names]
    flat = keras.layers.Concatenate()([keras.layers.Flatten()(tensor) for tensor in tensors])
    inputs = dict(zip(names, tensors)) if as_dict else tensors
    return keras.Model(inputs, keras.layers.Dense(3)(flat))


def test_inputs_go_by_name_where_the_names_are_the_models_own(keras):
    from sparktrain.training.model import input_template

    swapped = dict(reversed(ROWS.items()))
    assert input_template(_model(keras), swapped) == ("history", "flight")
    assert input_template(_model(keras, as_dict=True), swapped) == {"history": "history", "flight": "flight"}


def test_inputs_go_in_order_where_the_names_are_others(keras):
    from sparktrain.training.model import input_template

    rows = {"a": ROWS["history"], "b": ROWS["flight"]}
    assert input_template(_model(keras), rows) == ("a", "b")
    assert input_template(keras.Sequential([keras.Input((24, 5)), keras.layers.Flatten()]), {"a": rows["a"]}) == "a"


def test_features_by_names_that_are_not_the_models_are_refused_with_both(keras):
    from sparktrain.feed import BadInput
    from sparktrain.training.model import input_template

    other = {"past": ROWS["history"], "flight": ROWS["flight"]}
    with pytest.raises(BadInput, match="names the inputs past, flight, and the model's are history, flight: name each"):
        input_template(_model(keras), other, named=True)
    with pytest.raises(BadInput, match="the model's are flight, history"):  # in the order that Keras flattens them in
        input_template(_model(keras, as_dict=True), other, named=True)
    # Nothing can be mixed up where there is one, or where nobody has named them
    assert input_template(_model(keras, names=["flight"]), {"a": ROWS["flight"]}, named=True) == "a"
    first, second = keras.Input((24, 5)), keras.Input((3,))
    unnamed = keras.Model([first, second], keras.layers.Concatenate()([keras.layers.Flatten()(first), second]))
    assert input_template(unnamed, other, named=True) == ("past", "flight")
    keyed = keras.Model({"past": first, "flight": second}, unnamed([first, second]))
    assert input_template(keyed, dict(reversed(other.items())), named=True) == {"past": "past", "flight": "flight"}


def test_a_model_without_named_inputs_gets_one_array_or_a_dict(keras):
    from sparktrain.training.model import input_template

    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    assert input_template(Own(), {"a": ROWS["flight"]}) == "a"
    assert input_template(Own(), ROWS) == {"history": "history", "flight": "flight"}


def test_a_wrong_shape_names_the_input_what_came_and_what_the_model_takes(keras):
    from sparktrain.feed import BadInput
    from sparktrain.training.model import input_template

    with pytest.raises(BadInput) as error:
        input_template(_model(keras, history=(12, 5)), ROWS)
    assert "'history'" in str(error.value) and "24x5" in str(error.value) and "12x5" in str(error.value)


def test_a_wrong_number_of_inputs_names_both_sides(keras):
    from sparktrain.feed import BadInput
    from sparktrain.training.model import input_template

    with pytest.raises(BadInput, match=r"2 inputs \(history of 24x5, flight of 3\).*bring 1 \(history\)"):
        input_template(_model(keras), {"history": ROWS["history"]})


@pytest.mark.parametrize(
    "takes, brings, told",
    [
        ("string", np.dtype(object), None),
        (
            "float32",
            np.dtype(object),
            "input 'a' brings strings, and the model's input 'text' takes float32: declare it as keras.Input",
        ),
        ("string", np.dtype(np.int32), "input 'a' brings int32, and the model's input 'text' takes strings: cast the column"),
    ],
)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_strings_go_to_inputs_of_strings_and_numbers_to_others(keras, takes, brings, told, shape):
    from sparktrain.feed import BadInput
    from sparktrain.training.model import input_template

    text = keras.Input(shape, name="text", dtype=takes)
    model = keras.Model(text, keras.layers.Hashing(8)(text))
    with pytest.raises(BadInput, match=told) if told else nullcontext():
        assert input_template(model, {"a": ((1,), brings)}) == "a"


@pytest.mark.parametrize(
    "loss, units, label_range, told",
    [
        ("sparse_categorical_crossentropy", 3, (0, 3), "classes 0 to 2"),
        ("sparse_categorical_crossentropy", 3, (-1, 2), "from -1 to 2"),
        ("binary_crossentropy", 1, (0, 2), "0 to 1"),
        ("sparse_categorical_crossentropy", 3, (0, 2), None),
        ("binary_crossentropy", 1, (0, 1), None),
    ],
)
def test_labels_outside_the_models_classes_are_refused(keras, loss, units, label_range, told):
    from sparktrain.feed import BadInput
    from sparktrain.training.batches.labels import check_labels

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
    for given in (loss, keras.losses.get(loss), type(keras.losses.get(loss))):
        if isinstance(given, type):
            continue
        model.compile("sgd", given)
        if told is None:
            check_labels(model, "", {"": ((), np.int64)}, {"": label_range})
            continue
        with pytest.raises(BadInput, match=told):
            check_labels(model, "", {"": ((), np.int64)}, {"": label_range})


@pytest.mark.parametrize(
    "words, label_range, told",
    [
        ({"ignore_class": -1}, (-1, 2), None),
        ({"ignore_class": 255}, (0, 255), None),
        ({"ignore_class": -1}, (-2, 2), "from -2 to 2.*ignores the class -1 alone"),
        ({"axis": 1}, (0, 3), None),  # the classes lie elsewhere
    ],
)
def test_a_class_that_the_loss_ignores_needs_no_output(keras, words, label_range, told):
    from sparktrain.feed import BadInput
    from sparktrain.training.batches.labels import check_labels

    model = keras.Sequential([keras.Input((5, 5, 3)), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(**words))
    with pytest.raises(BadInput, match=told) if told else nullcontext():
        check_labels(model, "", {"": ((5, 5), np.int64)}, {"": label_range})


def test_a_loss_of_the_users_own_takes_what_labels_it_likes(keras):
    from sparktrain.training.batches.labels import check_labels

    class Mine(keras.losses.SparseCategoricalCrossentropy):
        def call(self, y_true, y_pred):
            return super().call(keras.ops.maximum(y_true, 0), y_pred)

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", Mine())
    check_labels(model, "", {"": ((), np.int64)}, {"": (-100, 2)})


def test_class_numbers_for_a_one_hot_loss_name_the_loss_to_take(keras):
    from sparktrain.feed import BadInput
    from sparktrain.training.batches.labels import check_labels

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(BadInput, match="sparse_categorical_crossentropy"):
        check_labels(model, "", {"": ((), np.int64)}, {"": (0, 3)})


def test_a_builder_that_gives_no_compiled_model_is_told_what_to_return(keras, monkeypatch):
    import sys
    import types

    from sparktrain.interfaces.training_spec import Source
    from sparktrain.models.errors import TrainingError
    from sparktrain.training.model import build

    module = types.ModuleType("of_user")
    module.nothing = lambda: 3
    module.raw = lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    module.__file__ = "of_user.py"
    monkeypatch.setitem(sys.modules, "of_user", module)
    with pytest.raises(TrainingError, match="builtins.int and not a keras.Model"):
        build(Source(function="of_user:nothing"), 7, {})
    with pytest.raises(TrainingError, match="not compiled"):
        build(Source(function="of_user:raw"), 7, {})
    with pytest.raises(TrainingError, match="of_user.py has no function 'raws'; did you mean raw"):
        build(Source(function="of_user:raws"), 7, {})


def test_class_weights_follow_the_rows_classes():
    from sparktrain.training.batches.dataset import class_weights

    weights = {0: 0.5, 2: 3.0}
    assert class_weights(np.array([0, 1, 2]), weights).tolist() == [0.5, 1.0, 3.0]
    assert class_weights(np.array([[2.0], [0.0]]), weights).tolist() == [3.0, 0.5]
    assert class_weights(np.eye(3), weights).tolist() == [0.5, 1.0, 3.0]


def test_labels_go_to_the_outputs_in_their_order(keras):
    from sparktrain.feed import BadInput
    from sparktrain.training.batches.labels import label_template

    x = keras.Input((2,))
    outputs = [keras.layers.Dense(1)(x), keras.layers.Dense(1)(x)]
    assert label_template(keras.Model(x, outputs), ["label:b"]) == ("", "label:b")
    named = {"second": outputs[0], "first": outputs[1]}
    assert label_template(keras.Model(x, named), ["label:b"]) == {"second": "", "first": "label:b"}
    with pytest.raises(BadInput, match="2 outputs"):
        label_template(keras.Model(x, outputs), [])


def test_labels_go_by_the_outputs_names_and_are_refused_where_those_are_others(keras):
    from sparktrain.feed import BadInput
    from sparktrain.training.batches.labels import label_template

    x = keras.Input((2,))
    outputs = {name: keras.layers.Dense(1, name=name)(x) for name in ("priority", "department")}
    model, keyed = keras.Model(x, list(outputs.values())), keras.Model(x, outputs)
    assert label_template(model, ["label:p"], "d", ("department", "priority")) == ("label:p", "")
    assert label_template(keyed, ["label:p"], "d", ("department", "priority")) == {"department": "", "priority": "label:p"}
    with pytest.raises(BadInput, match="names the outputs department, urgency, and the model's outputs are priority, department"):
        label_template(model, ["label:p"], "d", ("department", "urgency"))
    # Of a list the columns' names tell as much, where they are the outputs'
    assert label_template(model, ["label:priority"], "department") == ("label:priority", "")
    assert label_template(model, ["label:b"], "a") == ("", "label:b") and label_template(model, ["label:b"], "priority") == (
        "",
        "label:b",
    )
    for each in (model, keyed):
        with pytest.raises(
            BadInput, match="priority, department: priority would be learnt by the output department.*label: {department"
        ):
            label_template(each, ["label:priority"], "b")
    with pytest.raises(BadInput, match="names the output late, and the model's only output is priority"):
        label_template(keras.Model(x, outputs["priority"]), [], "late", ("late",))
    own = type("Own", (keras.Model,), {"call": lambda self, x: x})()
    assert label_template(own, ["label:b"], "a", ("one", "two")) == {"one": "", "two": "label:b"}


def test_a_label_that_its_output_cannot_give_is_refused_by_the_outputs_name(keras):
    from sparktrain.feed import BadInput
    from sparktrain.training.batches.labels import check_labels

    x = keras.Input((2,))
    model = keras.Model(x, [keras.layers.Dense(1, name="priority")(x), keras.layers.Dense(3, name="department")(x)])
    losses = ["binary_crossentropy", "sparse_categorical_crossentropy"]
    kinds = {"": ((), np.int64), "label:d": ((), np.int64)}
    for given in (losses, dict(zip(("priority", "department"), losses))):
        model.compile("sgd", given)
        check_labels(model, ("", "label:d"), kinds, {"": (0, 1), "label:d": (0, 2)})
        with pytest.raises(BadInput, match=r"labels of the output priority go from 0 to 2, and the loss binary_crossentropy"):
            check_labels(model, ("", "label:d"), kinds, {"": (0, 2), "label:d": (0, 1)})
        with pytest.raises(BadInput, match=r"labels of the output department \(column d\) go from 0 to 3.*classes 0 to 2"):
            check_labels(model, ("", "label:d"), kinds, {"": (0, 1), "label:d": (0, 3)})
