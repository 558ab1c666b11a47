"""The live line under a notebook's cell."""

from __future__ import annotations

import contextvars
import sys
import time
from typing import Any

_EVERY = 0.25  # seconds


def in_notebook() -> bool:
    """Return whether this program runs in a Jupyter kernel, or another that can update what it has displayed."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class CellLine:
    """A line under a notebook's cell that is rewritten, with the methods of rich's Live."""

    def start(self) -> None:
        """Show an empty line under the current cell."""
        from IPython.display import display

        # A kernel finds a message's cell in the context variables, which other threads don't have.
        self._context = contextvars.copy_context()
        self._at = 0.0
        self._handle = display(_plain(""), raw=True, display_id=True)

    def update(self, line: Any) -> None:
        """Show a line; skip it within 0.25 s of the last one."""
        now = time.monotonic()
        if now - self._at >= _EVERY:
            self._at = now
            self._show(str(line))

    def stop(self) -> None:
        """Clear the line."""
        self._show("")

    def _show(self, line: str) -> None:
        self._context.copy().run(self._handle.update, _plain(line), raw=True)


def _plain(line: str) -> dict[str, str]:
    return {"text/plain": line}
