"""What callbacks import, read from their source, and what is told where an executor hasn't it."""

from __future__ import annotations

import pytest

from sparktrain.cluster.executors.executor_python import lacking
from sparktrain.usercode.requirements import packages_needed

MODULE = """
import json
import keras
import wandb.sdk
from keras.callbacks import TensorBoard
import helpers

try:
    import mlflow
except ImportError:
    mlflow = None

def board():
    return [keras.callbacks.TensorBoard("logs")]

def named():
    import requests_oauthlib
    return [TensorBoard("logs")]

def plain():
    return [keras.callbacks.CSVLogger("log.csv")]
"""


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "helpers.py").write_text("")
    return [str(tmp_path)]


@pytest.mark.parametrize(
    "name, expected",
    [
        ("board", ["wandb", "tensorboard"]),
        ("named", ["wandb", "requests_oauthlib", "tensorboard"]),
        ("plain", ["wandb"]),
    ],
)
def test_what_callbacks_import_is_read_from_their_module(folders, name, expected):
    assert packages_needed(f"mine:{name}", folders) == expected


def test_a_function_given_is_read_too_and_where_there_is_no_source_nothing_is_asked(folders):
    def callbacks():
        import json

        import keras

        return [keras.callbacks.TensorBoard(json.dumps("logs"))]

    callbacks.__module__ = "__main__"  # as a notebook's, of which there is the function alone
    assert packages_needed(callbacks, folders) == ["tensorboard"]
    typed = eval("lambda: []")
    typed.__module__ = "__main__"
    assert (
        packages_needed(typed, folders) == packages_needed(None, folders) == packages_needed("nowhere:callbacks", folders) == []
    )


def test_what_an_executor_lacks_is_told_with_what_to_install():
    found = [
        {"host": "a", "interpreter": "/usr/bin/python3", "python": "3.12.1", "missing": missing}
        for missing in ([], ["tensorboard"])
    ]
    told = lacking(found, "training.callbacks")
    assert told.startswith(
        "training.callbacks needs tensorboard, and the Python of the executor on a, /usr/bin/python3 (3.12.1), has no"
    )
    assert "pip install tensorboard" in told and lacking(found[:1], "training.callbacks") is None
