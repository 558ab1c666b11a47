"""What training processes import: Keras, without what it takes in besides itself, which is there all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from sparktrain.feed.segments import write_segment

PROGRAM = """
import sys
from sparktrain.training.imports import import_keras

import_keras()
early = {"pandas", "matplotlib", "tensorflow.lite"} & sys.modules.keys()
assert not early, early

import pathlib, keras, numpy, tensorflow
from sparktrain.feed.segments import Segment

rows = Segment(pathlib.Path(sys.argv[1])).fields
assert rows["x"].tolist() == [[0, 1], [2, 3], [4, 5]] and rows["y"].tolist() == [True, False, True]
from keras.src.trainers.data_adapters.array_slicing import can_slice_array

assert can_slice_array(numpy.zeros(3)) and not can_slice_array([1, 2])
assert "pandas" not in sys.modules
import pandas

rows = pandas.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
assert can_slice_array(rows) and can_slice_array(rows["y"])
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile("sgd", "mse")
assert model.predict(rows[["x"]], verbose=0)[:, 0].tolist() == [1.0, 2.0, 3.0]
model.fit(rows[["x"]], rows["y"], validation_split=0.34, verbose=0)
assert tensorflow.lite.TFLiteConverter and "tensorflow.lite" in sys.modules
import matplotlib.pyplot

print("done", matplotlib.pyplot.figure)
"""


@pytest.mark.real
def test_what_keras_takes_in_besides_itself_is_loaded_when_it_is_used(tmp_path):
    rows = tmp_path / "rows"
    write_segment(rows, {"x": numpy.arange(6, dtype="float16").reshape(3, 2), "y": numpy.array([True, False, True])})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, rows],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0 and done.stdout.startswith("done"), done.stderr
