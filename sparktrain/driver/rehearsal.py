"""The report of a rehearsal (--check): shapes, class counts, steps an epoch, effective batch, disk a worker."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from sparktrain.data import Prepared
from sparktrain.display.tables import add_classes
from sparktrain.driver.attempts.worker_spec import share_of_rows
from sparktrain.feed.spool import DISK
from sparktrain.interfaces.messages import Joined
from sparktrain.runs.records.run import Summary


@dataclass(frozen=True)
class Rehearsal:
    """The numbers that a run would have.

    Attributes:
        inputs: shape and dtype of each of the model's inputs, by name.
        batch: rows a step, of all workers together.
        disk_per_worker: bytes over all local disks while a worker fills, estimated from the rehearsal's rows.
    """

    rows: int
    validation_rows: int
    inputs: dict[str, Any]
    classes: dict[str, int] | None
    steps_per_epoch: int
    batch: int
    disk_per_worker: int
    parameters: int

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers by name, as JSON can hold them."""
        return asdict(self)

    def table(self) -> Table:
        """Return the table that is shown to a person."""
        table = Table(show_header=False, title="rehearsal: one step was made, nothing is kept", title_justify="left")
        table.add_row("rows", f"{self.rows:,} training, {self.validation_rows:,} validation")
        for name, (shape, dtype) in self.inputs.items():
            table.add_row(Text(f"input {name}"), f"{tuple(shape)} {dtype}")
        add_classes(table, self.classes or {})
        table.add_row("steps an epoch", f"{self.steps_per_epoch:,}")
        table.add_row("effective batch", f"{self.batch:,}")
        table.add_row("disk a worker", f"{self.disk_per_worker / 1e6:,.1f} MB")
        table.add_row("parameters", f"{self.parameters:,}")
        return table


def rehearsal(prepared: Prepared, joined: Mapping[int, Joined], summary: Summary, whole: bool) -> Rehearsal:
    """Scale the rehearsal's few rows up to all rows that a run would train on.

    Args:
        prepared: the rows of the run, counted.
        joined: what each part's worker reported of the rehearsal's rows.
        summary: the summary of the rehearsal.
        whole: whether every worker gets all training rows.
    """
    rows, validation_rows = prepared.rows, prepared.validation_rows
    assert rows is not None and validation_rows is not None  # a rehearsal counts them
    seen = sum(part.training_rows + part.validation_rows for part in joined.values())
    size = sum(part.disk for part in joined.values())
    return Rehearsal(
        rows=rows,
        validation_rows=validation_rows,
        inputs=next(part.inputs for part in joined.values() if part.rank == 0),
        classes={str(label): count for label, count in prepared.counts_after.items()} if prepared.counts_after else None,
        # The parts differ by chance; the expected value is an even distribution
        steps_per_epoch=math.ceil(rows * (len(joined) if whole else 1) / summary.batch),
        batch=summary.batch,
        disk_per_worker=math.ceil(DISK * size / max(1, seen) * share_of_rows(rows, validation_rows, len(joined), whole)),
        parameters=summary.parameters,
    )
