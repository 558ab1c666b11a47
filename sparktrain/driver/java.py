"""Where Java is, for what the driver asks of it itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def find_java() -> str | None:
    """The `java` of JAVA_HOME where that is set, else of PATH; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which(str(Path(home, "bin", "java")) if home else "java")
