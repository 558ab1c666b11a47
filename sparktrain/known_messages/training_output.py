"""Lines that native libraries print in the training process."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

TENSORFLOW_NOTICE = KnownMessage(
    r"\AI0000 ",
    "I0000 00:00:1764000000.000000    4711 cpu_feature_guard.cc:227] This TensorFlow binary is optimized to use available CPU "
    "instructions in performance-critical operations.",
    "TensorFlow 2.21.0",
    "TensorFlow prints it at every import, whatever its log level.",
)
ABSL_NOTICE = KnownMessage(
    r"\AWARNING: All log messages before absl::InitializeLog",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "TensorFlow 2.21.0",
    "TensorFlow prints it at every import, whatever its log level.",
)
HOROVOD_PEER_LOST = KnownMessage(
    r"Horovod background loop uncaught exception: .*(by peer|Broken pipe)",
    "[2026-11-28 10:00:00.1: E /horovod/common/operations.cc:697] [1]: Horovod background loop uncaught exception: "
    "[/gloo/transport/tcp/pair.cc:589] Read error [127.0.0.1]:26234: Connection reset by peer",
    "Horovod 0.28.1",
    "Another worker is gone, which reports its own failure.",
)
CHATTER = (TENSORFLOW_NOTICE, ABSL_NOTICE, HOROVOD_PEER_LOST)
