"""The names of files and folders under `output.path`."""

from __future__ import annotations

STAGED = "_runs"  # where runs are made, under output.path
STATUS = "status.json"  # the progress of a running run; like LOG, never in a complete one
LOG = "log.txt"
STOP = "stop.json"  # in a running run's folder: a request to stop it
KEPT_LOG = "logs/run.log"  # the name of LOG in a complete run
KEPT = "prepared"  # the prepared rows of a run with data.keep: storage, until it is complete
MODEL = "model.keras"
SIGNATURE = "signature.json"  # the inputs and outputs of its model
LINEAGE = "lineage.json"  # a complete run's inputs, code and versions
IDENTITY = "identity.json"  # the job that a run was started with, until it is complete
