"""The live line under a notebook's cell."""

from __future__ import annotations

import contextvars
import sys
import time
from typing import Any

_EVERY = 0.25  # seconds


def in_notebook() -> bool:
    """Whether a kernel that can change what it has shown runs this program: Jupyter's, and those that speak as it does."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class CellLine:
    """One line that is rewritten, with the methods of rich's Live that a terminal's line has."""

    def start(self) -> None:
        from IPython.display import display

        # A kernel finds the cell that a message belongs to in the context; other threads have none of their own.
        self._context = contextvars.copy_context()
        self._at = 0.0
        self._handle = display(_plain(""), raw=True, display_id=True)

    def update(self, line: Any) -> None:
        """Show a line; too soon after the last one, it is left out."""
        now = time.monotonic()
        if now - self._at >= _EVERY:
            self._at = now
            self._show(str(line))

    def stop(self) -> None:
        self._show("")

    def _show(self, line: str) -> None:
        self._context.copy().run(self._handle.update, _plain(line), raw=True)


def _plain(line: str) -> dict[str, str]:
    return {"text/plain": line}
