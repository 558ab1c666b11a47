"""Threads that work side by side while their owner looks on, and that end together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_LOOK = 0.5  # seconds between two looks, so that Ctrl-C is noticed
_ENDING = 60.0  # seconds that the threads may take to end once they are stopped


def work_together(
    work: Callable[[], object], count: int, name: str, look: Callable[[], object], stop: Callable[[], object]
) -> None:
    """Call a function in several threads, and wait for their end.

    Args:
        work: the function; it must raise nothing.
        count: the number of threads.
        name: the beginning of the threads' names.
        look: called again and again meanwhile; what it raises is raised here, once the threads have ended.
        stop: called before that, to have the threads end.
    """
    threads = [threading.Thread(target=work, name=f"{name}-{number}", daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(_LOOK / count)
            look()
    except BaseException:
        stop()
        until = time.monotonic() + _ENDING
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        raise
