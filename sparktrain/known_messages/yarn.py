"""YARN's own messages, which Spark passes on."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

CONTAINER_TOO_LARGE = KnownMessage(
    r"beyond the 'PHYSICAL' memory limit",
    "Container [pid=4711,containerID=container_1764000000000_0001_01_000002] is running 182452224B beyond the 'PHYSICAL' memory "
    "limit. Current usage: 814.0 MB of 640 MB physical memory used; 6.1 GB of 1.3 GB virtual memory used. Killing container.",
    "Hadoop 3.5.0",
    "The container's processes took more memory than it may.",
)
