"""The error for models and jobs that can't be trained. For input that can't be trained on, see feed's BadInput."""

from __future__ import annotations


class TrainingError(Exception):
    """Raised where the user's code or configuration can't be trained; the message says what to do."""
