"""`sparktrain runs tail`: print a run's log, and follow it while it grows."""

from __future__ import annotations

import time
from collections.abc import Callable

from sparktrain.runs.log import lines_since
from sparktrain.runs.result import Result
from sparktrain.runs.snapshot import SILENT, find_run, silence
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
    lines, warned = 0, False
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
        if not warned and silence(seen.content) > SILENT:
            warned = True
            warn(f"no sign of the run for {silence(seen.content):.0f} s: it may have been killed")
        time.sleep(_EVERY)
