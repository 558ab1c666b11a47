"""Where Java is, and what it says of itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def find_java() -> str | None:
    """Return the `java` of JAVA_HOME where that is set, else of PATH, else the environment's own; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    if home:
        return shutil.which(Path(home, "bin", "java"))
    return shutil.which("java") or shutil.which(Path(sys.prefix, "bin", "java"))


def has_kerberos(java: str) -> bool:
    """Tell whether a Java has the module that signs in with Kerberos; those that are linked to be small may lack it."""
    try:
        listed = subprocess.run([java, "--list-modules"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return True  # Spark's own start tells of a Java that doesn't work
    return "jdk.security.jgss" in listed.stdout


def ask_version(java: str) -> tuple[int, str]:
    """Run `java -version`.

    Args:
        java: the program.

    Returns:
        Its exit status (127 where it can't be run, as one of another processor can't, or doesn't answer), and all it printed.
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
