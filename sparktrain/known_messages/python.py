"""Python's messages that have no exception of their own."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

NO_MODULE = KnownMessage(
    r"No module named",
    "ModuleNotFoundError: No module named 'pyspark'",
    "Python 3.11",
    "A package isn't installed; of an executor's Python it arrives as text.",
)
LINE_TOO_LONG = KnownMessage(
    r"\Abad message length\Z",
    "bad message length",
    "Python 3.11",
    "multiprocessing's OSError for a message that is longer than allowed.",
)
NO_PID = KnownMessage(
    r"KeyError: 'pid'",
    "\n---------------------------------------------------------------------------\nTraceback (most recent call last):\n"
    "KeyError: 'pid'\n---------------------------------------------------------------------------",
    "Python 3.11",
    "multiprocessing's RemoteError for a manager that has no value `pid`.",
)
