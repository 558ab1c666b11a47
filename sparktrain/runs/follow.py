"""`sparktrain runs tail` and `sparktrain runs wait`: print a run's log, follow it while it grows, and wait for the run's end."""

from __future__ import annotations

import time
from collections.abc import Callable

from sparktrain.runs.log import lines_since
from sparktrain.runs.result import Result
from sparktrain.runs.snapshot import SILENT, RunSnapshot, find_run, silence
from sparktrain.storage import NotFound

_EVERY = 2.0  # seconds between looks


def tail(url: str, write: Callable[[str], object], warn: Callable[[str], object], follow: bool) -> Result | None:
    """Pass each line of a run's log to `write`.

    Args:
        url: the run's URL, output.path/RUN or output.path/latest.
        write: called with each line.
        warn: called with a message if the run has written nothing for a while.
        follow: whether to wait for more lines until the run has ended.

    Returns:
        The result of a run that has ended; None while it is running.

    Raises:
        NotFound: there is no such run, or a run that has ended has no log.
        StorageError: the storage can't be read.
    """
    lines, silences = 0, _Silences(warn)
    while True:
        seen = find_run(url)
        try:
            fresh, lines = lines_since(seen.log(), lines)
        except NotFound:
            after = find_run(url)
            if after.state != seen.state:
                continue  # it ended between the two reads
            if after.state != "running":
                raise
            fresh = []  # it has only just started
        for line in fresh:
            write(line)
        if seen.state != "running" or not follow:
            return seen.result
        silences.look(seen)
        time.sleep(_EVERY)


def wait(url: str, warn: Callable[[str], object], timeout: float | None = None) -> Result | None:
    """Wait for a run's end.

    Args:
        url: the run's URL, output.path/RUN or output.path/latest.
        warn: called with a message if the run has written nothing for a while.
        timeout: seconds to wait at most; None for as long as it takes.

    Returns:
        The run's result, as in its JSON line; None if it is still running after the timeout.

    Raises:
        NotFound: there is no such run.
        StorageError: the storage can't be read.
    """
    begun, silences = time.monotonic(), _Silences(warn)
    while True:
        seen = find_run(url)
        if seen.state != "running":
            return seen.result
        silences.look(seen)
        left = _EVERY if timeout is None else begun + timeout - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(_EVERY, left))


class _Silences:
    """Warns once if a running run gives no sign of life."""

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._warn, self._warned = warn, False

    def look(self, seen: RunSnapshot) -> None:
        if not self._warned and silence(seen.content) > SILENT:
            self._warned = True
            self._warn(f"no sign of the run for {silence(seen.content):.0f} s: it may have been killed")
