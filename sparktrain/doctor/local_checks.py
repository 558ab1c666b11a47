"""Runs the checks of this machine that need no Spark: versions, Java, Hadoop's configuration and the storage."""

from __future__ import annotations

import getpass
import os
import secrets
from collections.abc import Mapping
from typing import Any

from sparktrain.doctor import verdicts
from sparktrain.doctor.finding import Finding
from sparktrain.doctor.storage_probe import try_storage
from sparktrain.driver.artifacts.lineage import versions
from sparktrain.known_messages.java import VERSION
from sparktrain.known_messages.known_message import line_with
from sparktrain.launcher.java import ask_version, find_java
from sparktrain.storage import Folder, StorageError, hadoop_settings, open_folder
from sparktrain.storage.hadoop import conf_folder, default_file_system

JAVA = 17  # Spark 4 needs it
_VARIABLES = ("JAVA_HOME", "SPARK_HOME", "SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME", "PYSPARK_PYTHON")
SUBMIT = (
    "to check these, run ./spark-submit.sh [spark-submit's options] jobs/doctor.py [--output URL] [--workers N] [--engine NAME]"
)


def look_here(output: str | None) -> tuple[list[Finding], dict[str, Any]]:
    """Run the checks that need no Spark, and return their findings and the facts that these are based on.

    Args:
        output: a folder on the storage; a folder in /tmp of the default file system if left out.
    """
    installed = versions()
    settings, hadoop = _hadoop()
    storage, trial = _storage(output, settings)
    variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    findings = [
        Finding("versions here", ", ".join(f"{name} {version}" for name, version in installed.items())),
        java(*_java_version()),
        hadoop,
        storage,
        Finding(
            "the cluster",
            "not checked, as this needs Spark: the executors, their versions and disks, GPUs, averaging and the feed",
            advice=SUBMIT,
        ),
    ]
    return findings, {"driver": {"versions": installed, "variables": variables}, "hadoop": settings, "storage": trial}


def java(output: str | None, status: int = 0) -> Finding:
    """Judge whether this machine has a Java that Spark can start with.

    Args:
        output: what `java -version` printed; None if no java was found.
        status: the exit status of `java -version`.
    """
    advice = f"install Java {JAVA} or newer, and set JAVA_HOME to its folder"
    if output is None:
        return Finding("Java", "no java was found, neither by JAVA_HOME nor on PATH", "bad", advice)
    if status != 0:
        return Finding(
            "Java",
            f"`java -version` failed with exit status {status}: {output}",
            "bad",
            f"repair it, or {advice}; JAVA_TOOL_OPTIONS and memory limits (ulimit -v) apply to it, too",
        )
    version = VERSION.find(output)
    line = line_with([VERSION], output) or output  # there may be lines before it: "Picked up JAVA_TOOL_OPTIONS: …"
    return Finding("Java", line, "bad", advice) if version is None or int(version[1]) < JAVA else Finding("Java", line)


def try_driver_storage(root: Folder) -> dict[str, Any]:
    """Try a storage from this process with files in a new folder, which is removed afterwards.

    Args:
        root: the folder that runs would be written to; it need not exist.

    Returns:
        As `try_storage`.
    """
    try:
        existed = root.exists()
        folder = root.join(f"_doctor-{secrets.token_hex(4)}")
        trial = try_storage(folder)
        if trial["failed"] is None:
            remove_test_folder(root, folder, existed)
    except StorageError as error:
        return {"milliseconds": {}, "failed": "open", "reason": str(error)}
    return trial


def remove_test_folder(root: Folder, folder: Folder, existed: bool) -> None:
    """Remove the folder of a test, and the root folder above it if that was made for the test.

    Args:
        existed: whether the root folder existed before the test.
    """
    folder.remove(recursive=True)
    if not existed and root.exists() and not root.list():
        root.remove()


def _java_version() -> tuple[str | None, int]:
    """Return the output and the exit status of `java -version`; None and 0 if no java was found."""
    found = find_java()
    if found is None:
        return None, 0
    status, output = ask_version(found)
    return output, status


def _hadoop() -> tuple[dict[str, str], Finding]:
    check = "Hadoop's configuration"
    folder = conf_folder(os.environ)
    try:
        settings = hadoop_settings()
    except StorageError as error:
        return {}, Finding(check, str(error), "bad", "correct the file, or set HADOOP_CONF_DIR to another folder")
    if folder is None:
        return settings, Finding(check, "not set by HADOOP_CONF_DIR: paths without a scheme are on this machine's disk")
    if not settings:
        return settings, Finding(
            check,
            f"{folder} has no core-site.xml or hdfs-site.xml with the address of an HDFS",
            "warning",
            "set HADOOP_CONF_DIR to the folder that has these files",
        )
    return settings, Finding(check, f"{folder}: fs.defaultFS is {default_file_system(settings) or 'not set'}")


def _storage(output: str | None, settings: Mapping[str, str]) -> tuple[Finding, dict[str, Any]]:
    url = output or f"{default_file_system(settings) or 'file://'}/tmp/sparktrain-{getpass.getuser()}/doctor"
    try:
        folder = open_folder(url, settings)
    except StorageError as error:
        trial = {"milliseconds": {}, "failed": "open", "reason": str(error)}
    else:
        url, trial = folder.url, try_driver_storage(folder)
    return verdicts.storage("driver", [trial], url), {"url": url, "driver": trial}
