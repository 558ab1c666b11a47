"""Writes the requests that TensorFlow Serving warms a model up with before it serves: assets.extra/tf_serving_warmup_requests.

The file holds PredictionLog messages as TFRecords. Their definitions are in the package tensorflow-serving-api, which asks for one version of
TensorFlow; the few fields that are needed are defined here. Source: tensorflow_serving/apis/prediction_log.proto, predict.proto, model.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

WARM_UP = "assets.extra/tf_serving_warmup_requests"
_PACKAGE = "sparktrain.serving"  # not tensorflow.serving: who has that package imported has those names
_TEXT, _MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
_MESSAGES: dict[
    str, list[tuple[str, int, str | None]]
] = {  # of each field the name, the number, and the message, None for a text
    "ModelSpec": [("name", 1, None), ("signature_name", 3, None)],
    "InputsEntry": [("key", 1, None), ("value", 2, ".tensorflow.TensorProto")],  # of a map, which is such entries on the wire
    "PredictRequest": [("model_spec", 1, f".{_PACKAGE}.ModelSpec"), ("inputs", 2, f".{_PACKAGE}.InputsEntry")],
    "PredictLog": [("request", 1, f".{_PACKAGE}.PredictRequest")],
    "PredictionLog": [("predict_log", 6, f".{_PACKAGE}.PredictLog")],
}


def write_warm_up(folder: Path, name: str, requests: list[Mapping[str, np.ndarray]]) -> None:
    """Write requests for the signature serving_default.

    Args:
        folder: the SavedModel's.
        name: the model's name.
        requests: the arrays of the columns, for each.
    """
    target = folder / WARM_UP
    target.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(target)) as writer:
        for columns in requests:
            log = message("PredictionLog")()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = name, "serving_default"
            for key, value in columns.items():
                request.inputs.add(key=key, value=tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())


def message(name: str) -> Any:
    """Return the class of one of the messages."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    """Define the messages, once a process, where TensorProto is defined."""
    file = descriptor_pb2.FileDescriptorProto(
        name="sparktrain/serving.proto", package=_PACKAGE, syntax="proto3", dependency=[tensor_pb2.DESCRIPTOR.name]
    )
    for each, fields in _MESSAGES.items():
        made = file.message_type.add(name=each)
        for field, number, of in fields:
            label = 3 if field == "inputs" else 1  # repeated, or one
            made.field.add(name=field, number=number, label=label, type=_MESSAGE if of else _TEXT, type_name=of)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool
