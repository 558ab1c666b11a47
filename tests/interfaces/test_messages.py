"""What driver, task and child send each other arrives as it was sent, and nothing else is taken for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import pytest

from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.decoding import from_json
from sparktrain.interfaces.messages import (
    Alive,
    Checkpointed,
    EndEpoch,
    EpochEnd,
    Failure,
    Filling,
    Finished,
    Joined,
    Log,
    Message,
    Order,
    OutputCheck,
    Phase,
    Progress,
    decode,
    decode_request,
    encode,
)
from sparktrain.interfaces.training_spec import Fit, Output, Source, TrainingSpec

SPEC = TrainingSpec(
    run="r",
    engine="horovod",
    model=Source(file="hdfs:///m.keras", modules=("layers", "losses"), objects="abc"),
    fit=Fit(
        epochs=3,
        batch_sizes=(64, 63),
        callbacks=Source(function="mine:callbacks", args={"units": [1, 2], "names": {"1": None}}),
        learning_rate=0.01,
        warmup_epochs=0.5,
        early_stopping={"monitor": "val_loss", "patience": 2},
        class_weight={0: 1.0, 7: 2.5},
        outputs=("late", "delay"),
        average=10,
        resume=Checkpoint(2, 5, 2),
        ends_at=1764000000.5,
    ),
    seed=7,
    output=Output("hdfs:///models/r", {"dfs.nameservices": "n"}, "token"),
)
ORDER = Order(SPEC, 1, 2, 0, {"HOROVOD_RANK": "1"}, {"rows": [1, 2]}, 12.5)
MESSAGES = [
    Phase("fill"),
    Filling(1, 2, None),
    Joined(0, 1, 2, 3, 4, {"x": [[784], "float32"]}, [[0, 5], [1, 6]]),
    Progress(1, 2, 3, 4, 5, {"loss": 0.5}),
    EpochEnd(1, 0.5, {"loss": 0.5}),
    Checkpointed(1, 0, 100, 0.1, 0.2),
    Alive(1.5),
    Log("é\n"),
    Failure("lost", "TaskLost", "gone", "Traceback"),
    Finished({"loss": [1.0, 0.5]}, 1, 2, {"train": 3.0}, notes=["a"], best_epoch=1, custom_objects={"Mine": "layers"}),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_arrives_as_it_was_sent(message):
    assert decode(encode(message)) == decode(encode(message).encode()) == message
    assert "\n" not in encode(message)


def test_no_kind_of_message_is_left_out():
    assert {type(message) for message in MESSAGES} == set(get_args(Message))


@pytest.mark.parametrize(
    "request_",
    [
        ORDER,
        replace(ORDER, spec=replace(SPEC, model=Source(function="mine:build"), fit=Fit(1, (8,))), ends_at=None),
        OutputCheck(SPEC.output),
        EndEpoch("asked by someone on a host"),
    ],
)
def test_an_order_arrives_as_it_was_sent_with_its_tuples_its_keys_and_what_is_in_it(request_):
    assert decode_request(encode(request_)) == request_


@pytest.mark.parametrize(
    "line", ["{}", '{"kind": "Other"}', '{"kind": "Phase"}', '{"kind": "Phase", "name": "x", "more": 1}', "[]", "no"]
)
def test_what_is_no_message_is_refused(line):
    with pytest.raises(ValueError):
        decode(line)


def test_the_driver_takes_no_request_and_a_child_no_message():
    with pytest.raises(ValueError, match="not a message"):
        decode(encode(ORDER))
    with pytest.raises(ValueError, match="not a message"):
        decode_request(encode(Phase("fill")))


@pytest.mark.parametrize(
    "kind, value",
    [
        (dict[int, tuple[int, ...]], {3: (1, 2)}),
        (list[tuple[str, ...]], [("a",), ()]),
        (tuple[int, ...] | None, None),
        (tuple[int, ...] | None, (1,)),
        (str | int, 3),
    ],
)
def test_json_is_decoded_to_the_types_that_it_was_made_of(kind, value):
    assert from_json(kind, json.loads(json.dumps(value))) == value
