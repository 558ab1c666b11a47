"""TensorFlowOnSpark's Spark side in a task: it sends its segments' path to its executor's node, and gets the node's address."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import psutil

from sparktrain.engines.tensorflowonspark.known import Nodes, pid_of, runs
from sparktrain.engines.tensorflowonspark.package import plain_import
from sparktrain.interfaces.launch import Executors, Launch, LaunchFailed, Place

with plain_import():
    from tensorflowonspark import TFManager

_PATIENCE = 20.0  # seconds that a node has to take its path, which takes milliseconds
_GOODBYE = 2.0  # seconds that asking a node to end may take
_LOOK_EVERY = 0.2  # seconds between checks of the node
_KILLED = "It was killed, most often for memory: see the executor's log, and run again"


class EngineLaunch(Launch):
    """The launch of a worker on an executor that has a node.

    Args:
        nodes: the nodes that the driver has started.
        patience: seconds that a node has to take its path.
    """

    def __init__(self, nodes: Nodes, patience: float = _PATIENCE) -> None:
        self._nodes = nodes
        self._patience = patience
        self._manager: TFManager.TFManager | None = None
        self._pid: int | None = None  # the node's, once known

    @classmethod
    @contextmanager
    def brought_up(cls, executors: Executors, timeout: float, note: Callable[[str], None]) -> Iterator[Callable[[], Launch]]:
        """See `Launch.brought_up`. A node runs on each executor, as any of them may get a worker."""
        from sparktrain.engines.tensorflowonspark.cluster import cluster  # a task needs no TFCluster

        with cluster(executors, timeout, note) as nodes:
            yield _Make(nodes)

    def join(self, place: Place, segments: str, gather: Callable[[str], list[str]]) -> Mapping[str, str]:
        """See `Launch.join`. Calls `gather` once."""
        node = self._nodes.numbered(place.rank) if self._nodes.by_rank else self._nodes.of_executor()
        named = f"TensorFlowOnSpark's node {node['executor_id']} on {place.host}"
        done: SimpleQueue[int | BaseException] = SimpleQueue()
        # In a thread, as a manager that hangs answers no call, and its calls have no timeout.
        threading.Thread(
            target=self._hand_over, args=(node, named, segments, done), name="tensorflowonspark-hand-over", daemon=True
        ).start()
        try:
            port = done.get(timeout=self._patience)
        except Empty:
            raise LaunchFailed(
                f"{named} did not take the path of rank {place.rank}'s segments within {self._patience:.0f} s"
                f"{self._state()}: something holds it up, as a debugger or a full machine does. Look at that host, and "
                "run again"
            ) from None
        if isinstance(port, BaseException):
            raise port
        workers = gather(f"{place.host}:{port}")
        task = {"type": "worker", "index": place.rank}
        return {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": task})}

    def _hand_over(self, node: Mapping[str, Any], named: str, segments: str, done: SimpleQueue[int | BaseException]) -> None:
        given_up = time.monotonic() + self._patience
        try:
            manager = TFManager.connect(node["addr"], node["authkey"])
            self._manager = manager
            inputs, outputs, errors = (manager.get_queue(name) for name in ("input", "output", "error"))
            inputs.put(segments)
            while time.monotonic() < given_up:
                try:
                    answer = outputs.get(True, _LOOK_EVERY)
                except Empty:
                    self._check(manager, errors, named)
                    continue
                if answer != {"segments": segments}:
                    raise LaunchFailed(f"{named} was to take {segments} and answered {answer!r}: run again")
                done.put(node["port"])
                return
        except LaunchFailed as error:
            done.put(error)
        except (OSError, EOFError) as error:
            done.put(LaunchFailed(f"{named} is gone ({type(error).__name__}: {error}). {_KILLED}"))
        except Exception as error:  # raised in the task's own thread
            done.put(error)

    def _check(self, manager: TFManager.TFManager, errors: Any, named: str) -> None:
        """Raise LaunchFailed if the node can't take its path any more."""
        if not errors.empty():
            raise LaunchFailed(f"{named} failed before it took its path:\n{errors.get()}")
        self._pid = pid_of(manager)
        if self._pid is not None and not runs(self._pid):
            raise LaunchFailed(f"{named} (process {self._pid}) ended before it took its path. {_KILLED}")

    def _state(self) -> str:
        if self._pid is None:
            return ", nor said that it runs"
        try:
            return f" (process {self._pid}, {psutil.Process(self._pid).status()})"
        except psutil.NoSuchProcess:
            return f" (process {self._pid}, which has ended)"

    def close(self) -> None:
        """Ask the node to end, as the driver may not be able to reach it."""
        manager, self._manager = self._manager, None
        if manager is None:
            return
        goodbye = threading.Thread(target=_end_feed, args=(manager,), name="tensorflowonspark-goodbye", daemon=True)
        goodbye.start()
        goodbye.join(_GOODBYE)


@dataclass(frozen=True)
class _Make:
    """A picklable function that makes a task's launch."""

    nodes: Nodes

    def __call__(self) -> Launch:
        return EngineLaunch(self.nodes)


def _end_feed(manager: TFManager.TFManager) -> None:
    try:
        manager.get_queue("input").put(None)
    except (OSError, EOFError):
        pass  # it has ended already
