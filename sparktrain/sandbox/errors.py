"""The error that a sandbox raises."""

from __future__ import annotations


class SandboxError(RuntimeError):
    """Raised where a sandbox can't start, stop or answer; the message says why and what to do."""
