"""Records as JSON text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sparktrain.storage import Folder


def now() -> str:
    """The time, ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def as_json(content: Any) -> str:
    """Text of JSON, which knows no NaN and no infinity: they are null."""
    return json.dumps(without_nan(content), indent=2, allow_nan=False) + "\n"


def without_nan(content: Any) -> Any:
    """Return the same content with null for each number that JSON hasn't: NaN and infinity."""
    if isinstance(content, Mapping):
        return {name: without_nan(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_json(folder: Folder, name: str, content: Any) -> None:
    folder.write_text(name, as_json(content))


def finite(value: float | None) -> float | None:
    """A number as JSON has it, which knows no NaN."""
    return value if value is not None and math.isfinite(value) else None
