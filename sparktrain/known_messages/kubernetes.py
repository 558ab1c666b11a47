"""What Kubernetes says of a pod's end, which Spark passes on."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

CONTAINER_TOO_LARGE = KnownMessage(
    r"OOMKilled",
    "container state: terminated\n\t container started at: 2026-11-28T10:00:00Z\n\t exit code: 137\n\t termination reason: OOMKilled",
    "Kubernetes 1.31, by Spark 4.3.0",
    "The container's processes took more memory than it may.",
)
