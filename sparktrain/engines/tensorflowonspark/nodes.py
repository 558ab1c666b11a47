"""Starts, runs and ends TensorFlowOnSpark's node on an executor."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Client
from multiprocessing.managers import dispatch  # type: ignore[attr-defined]  # not documented, and the only way to ask a manager to end
from pathlib import Path

import psutil

from sparktrain.engines.tensorflowonspark.guard import guarded
from sparktrain.engines.tensorflowonspark.known import Nodes, home, pid_of, runs
from sparktrain.engines.tensorflowonspark.package import plain_import

with plain_import():
    from tensorflowonspark import TFManager
    from tensorflowonspark.TFSparkNode import TFNodeContext, TFSparkNode

_LAST_SECONDS = 3.0  # that a node has to end after its feed, and its manager after it was asked to
_PROCESSES = "processes"  # the file of their ids

_Function = Callable[[Iterable[int]], object]  # TensorFlowOnSpark's function for an RDD's partition


def relay(arguments: Namespace, context: TFNodeContext) -> None:
    """Run as TensorFlowOnSpark's main function: take the worker's path, release the port held for it, and wait for the end.

    The worker trains in a separate process, which can be killed.
    """
    context.mgr.set("pid", os.getpid())
    feed = context.get_data_feed()
    for path in feed.next_batch(1):
        context.release_port()
        feed.batch_results([{"segments": path}])
    while not feed.should_stop():
        feed.next_batch(1)


def start(function: _Function, cluster: str, together: bool, key: bytes, number: int) -> None:
    """Start this executor's node.

    Args:
        function: TensorFlowOnSpark's own start of a node.
        cluster: the name of the run's nodes.
        together: whether the executors share their local dirs.
        key: the key that the driver's server requires.
        number: the node's number.
    """
    TFSparkNode.mgr = None  # that of an earlier cluster, which has ended
    folder = home(cluster, number if together else None)
    folder.mkdir()
    before = multiprocessing.active_children()
    try:
        with _inside(folder), guarded(key):
            function([number])
        started = [process.pid for process in multiprocessing.active_children() if process not in before]
        (folder / _PROCESSES).write_text(json.dumps(started))
    except BaseException:
        if TFSparkNode.mgr is not None:
            TFSparkNode.mgr.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
        raise


def end(function: _Function, nodes: Nodes, number: int) -> None:
    """End this executor's node, whatever state it is in, and wait until its processes have ended.

    Args:
        function: TensorFlowOnSpark's own end of a node.
        nodes: the run's nodes.
        number: the node's number, used if the executors share their local dirs.
    """
    folder = home(nodes.cluster, number if nodes.together else None)
    if not folder.is_dir():
        return  # an executor that joined later has no node
    node = nodes.numbered(int((folder / "executor_id").read_text()))
    try:
        with _inside(folder):
            function([number])
    finally:
        _finish(node["addr"], node["authkey"])
        _ended(json.loads((folder / _PROCESSES).read_text()))  # a manager answers before it ends
        shutil.rmtree(folder, ignore_errors=True)
        multiprocessing.active_children()  # reaps those that have ended


def _finish(address: str, key: bytes) -> None:
    """End the node's process, and then its manager's, which TensorFlowOnSpark leaves running."""
    try:
        manager = TFManager.connect(address, key)
        pid = pid_of(manager)
        if pid is not None and not _ended([pid]):
            psutil.Process(pid).kill()
        with Client(address, authkey=key) as connection:
            dispatch(connection, None, "shutdown")
    except (OSError, EOFError, psutil.NoSuchProcess):
        pass  # gone by itself


def _ended(pids: Sequence[int]) -> bool:
    """Wait up to 3 s for processes to end, and return whether they have."""
    deadline = time.monotonic() + _LAST_SECONDS
    while any(map(runs, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Change to a folder within a context, and restore the working folder and CUDA_VISIBLE_DEVICES after it."""
    before, gpus = os.getcwd(), os.environ.get("CUDA_VISIBLE_DEVICES")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        if gpus is None:
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus
