"""`sparktrain runs tail`: a run's log, as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable

from sparktrain.runs.log import lines_since
from sparktrain.runs.result import Result
from sparktrain.runs.snapshot import SILENT, find_run, silence
from sparktrain.storage import NotFound

_EVERY = 2.0  # seconds between looks


def tail(url: str, write: Callable[[str], object], warn: Callable[[str], object], follow: bool) -> Result | None:
    """Write the lines of a run's log.

    Args:
        url: of the run, output.path/RUN or output.path/latest.
        write: given each line.
        warn: told where the run gives no sign any more.
        follow: write what comes, until the run has ended.

    Returns:
        How the run ended; None where it is at work.

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
                continue  # it ended between the two looks
            if after.state != "running":
                raise
            fresh = []  # it has only begun
        for line in fresh:
            write(line)
        if seen.state != "running" or not follow:
            return seen.result
        if not warned and silence(seen.content) > SILENT:
            warned = True
            warn(f"no sign of the run for {silence(seen.content):.0f} s: it may have been killed")
        time.sleep(_EVERY)
