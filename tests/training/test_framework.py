"""The framework beneath Keras is behind one interface, which its package has whole."""

from __future__ import annotations

import inspect

import pytest

pytestmark = pytest.mark.real


def test_tensorflow_has_the_functions_of_the_interface_with_their_arguments():
    from sparktrain.training import framework, tensorflow

    assert framework.framework() is tensorflow
    asked = {name: each for name, each in vars(framework.Framework).items() if inspect.isfunction(each) and name[0] != "_"}
    assert set(asked) == set(tensorflow.__all__)
    for name, function in asked.items():
        _, *expected = inspect.signature(function).parameters.values()
        own = inspect.signature(getattr(tensorflow, name)).parameters.values()
        assert [(each.name, each.kind, each.default) for each in own] == [
            (each.name, each.kind, each.default) for each in expected
        ], name


def test_a_backend_that_is_not_trained_with_is_named(monkeypatch):
    import keras

    from sparktrain.models.errors import TrainingError
    from sparktrain.training.framework import framework

    monkeypatch.setattr(keras.config, "backend", lambda: "numpy")
    with pytest.raises(TrainingError, match=r"Keras's backend is numpy here .KERAS_BACKEND.* trains with tensorflow"):
        framework.__wrapped__()
