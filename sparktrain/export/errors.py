"""The error of an export."""

from __future__ import annotations


class ExportError(Exception):
    """A run can't be exported: the message says what stands in the way, and what to do."""
