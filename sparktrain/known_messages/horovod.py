"""Messages of Horovod's exceptions, and of Gloo's in them."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

PEER_LOST = KnownMessage(
    r"(?i)connection|shut down|aborted|read timeout|broken pipe|gloo|timed out",
    "Horovod has been shut down. This was caused by an exception on one of the ranks or an attempt to allreduce, allgather or "
    "broadcast a tensor after one of the ranks finished execution.",
    "Horovod 0.28.1",
    "Another worker is gone, if it is no wrong call.",
)
WRONG_CALL = KnownMessage(
    r"(?i)mismatched|duplicate|invalid",
    "Mismatched allreduce tensor shapes: One rank sent a tensor of shape [2], but another rank sent a tensor of shape [3].",
    "Horovod 0.28.1",
    "The workers' calls don't fit each other.",
)
