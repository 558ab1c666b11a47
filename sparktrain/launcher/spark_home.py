"""A Spark that others own: the one folder that a local-cluster writes to, in a folder of the user's own."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path


def package_folder(name: str) -> Path:
    """Find the folder of a package that is installed here, without importing it.

    Raises:
        ModuleNotFoundError: it isn't.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"there is no package {name}", name=name)
    return Path(spec.origin).parent


def with_own_work(master: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Give a local-cluster a SPARK_HOME whose work/ this user can write to.

    Its workers keep each application's files and logs in SPARK_HOME/work, and no setting names another place. Where that is
    another user's, as in a checkout that several share, the user gets a folder of links to it, with a work/ of their own.

    Args:
        master: the URL of Spark's master.
        environment: that Spark is to run in.

    Returns:
        What is new in the environment: SPARK_HOME, or nothing where there is nothing to do.

    Raises:
        OSError: the user's cache can't be written to, either.
    """
    if not master.startswith("local-cluster"):
        return {}
    home = Path(environment.get("SPARK_HOME") or package_folder("pyspark"))
    work = home / "work"
    if os.access(work if work.exists() else home, os.W_OK | os.X_OK):
        return {}
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparktrain" / "spark"
    own = cache / hashlib.sha256(str(home).encode()).hexdigest()[:12]
    (own / "work").mkdir(parents=True, exist_ok=True)
    for entry in home.iterdir():
        if entry.name != "work":
            with contextlib.suppress(FileExistsError):  # of an earlier start, or of one at the same moment
                (own / entry.name).symlink_to(entry)
    return {"SPARK_HOME": str(own)}
