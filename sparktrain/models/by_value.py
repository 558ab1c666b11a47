"""Pickles functions and classes by value, and registers them with Keras where they are unpickled."""

from __future__ import annotations

import base64
import io
import sys
from typing import Any

import cloudpickle

SCRIPT = "__main__"  # the module of functions and classes of a script or a notebook


def by_value(value: Any) -> str:
    """Pickle a function or classes by value and return them in base64; unpickling needs no script or notebook.

    Classes and functions that are registered with Keras are registered again under the same names by `from_value`, as the
    decorator that registers them isn't called there.
    """
    keras = sys.modules.get("keras")  # if it isn't imported, nothing is registered
    names = {id(each): name for name, each in keras.saving.get_custom_objects().items()} if keras is not None else {}
    registered: dict[str, Any] = {}

    class Pickler(cloudpickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            if id(obj) in names:
                registered[names[id(obj)]] = obj
            return super().reducer_override(obj)

    Pickler(io.BytesIO()).dump(value)
    return base64.b64encode(cloudpickle.dumps((value, registered))).decode()


def from_value(text: str) -> Any:
    """Unpickle the result of `by_value`, and register its classes with Keras as they were."""
    value, registered = cloudpickle.loads(base64.b64decode(text))
    if registered:
        import keras

        for name, each in registered.items():
            package, mark, own = name.rpartition(">")
            if mark:
                keras.saving.register_keras_serializable(package, own)(each)
            else:
                keras.saving.get_custom_objects()[name] = each
    return value
