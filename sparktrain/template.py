"""The template of an executor's training processes: it has imported Keras, never used it, and forks a process for each order.

`python -u -P -m sparktrain.template LISTENER EXECUTOR STARTED MINUTES`, started by a task (cluster.processes.warm_start): the number of the
socket that it listens at, the process id of the executor's JVM, when that was started, and after how many idle minutes it ends.
A request is one line of JSON, with the descriptors that become the process's standard input, output and messages; it is answered
by one line with the process id, and by one with the exit status. A caller that hangs up has its process killed.

It has one thread, but for those of libraries that bear a fork (OpenBLAS, jemalloc). It holds nothing of a run: a forked process
gets its environment, folder and path with the request.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
import time
from typing import Any

import psutil

_LOOK = 1.0  # seconds between two looks whether the executor is still there
_READ = 5.0  # seconds that a caller has to send its request
_AT_ONCE = 1 << 16
STDIN, STDOUT, EVENTS = range(3)  # a request's descriptors


class Template:
    """The loop of the template.

    Args:
        listener: the socket, listening.
        executor: the JVM with which the template ends.
        idle: seconds without a training process after which it ends.
    """

    def __init__(self, listener: socket.socket, executor: psutil.Process, idle: float) -> None:
        self._listener, self._executor, self._idle = listener, executor, idle
        self._callers: dict[int, socket.socket] = {}  # by the process id of what was forked for them
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.setblocking(False)
        self._selector.register(woken, selectors.EVENT_READ)
        self._woken, self._wake = woken, wake
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)  # any handler: the selector is to wake

    def run(self) -> None:
        """Fork training processes until the executor is gone or nobody has asked for long.

        In a forked process it returns, too, when that is to begin its work.
        """
        used = time.monotonic()
        while self._executor.is_running() and (self._callers or time.monotonic() - used < self._idle):
            for key, _ in self._selector.select(_LOOK):
                if key.fileobj is self._listener:
                    if self._serve(self._listener.accept()[0]):
                        return
                elif key.fileobj is self._woken:
                    with contextlib.suppress(BlockingIOError):
                        self._woken.recv(_AT_ONCE)
                else:
                    self._hung_up(key.data)
            self._reap()
            if self._callers:
                used = time.monotonic()

    def _serve(self, caller: socket.socket) -> bool:
        """Fork a process for a request; return whether this is that process."""
        descriptors: list[int] = []
        try:
            caller.settimeout(_READ)
            request, descriptors = _received(caller)
            pid = os.fork()
            if pid == 0:
                self._leave(caller)
                _become(request, descriptors)
                return True
            with contextlib.suppress(PermissionError, ProcessLookupError):  # it has done so itself, or has ended
                os.setpgid(pid, pid)
            self._callers[pid] = caller
            caller.setblocking(False)
            self._selector.register(caller, selectors.EVENT_READ, pid)  # it tells, too, if the caller hangs up now
        except (OSError, ValueError):  # the caller was killed, or hung up, or there are too many processes
            caller.close()
            return False
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        _answer(caller, pid=pid)
        return False

    def _leave(self, caller: socket.socket) -> None:
        """Close the template's sockets, and restore its signal handlers, in a forked process."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for end in (self._listener, self._woken, self._wake, caller, *self._callers.values()):
            end.close()

    def _hung_up(self, pid: int) -> None:
        """Kill a process whose caller is gone; the end of that process closes the connection."""
        self._selector.unregister(self._callers[pid])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._callers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            caller = self._callers.pop(pid)
            with contextlib.suppress(KeyError):  # has hung up
                self._selector.unregister(caller)
            _answer(caller, status=os.waitstatus_to_exitcode(status))
            caller.close()


def _received(caller: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return a request and its descriptors.

    Raises:
        ValueError: it isn't whole, or the caller doesn't wait for an answer any more.
    """
    data, descriptors, _, _ = socket.recv_fds(caller, _AT_ONCE, 3)
    try:
        while not data.endswith(b"\n"):
            if not (more := caller.recv(_AT_ONCE)):
                raise ValueError("the caller hung up")
            data += more
        caller.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            caller.recv(1)
            raise ValueError("the caller hung up")
        return json.loads(data), descriptors
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def _answer(caller: socket.socket, **fields: int) -> None:
    with contextlib.suppress(OSError):  # it has hung up, which the selector tells
        caller.sendall(json.dumps(fields).encode() + b"\n")


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Give a forked process the environment, folder and streams that `python -u -m sparktrain.worker` would have."""
    os.setpgid(0, 0)
    os.chdir(request["folder"])
    os.dup2(descriptors[STDIN], 0)
    for stream in (1, 2):
        os.dup2(descriptors[STDOUT], stream)
    given = len(_given(os.environ))
    own = sys.path[given:]
    os.environ.clear()
    os.environ.update(request["environment"], SPARKTRAIN_EVENTS=str(os.dup(descriptors[EVENTS])))
    sys.path[:] = [request["folder"], *_given(request["environment"]), *own]
    importlib.invalidate_caches()
    tempfile.tempdir = None  # chosen anew, from the new environment
    time.tzset()
    import numpy

    numpy.random.seed()  # else all would draw the same numbers until they are given a seed


def _given(environment: Any) -> list[str]:
    return [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]


def main() -> None:
    """Run the template, and the worker in each process that it forks."""
    number, pid, started, minutes = sys.argv[1:]
    listener, template = socket.socket(fileno=int(number)), os.getpid()
    path = listener.getsockname()
    try:
        executor = psutil.Process(int(pid))
        if abs(executor.create_time() - float(started)) > 1:
            return  # another process has got its number
        import numpy.random  # noqa: F401  which NumPy would import when it is first used

        from sparktrain import engines, worker
        from sparktrain.training.imports import import_keras

        import_keras()
        import sparktrain.training.keras
        import sparktrain.training.own_loop  # noqa: F401  with all that they import
        from sparktrain.training.framework import framework

        framework()
        engines.preload()

        gc.collect()
        gc.freeze()  # so that a forked process doesn't copy the pages of what is here by looking at it
        Template(listener, executor, 60 * float(minutes)).run()
        if os.getpid() != template:
            worker.main()
    except psutil.NoSuchProcess:
        return  # the executor has ended meanwhile
    finally:
        if os.getpid() == template:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


if __name__ == "__main__":
    main()
