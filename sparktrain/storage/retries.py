"""Trying again, a bounded time, what failed for a reason that passes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")
_log = logging.getLogger(__name__)

# Seconds between tries. A store that never answered is most likely misconfigured, and its user is waiting; one that
# did answer may be failing over, and what is to be saved may have taken hours.
UNKNOWN = (0.2, 0.5, 1.0, 2.0)
KNOWN = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0)
PERSISTENT = (*KNOWN, *(15.0,) * 16)  # five minutes: a name node that restarts with many blocks takes that long


def retry(call: Callable[[], Result], transient: Callable[[Exception], bool], delays: Callable[[], Sequence[float]]) -> Result:
    """Call until it succeeds, fails for a reason that stays, or `delays` are used up.

    Args:
        call: what to do; it must be safe to do again.
        transient: whether an exception may not come again.
        delays: the seconds to wait between tries, asked for after each failure.

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
