"""The error of a sandbox when it can't do what was asked."""

from __future__ import annotations


class SandboxError(RuntimeError):
    """The sandbox can't start, stop or answer; the message says why and what to do."""
