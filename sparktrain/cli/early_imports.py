"""Imports what a run needs while Spark starts, as either takes seconds, and the one mostly waits for another process."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Sequence


def import_meanwhile(names: Sequence[str]) -> None:
    """Import modules in a thread of their own; who imports one of them meanwhile waits for it.

    Args:
        names: the modules' full names.
    """

    def work() -> None:
        for name in names:
            with contextlib.suppress(Exception):  # who needs the module imports it, too, and gets the error
                importlib.import_module(name)

    threading.Thread(target=work, name="early-imports", daemon=True).start()
