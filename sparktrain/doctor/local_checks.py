"""The checks of this machine that need no Spark."""

from __future__ import annotations

import getpass
import os
import re
import secrets
from collections.abc import Mapping
from typing import Any

from sparktrain.doctor import verdicts
from sparktrain.doctor.finding import Finding
from sparktrain.doctor.storage_probe import try_storage
from sparktrain.driver.lineage import versions
from sparktrain.launcher.java import ask_version, find_java
from sparktrain.storage import Folder, StorageError, hadoop_settings, open_folder
from sparktrain.storage.hadoop import conf_folder, default_file_system

JAVA = 17  # Spark 4 needs it
_VARIABLES = ("JAVA_HOME", "SPARK_HOME", "SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME", "PYSPARK_PYTHON")
SUBMIT = "./spark-submit.sh [spark-submit's options] jobs/doctor.py [--output URL] [--workers N] [--engine NAME]"


def look_here(output: str | None) -> tuple[list[Finding], dict[str, Any]]:
    """Run the checks that need no Spark, and return their findings.

    Args:
        output: a folder on the storage; a folder in /tmp of the default file system if left out.
    """
    here = versions()
    settings, hadoop = _hadoop()
    storage, tried = _storage(output, settings)
    variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    findings = [
        Finding("versions here", ", ".join(f"{name} {version}" for name, version in here.items())),
        java(*_java_says()),
        hadoop,
        storage,
        Finding(
            "the cluster",
            "executors, their versions and disks, GPUs, averaging and the feed are not looked at: they need Spark",
            advice=SUBMIT,
        ),
    ]
    return findings, {"driver": {"versions": here, "variables": variables}, "hadoop": settings, "storage": tried}


def java(said: str | None, status: int = 0) -> Finding:
    """Judge whether there is a Java with which Spark starts.

    Args:
        said: what `java -version` printed; None where there is none.
        status: the exit status of `java -version`.
    """
    advice = f"install Java {JAVA} or newer, and set JAVA_HOME to it"
    if said is None:
        return Finding("Java", "neither JAVA_HOME nor PATH leads to a java", "bad", advice)
    if status != 0:
        return Finding(
            "Java",
            f"`java -version` failed with exit status {status}: {said}",
            "bad",
            f"mend it, or {advice}; JAVA_TOOL_OPTIONS and limits of memory (ulimit -v) count for it, too",
        )
    # Other lines may stand before it: "Picked up JAVA_TOOL_OPTIONS: …". Java 8 calls itself 1.8.
    version = re.search(r'^.*version "(?:1\.)?(\d+).*$', said, re.MULTILINE)
    if version is None or int(version[1]) < JAVA:
        return Finding("Java", version[0] if version else said, "bad", advice)
    return Finding("Java", version[0])


def driver_storage(root: Folder) -> dict[str, Any]:
    """Try a storage from the driver, and leave it as it was.

    Args:
        root: the folder that runs would be written to; it need not exist.
    """
    try:
        existed = root.exists()
        folder = root.join(f"_doctor-{secrets.token_hex(4)}")
        tried = try_storage(folder)
        if tried["failed"] is None:
            leave_as_it_was(root, folder, existed)
    except StorageError as error:
        return {"milliseconds": {}, "failed": "look", "reason": str(error)}
    return tried


def leave_as_it_was(root: Folder, folder: Folder, existed: bool) -> None:
    """Remove a folder, and the one above it if that was made for it."""
    folder.remove(recursive=True)
    if not existed and root.exists() and not root.list():
        root.remove()


def _java_says() -> tuple[str | None, int]:
    found = find_java()
    if found is None:
        return None, 0
    status, said = ask_version(found)
    return said, status


def _hadoop() -> tuple[dict[str, str], Finding]:
    check = "Hadoop's configuration"
    folder = conf_folder(os.environ)
    try:
        settings = hadoop_settings()
    except StorageError as error:
        return {}, Finding(check, str(error), "bad", "mend the file, or set HADOOP_CONF_DIR to another folder")
    if folder is None:
        return settings, Finding(check, "none is named: paths without a scheme lie on this machine's disk")
    if not settings:
        return settings, Finding(
            check,
            f"{folder} has no core-site.xml or hdfs-site.xml that says where HDFS is",
            "warning",
            "set HADOOP_CONF_DIR to the folder that has them",
        )
    return settings, Finding(check, f"{folder}: fs.defaultFS is {default_file_system(settings) or 'not set'}")


def _storage(output: str | None, settings: Mapping[str, str]) -> tuple[Finding, dict[str, Any]]:
    url = output or f"{default_file_system(settings) or 'file://'}/tmp/sparktrain-{getpass.getuser()}/doctor"
    try:
        folder = open_folder(url, settings)
    except StorageError as error:
        tried = {"milliseconds": {}, "failed": "look", "reason": str(error)}
    else:
        url, tried = folder.url, driver_storage(folder)
    return verdicts.storage("driver", [tried], url), {"url": url, "driver": tried}
