"""Messages of TensorFlow's and Keras's exceptions."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

PEER_LOST = KnownMessage(
    r"(?i)collective ops is aborted|workerservice|coordination service",
    "Collective ops is aborted by: Connection reset by peer\nThe error could be from a previous operation. Restart your program to "
    "reset.",
    "TensorFlow 2.21.0",
    "Another worker is gone, if it is no wrong call.",
)
WRONG_CALL = KnownMessage(
    r"(?i)mismatch|inconsistent|invalid",
    "Shape mismatch in the collective instance 100. Op at device /job:worker/replica:0/task:0/device:CPU:0 expected shape [2] but "
    "another member in the group expected shape [3].",
    "TensorFlow 2.21.0",
    "The workers' calls don't fit each other.",
)
NO_FILE = KnownMessage(
    r"(?i)file .*does not exist",
    "Vocabulary file vocab.txt does not exist.",
    "TensorFlow 2.21.0",
    "A ValueError for a file that isn't there.",
)
