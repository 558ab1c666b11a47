"""Retries calls that fail for a transient reason, for a limited time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")
_log = logging.getLogger(__name__)

# Seconds between tries. A store that has never answered is most likely misconfigured, and its user is waiting; one that
# has may be failing over, and the data to save may have taken hours.
UNKNOWN = (0.2, 0.5, 1.0, 2.0)
KNOWN = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0)
PERSISTENT = (*KNOWN, *(15.0,) * 16)  # five minutes: a name node that restarts with many blocks takes that long


def retry(call: Callable[[], Result], transient: Callable[[Exception], bool], delays: Callable[[], Sequence[float]]) -> Result:
    """Call a function until it succeeds, fails for a permanent reason, or `delays` are used up; return its value.

    Args:
        call: the function, which must be safe to repeat.
        transient: returns whether an exception may not occur again.
        delays: returns the seconds to wait between tries; called after each failure.

    Raises:
        Exception: the last one that `call` raised.
    """
    tries = 0
    while True:
        try:
            return call()
        except Exception as error:
            waits = delays()
            if tries >= len(waits) or not transient(error):
                raise
            _log.info("trying again in %s s after %s: %s", waits[tries], type(error).__name__, error)
            time.sleep(waits[tries])
            tries += 1
