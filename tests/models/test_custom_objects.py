"""A model's own classes and functions: named by its file, found where it is loaded, kept by value where they have no module."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy
import pytest

from sparktrain.interfaces.training_spec import Source
from sparktrain.models.by_value import SCRIPT, by_value, from_value
from sparktrain.models.custom_objects import CustomObject, find, load_model, named_in, of_model, recorded
from sparktrain.models.errors import TrainingError
from sparktrain.training.sources import load

pytestmark = pytest.mark.real

MODULE = """
import keras


class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x


@keras.saving.register_keras_serializable("mine")
class Plus(keras.layers.Layer):
    def call(self, x):
        return x + 1


def far(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def build():
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(1)(Plus()(Twice()(x))))
    model.compile("sgd", far, metrics=[far])
    return model
"""


@pytest.fixture
def forget():
    """Undoes what a module or a script has registered with Keras, as a fresh process hasn't."""
    import keras

    known = keras.saving.get_custom_objects()
    before = dict(known)

    def again() -> None:
        known.clear()
        known.update(before)
        sys.modules.pop("mylayers", None)

    yield again
    again()


@pytest.fixture
def saved(tmp_path, monkeypatch, forget):
    """A model of a module of the user's, saved; the module is found, and not imported."""
    (tmp_path / "mylayers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "model.keras"
    importlib.import_module("mylayers").build().save(path)
    forget()
    return path


def test_a_saved_model_names_what_it_needs(saved):
    needed = {each.name: (each.module, each.attribute) for each in named_in(saved)}
    assert needed == {"Twice": ("mylayers", "Twice"), "mine>Plus": ("mylayers", "Plus"), "far": ("", "far")}
    model = load_model(saved, ["mylayers"])
    assert recorded(model, saved, None) == {"Twice": "mylayers", "mine>Plus": "mylayers", "far": "mylayers"}


def test_a_model_is_loaded_with_the_module_that_its_classes_are_in(saved):
    model = load(Source(file=f"file://{saved}", modules=("mylayers",)), {}, "model.load")
    assert [type(layer).__name__ for layer in model.layers[1:]] == ["Twice", "Plus", "Dense"]
    assert model.evaluate(numpy.ones((2, 4)), numpy.zeros((2, 1)), verbose=0)[0] >= 0
    assert load_model(saved, []).layers[1].name == model.layers[1].name  # whoever has imported the module needs no word


def test_what_is_nowhere_is_told_by_class_and_module_with_what_to_do(saved, tmp_path):
    with pytest.raises(TrainingError, match=r"Twice of module mylayers.*Import mylayers.*model\.modules.*\[mylayers\]"):
        load_model(saved, [])
    (tmp_path / "mylayers.py").rename(tmp_path / "elsewhere.py")
    with pytest.raises(TrainingError, match="mylayers can't be imported.*No module named 'mylayers'.*PYTHONPATH"):
        load_model(saved, ["mylayers"])
    (tmp_path / "mylayers.py").write_text("")
    with pytest.raises(TrainingError, match=r"mylayers\.py doesn't define Twice, Plus at its top"):
        load_model(saved, ["mylayers"])


def test_a_file_reaches_nothing_that_no_model_is_made_of():
    assert find(CustomObject("call", "subprocess", "call"), ["subprocess", "os"]) is None
    assert find(CustomObject("Path", "pathlib", "Path")) is None
    assert find(CustomObject("find", "sparktrain.models.custom_objects", "find")) is find


SCRIPT_PROGRAM = (
    MODULE
    + """
import pickle
import sys
from pathlib import Path
from sparktrain.models.by_value import by_value
from sparktrain.models.custom_objects import in_program, named_in, of_model

path = Path(sys.argv[1])
model = build()
model.save(path)
Path(sys.argv[2]).write_text(by_value(of_model(model, named_in(path))))
Path(sys.argv[3]).write_text(by_value(build))
returned = pickle.dumps(model)   # as by a worker's function
assert type(in_program(lambda: pickle.loads(returned)).layers[1]) is Twice
"""
)


def test_classes_of_a_script_go_by_value_and_keep_their_registered_names(tmp_path, forget):
    (tmp_path / "script.py").write_text(SCRIPT_PROGRAM)
    files = [tmp_path / name for name in ("model.keras", "objects", "build")]
    subprocess.run([sys.executable, tmp_path / "script.py", *files], check=True, timeout=240)
    assert {(each.name, each.module) for each in named_in(files[0])} == {("Twice", SCRIPT), ("mine>Plus", SCRIPT), ("far", "")}
    with pytest.raises(
        TrainingError, match=r"Twice of a script or a notebook.*Define or import Twice, Plus in this program.*Import far"
    ):
        load_model(files[0], [])

    model = load(Source(file=f"file://{files[0]}", objects=files[1].read_text()), {}, "model.load")
    assert [type(layer).__name__ for layer in model.layers[1:]] == ["Twice", "Plus", "Dense"]
    forget()
    # A builder, too, whose module ran the decorator elsewhere
    load(Source(pickle=files[2].read_text()), {}, "model.build").save(tmp_path / "again.keras")
    assert {each.name for each in named_in(tmp_path / "again.keras")} == {"Twice", "mine>Plus", "far"}


def test_a_class_of_a_function_is_found_in_the_model_itself(tmp_path, forget):
    import keras

    class Inner(keras.layers.Layer):
        pass

    model = keras.Sequential([keras.Input((2,)), Inner()])
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.keras")
    objects = of_model(model, named_in(tmp_path / "model.keras"))
    assert objects == {"Inner": Inner}
    again = load_model(tmp_path / "model.keras", [], from_value(by_value(objects)))
    assert type(again.layers[0]).__name__ == "Inner"
