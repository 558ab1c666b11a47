"""Finds Java and its version."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def find_java() -> str | None:
    """Return the path of `java` in JAVA_HOME if that is set, else on PATH, else in the environment; None if there is none."""
    home = os.environ.get("JAVA_HOME")
    if home:
        return shutil.which(Path(home, "bin", "java"))
    return shutil.which("java") or shutil.which(Path(sys.prefix, "bin", "java"))


def has_kerberos(java: str) -> bool:
    """Return whether a Java has the module for Kerberos, which small Java images may lack."""
    try:
        listed = subprocess.run([java, "--list-modules"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return True  # a Java that doesn't work is reported when Spark starts
    return "jdk.security.jgss" in listed.stdout


def ask_version(java: str) -> tuple[int, str]:
    """Run `java -version`.

    Args:
        java: the program's path.

    Returns:
        Its exit status, 127 if it can't be run or doesn't answer in 60 s, and all that it printed.
    """
    try:
        ended = subprocess.run(
            [java, "-version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return ended.returncode, ended.stdout.strip()
