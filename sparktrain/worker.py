"""The main program of the training process: it reads one order, joins the other workers, trains, and reports how it ended.

`python -m sparktrain.worker`, started by a task: the order is one line on standard input, which stays open for as long as the
task lives; a request to end training after an epoch may come before the order, and at any time after it. Messages are written
to the pipe whose number is in SPARKTRAIN_EVENTS, one a line. Standard output and error are the user's.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import resource
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from sparktrain.feed import BadInput, Shard
from sparktrain.interfaces.collective import Collective, PeerLost, TimedCollective
from sparktrain.interfaces.messages import (
    SIGN_SECONDS,
    Alive,
    EndEpoch,
    Failure,
    Message,
    Order,
    OutputCheck,
    Request,
    decode_request,
    encode,
)
from sparktrain.known_messages.tensorflow import NO_FILE
from sparktrain.models.errors import TrainingError
from sparktrain.storage import NotFound, StorageError
from sparktrain.training.callbacks.stop_request import StopRequest
from sparktrain.training.output import check_output
from sparktrain.training.phases import Phases

_PACKAGE = Path(__file__).resolve().parent
_PR_SET_PDEATHSIG = 1
_LONGEST = 1 << 18  # characters of a failure's message or traceback


class Events:
    """The pipe to the task; if the task is gone, this process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        data = encode(message).encode() + b"\n"
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except BrokenPipeError:
                os._exit(1)


def main() -> None:
    """Run one order, and exit with status 0 after sending Finished, 1 after Failure."""
    _die_with_parent()
    events = Events(int(os.environ.pop("SPARKTRAIN_EVENTS")))
    requests: SimpleQueue[Request | ValueError] = SimpleQueue()
    stop = StopRequest()
    threading.Thread(target=_listen, args=(requests, stop), name="orders", daemon=True).start()
    joined: list[TimedCollective] = []
    threading.Thread(target=_give_signs, args=(events, joined), name="signs", daemon=True).start()
    collective: Collective | None = None
    try:
        phases = Phases(events.send)
        phases.enter("start")
        request = _next(requests)
        if isinstance(request, OutputCheck):
            check_output(request.output)
        # The framework's slow import, while the task still fills its segments
        from sparktrain.training.imports import import_keras

        import_keras()
        from sparktrain.training.framework import framework

        framework().split_cpu()

        order = _next(requests) if isinstance(request, OutputCheck) else request
        assert isinstance(order, Order)  # a check comes once
        framework().tell_of_unseen_gpus()
        os.environ.update(order.environment, SPARKTRAIN_RANK=str(order.rank), SPARKTRAIN_SIZE=str(order.size))
        phases.enter("join")
        if order.spec.fit.own_loop:
            from sparktrain.training.own_loop import run as train
        else:
            from sparktrain.training.keras import train
        collective = TimedCollective(_join(order.spec.engine, order.spec.fit.average == "step"))
        joined.append(collective)
        before = phases.seconds()
        finished = train(order, Shard.from_json(order.feed), collective, events.send, stop)
        collective.close()
        phases.enter("done")
        events.send(
            dataclasses.replace(
                finished,
                seconds={**before, **finished.seconds},
                peak_memory=peak_memory(),
                inputs=finished.inputs if order.rank == 0 else {},
            )
        )
        status = 0
    except BaseException as error:  # sys.exit() in the user's code is a failure, too
        events.send(failure(error, collective))
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # At once, so that the peers see closed connections, and no thread of the user or TensorFlow keeps this process alive.
    os._exit(status)


def _join(engine: str, every_step: bool) -> Collective:
    from sparktrain import engines

    try:
        return engines.collective(engine, every_step)
    except ImportError:
        raise
    except Exception as error:  # most often because a peer was lost, which is then the root cause
        raise PeerLost(f"the workers did not come together: {error}") from error


def failure(error: BaseException, collective: Collective | None) -> Failure:
    """Return the failure of a worker for an exception: its cause, and the traceback from the user's code on."""
    message = _shortened(str(error)) + _about_files(error)
    if isinstance(error, BadInput):
        return Failure("input", type(error).__name__, message)
    if isinstance(error, StorageError) and not isinstance(error, NotFound):  # the next attempt may succeed
        return Failure("lost", type(error).__name__, message, _shortened(_trimmed(error)))
    echo = isinstance(error, PeerLost) or (collective is not None and collective.is_echo(error))
    cause = "echo" if echo else "code"
    return Failure(cause, type(error).__name__, message, _shortened(_trimmed(error)))


def _about_files(error: BaseException) -> str:
    """Return advice if a file of the user's is missing, also for TensorFlow's and Keras's errors for that; else an empty text."""
    missing = (
        isinstance(error, FileNotFoundError)
        or type(error).__name__ == "NotFoundError"
        or (isinstance(error, ValueError) and NO_FILE.find(str(error)) is not None)
    )
    if not missing or isinstance(error, StorageError):
        return ""
    return (
        ". Of the files of this machine, a worker has those that model.files names (files=[…] in a program): they lie beside your "
        "modules and in its working folder, where spark-submit's --files are, too"
    )


def _shortened(text: str) -> str:
    """Return a text without its middle if it is very long: an exception may include a whole array."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]}\n… {len(text) - _LONGEST:,} characters are left out …\n{text[-_LONGEST // 2 :]}"


def _trimmed(error: BaseException) -> str:
    """Return the traceback without this package's frames before the user's; empty for errors that need none."""
    if isinstance(error, TrainingError):
        return ""
    first: TracebackType | None = error.__traceback__
    while first is not None and _PACKAGE in Path(first.tb_frame.f_code.co_filename).resolve().parents:
        first = first.tb_next
    return "".join(traceback.format_exception(type(error), error, first or error.__traceback__))


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # no Linux
    # On Linux this would include the process that this one was forked from.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _give_signs(events: Events, joined: list[TimedCollective]) -> None:
    while True:
        time.sleep(SIGN_SECONDS)
        events.send(Alive(round(sum(collective.waiting for collective in joined), 1)))


def _next(requests: SimpleQueue[Request | ValueError]) -> Request:
    """Wait for the task's next request and return it.

    Raises:
        ValueError: a line came that is none.
    """
    request = requests.get()
    if isinstance(request, ValueError):
        raise request
    return request


def _listen(requests: SimpleQueue[Request | ValueError], stop: StopRequest) -> None:
    """Pass on the task's requests, and end this process at the end of standard input, which means that the task is gone.

    Args:
        requests: takes the requests, in their order, but for those to end training after an epoch; and the error of a line that
            is none.
        stop: is asked for the end of training.
    """
    pending = b""
    while chunk := os.read(0, 1 << 16):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            try:
                request = decode_request(line)
            except ValueError as error:  # raised where the next request is waited for, and reported
                requests.put(error)
                continue
            if isinstance(request, EndEpoch):
                stop.ask(request.reason)
            else:
                requests.put(request)
    os._exit(1)


def _die_with_parent() -> None:
    if not sys.platform.startswith("linux"):
        return  # there, the end of standard input ends this process
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
