"""Records as JSON text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the launcher prints a JSON line without waiting for the storage's packages
    from sparktrain.storage import Folder


def now() -> str:
    """Return the current time in UTC, as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def without_nan(content: Any) -> Any:
    """Return the same content with None for NaN and infinity, which JSON doesn't have."""
    if isinstance(content, Mapping):
        return {name: without_nan(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_json(folder: Folder, name: str, content: Any) -> None:
    """Write a value into a folder as JSON text, with null for NaN and infinity.

    Raises:
        StorageError: it can't be written.
    """
    folder.write_text(name, json.dumps(without_nan(content), indent=2, allow_nan=False) + "\n")
