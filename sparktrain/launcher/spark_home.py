"""Finds Spark, and gives a local-cluster a writable work folder where Spark's folder belongs to another user."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path

from sparktrain.display.result_line import tell
from sparktrain.launcher.errors import NotReady


def package_folder(name: str) -> Path:
    """Find the folder of a package that is installed here, without importing it.

    Raises:
        ModuleNotFoundError: it isn't.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"there is no package {name}", name=name)
    return Path(spec.origin).parent


def find_spark(environment: Mapping[str, str]) -> Path:
    """Return Spark's home: SPARK_HOME, the Spark that a cluster's nodes have, too; else pyspark's, of the environment.

    Raises:
        NotReady: SPARK_HOME has no Spark that is new enough, or it isn't set, and the environment has no Spark.
    """
    if not environment.get("SPARK_HOME"):
        try:
            return package_folder("pyspark")
        except ModuleNotFoundError as error:
            raise NotReady("the environment has no pyspark: install it, or set SPARK_HOME to a Spark 4.0 or newer") from error
    home = Path(environment["SPARK_HOME"])
    core = next((home / "jars").glob("spark-core_*-*.jar"), None)
    if core is None or not os.access(home / "bin" / "spark-submit", os.X_OK):
        raise NotReady(
            f"SPARK_HOME={home} holds no Spark (bin/spark-submit, jars/spark-core_*.jar): unset it to use the environment's own"
        )
    version = core.stem.split("-", 2)[2]
    if re.match(r"[0-3]\.", version):  # barrier stages of Arrow batches with a resource profile came with Spark 4.0
        raise NotReady(
            f"SPARK_HOME={home} is Spark {version}, and 4.0 or newer is needed: set it to a newer one, or unset it to use the "
            "environment's own"
        )
    tell(f"sparktrain: Spark is SPARK_HOME's, {version}: {home}")
    return home


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
