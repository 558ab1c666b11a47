"""The names of files and folders under `output.path`."""

from __future__ import annotations

STAGED = "_runs"  # where runs are made, under output.path
STATUS = "status.json"  # how far a run at work is; it and the next one are never in a complete one
LOG = "log.txt"
KEPT_LOG = "logs/run.log"  # what LOG is in a complete run
KEPT = "prepared"  # the prepared rows, while a run with data.keep: storage goes on
MODEL = "model.keras"
SIGNATURE = "signature.json"  # the inputs and outputs of its model
LINEAGE = "lineage.json"  # where a complete run comes from
IDENTITY = "identity.json"  # what a run was begun as, until it is complete
