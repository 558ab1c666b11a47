"""A training process that is forked from one which has imported TensorFlow and Keras, and used neither.

Importing them is most of what a short test's process does. That a job's training process is a fresh interpreter, and how
it is started, tests/whole_runs sees.
"""

from __future__ import annotations

import functools
import multiprocessing.connection
import multiprocessing.forkserver
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping
from typing import Any
from unittest import mock

from sparktrain.cluster.child import Child


class ForkedChild(Child):
    """As its parent, but for where the process comes from."""

    def _start(self, environment: Mapping[str, str], events: int, folder: str) -> Any:
        context = _server()
        orders, stdin = context.Pipe(duplex=False)
        stdout, printed = context.Pipe(duplex=False)
        told = multiprocessing.connection.Connection(os.dup(events), readable=False)
        process = context.Process(
            target=runpy.run_path, args=(__file__, {"GIVEN": (dict(environment), folder, orders, printed, told)}, "forked worker")
        )
        process.start()
        for end in (orders, printed, told):
            end.close()
        return _Popen(process, stdin, stdout)


class _Popen:
    """A process of multiprocessing as one of subprocess."""

    def __init__(self, process: Any, stdin: Any, stdout: Any) -> None:
        self.pid = process.pid
        self._process = process
        self.stdin, self.stdout = (os.fdopen(os.dup(end.fileno()), mode) for end, mode in ((stdin, "wb"), (stdout, "rb")))
        stdin.close()
        stdout.close()

    def wait(self) -> int:
        self._process.join()
        return self._process.exitcode


@functools.cache
def _server() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras"])
    with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}):  # no threads to be lost
        multiprocessing.forkserver.ensure_running()
    return context


def _be_the_worker(environment: dict[str, str], folder: str, orders: Any, printed: Any, told: Any) -> None:
    """In the forked process: be what `python -u -m sparktrain.worker` would be."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment, SPARKTRAIN_EVENTS=str(told.fileno()))
    tempfile.tempdir = None  # which the environment says
    os.dup2(orders.fileno(), 0)
    for descriptor in (1, 2):
        os.dup2(printed.fileno(), descriptor)
    sys.stdin = open(0)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)
    sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    runpy.run_module("sparktrain.worker", run_name="__main__", alter_sys=True)


if __name__ == "forked worker":
    _be_the_worker(*GIVEN)  # noqa: F821  run_path's
