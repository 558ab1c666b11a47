"""Imports what a run needs while Spark starts, as either takes seconds, and the one mostly waits for another process."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def importing(names: Sequence[str]) -> Iterator[None]:
    """Import modules in a thread of their own meanwhile; it has ended when the context has.

    Two threads that import packages which import each other may see them half loaded, as Python prefers that to waiting for ever. So the
    context is to import as little as can be.

    Args:
        names: the modules' full names.
    """

    def work() -> None:
        for name in names:
            with contextlib.suppress(Exception):  # who needs the module imports it, too, and gets the error
                importlib.import_module(name)

    thread = threading.Thread(target=work, name="early-imports", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
