"""What training refuses in words of its own. Input that can't be trained on is feed's BadInput."""

from __future__ import annotations


class TrainingError(Exception):
    """Something of the user's code or configuration that can't be trained; the message says what to do."""
