"""What Java prints, and its stack traces."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

VERSION = KnownMessage(
    r'version "(?:1\.)?(\d+)',  # Java 8 calls itself 1.8
    'openjdk version "17.0.15" 2025-04-15',
    "OpenJDK 17.0.15",
    "The line with the major version, in the output of `java -version`.",
)
CAUSED_BY = KnownMessage(
    r"Caused by: (?:[\w$]+\.)*([\w$]+: .+)",
    "Caused by: java.lang.RuntimeException: file:/rows/damaged.parquet is not a Parquet file. Expected magic number at tail",
    "OpenJDK 17.0.15",
    "A cause in a stack trace: (its class and message). The last one is the innermost.",
)
NO_PROGRAM = KnownMessage(
    r"Cannot run program",
    'java.io.IOException: Cannot run program "/opt/python/bin/python3": error=2, No such file or directory',
    "OpenJDK 17.0.15",
    "There is no such program, or it can't be executed.",
)
