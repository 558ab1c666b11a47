"""What spark-submit prints."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

ERROR_LINE = KnownMessage(
    r"\A(?:Error\b|error:|Exception in thread\b|.*\b(?:Error|Exception):)",
    'Exception in thread "main" java.lang.IllegalArgumentException: requirement failed: Can only call getServletHandlers on a '
    "running MetricsSystem",
    "Spark 4.3.0",
    "A line that says why Spark doesn't start.",
)
APPLICATION_SUBMITTED = KnownMessage(
    r"\bapplication_\d+_\d+\b",
    "26/11/28 10:00:00 INFO YarnClientImpl: Submitted application application_1764000000000_0001",
    "Spark 4.3.0",
    "YARN's id of the application.",
)
