"""Functions and classes pickled by value, registered with Keras where they are unpickled."""

from __future__ import annotations

import base64
import io
import sys
from typing import Any

import cloudpickle

SCRIPT = "__main__"  # the module of what a script or a notebook defines


def by_value(value: Any) -> str:
    """Pickle a function or classes so that they need no module of a script or a notebook, in base64.

    What of it is registered with Keras is registered under the same name where it is unpickled: the decorator that did so
    isn't called there.
    """
    keras = sys.modules.get("keras")  # else nothing is registered with it
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
    """What `by_value` has pickled, its classes registered with Keras as they were."""
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
