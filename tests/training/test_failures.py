"""A worker's end by failure: its own mistake told whole, a peer's loss told as an echo, and at once."""

from __future__ import annotations

import os
import signal
import socket
import time

import psutil
import pytest

from sparktrain.interfaces.messages import Failure, Finished, Progress
from sparktrain.interfaces.training_spec import Source
from sparktrain.models.by_value import by_value

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_one_workers_exception_is_its_own_and_the_others_echo(train, make_rows):
    parts = [make_rows(80), make_rows(80, start=1000)]
    began = time.monotonic()
    run = train(parts, "dense", epochs=2, callbacks="fail_on_one")
    own, echo = run.workers[1].outcome, run.workers[0].outcome
    assert (own.cause, own.error, own.message) == ("code", "ZeroDivisionError", "rank 1's own mistake")
    assert "trained.py" in own.traceback and "on_train_batch_end" in own.traceback
    assert "sparktrain/worker.py" not in own.traceback
    assert isinstance(echo, Failure) and echo.cause == "echo", echo
    assert run.workers[0].seconds - run.workers[1].seconds < 3
    assert time.monotonic() - began < 100
    assert not list(run.output.iterdir())


@pytest.mark.parametrize("engine, within", [("horovod", 3), ("tensorflowonspark", 12)], indirect=["engine"])
def test_a_killed_worker_is_an_echo_to_the_others_in_seconds(train, make_rows, within):
    killed = []

    def kill(rank, event, children):
        if rank == 1 and isinstance(event, Progress) and not killed:
            os.kill(children[1].pid, signal.SIGKILL)
            killed.append(time.monotonic())

    parts = [make_rows(400), make_rows(400, start=1000)]
    run = train(parts, "dense", epochs=20, callbacks="slowly", on_event=kill)
    assert killed
    lost, echo = run.workers[1].outcome, run.workers[0].outcome
    assert lost.cause == "lost" and echo.cause == "echo", (lost, echo)
    assert run.workers[0].seconds - run.workers[1].seconds < within


@pytest.mark.parametrize("engine", ["horovod", "tensorflowonspark"], indirect=True)
def test_a_stranger_at_every_port_of_the_workers_breaks_nothing(train, make_rows, engine):
    knocked = []

    def knock(rank, event, children):
        if not isinstance(event, Progress) or knocked:
            return
        for child in children:
            listening = [each.laddr for each in psutil.Process(child.pid).net_connections("tcp") if each.status == "LISTEN"]
            for ip, port in listening:
                with socket.create_connection((ip if ip not in ("0.0.0.0", "::") else "127.0.0.1", port), 5) as stranger:
                    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)) * 8)
                knocked.append(port)
        knocked.append(None)

    parts = [make_rows(80), make_rows(80, start=1000)]
    run = train(parts, "dense", epochs=2, callbacks="slowly", on_event=knock)
    assert all(isinstance(worker.outcome, Finished) for worker in run.workers), [worker.outcome for worker in run.workers]
    ports = [port for port in knocked if port is not None]
    # Gloo closes its own once the workers have met; TensorFlow's servers go on listening
    assert len(ports) >= 2 if engine == "tensorflowonspark" else knocked and not ports, knocked


def test_a_builders_exception_comes_with_the_users_traceback(train, make_rows):
    told = train([make_rows(30)], "failing", engine="single").workers[0].outcome
    assert (told.cause, told.error) == ("code", "KeyError") and "the builder's own mistake" in told.traceback
    assert told.traceback.splitlines()[1].strip().startswith("File") and "trained.py" in told.traceback.splitlines()[1]


@pytest.mark.failures
@pytest.mark.parametrize("within_step", [False, True])
def test_a_layers_exception_comes_with_its_line_also_out_of_a_step(train, make_rows, note_failure, within_step):
    told = train([make_rows(30)], "breaking", {"within_step": within_step}, engine="single").workers[0].outcome
    assert told.cause == "code" and "the layer's own mistake" in told.message, told
    assert "ZeroDivisionError" in told.error + told.message and "trained.py" in told.message + told.traceback
    if within_step:
        note_failure("An exception in a layer", "ends with rank, host and the user's traceback; not tried again")


@pytest.mark.failures
def test_a_loss_that_is_no_number_names_the_epoch(train, make_rows, note_failure):
    told = train([make_rows(30)], "exploding", engine="single").workers[0].outcome
    assert told.cause == "code" and "nan in epoch 1" in told.message and not told.traceback
    note_failure("A loss that is no number", "ends with epoch, step and what most often helps; not tried again")


def test_a_model_by_value_that_does_not_fit_the_rows_is_refused_before_a_step(train, make_rows):
    def build(units):
        import keras

        model = keras.Sequential([keras.Input((units,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    source = Source(pickle=by_value(build), args={"units": 3})
    told = train([make_rows(30)], "", engine="single", source=source).workers[0].outcome
    assert told.cause == "input" and "1 inputs" in told.message and "x, row" in told.message
