"""Gives a local-cluster a writable work folder where Spark's own folder belongs to another user."""

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

    Its workers keep each application's files and logs in SPARK_HOME/work, which no setting can change. If that belongs to
    another user, as in a shared checkout, this user gets a folder of links to it in their cache, with a work/ of their own.

    Args:
        master: the URL of Spark's master.
        environment: the environment variables that Spark will run with.

    Returns:
        The environment variables to add: SPARK_HOME, or none.

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
            with contextlib.suppress(FileExistsError):  # made by an earlier or a simultaneous start
                (own / entry.name).symlink_to(entry)
    return {"SPARK_HOME": str(own)}
