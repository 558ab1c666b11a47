"""What is wrong with rows that can't be trained on."""

from __future__ import annotations


class BadInput(ValueError):
    """Rows that can't be trained on. The message names the column, its type, what came and what to do.

    Attributes:
        row: the first of them, counted within the rows that were looked at together; None where it is none alone.
    """

    row: int | None = None


class NoRows(BadInput):
    """No part has a training row."""


class Fault(Exception):
    """Something wrong with values of one column, found where neither the column nor earlier batches are known.

    Attributes:
        row: the first offending row, counted within the array that was looked at.
        value: that row's offending value, as a user would know it.
        count: how many there are in the array.
        wrong: what is wrong with it, read after the value.
        hint: what to do.
    """

    def __init__(self, row: int, value: str, count: int, wrong: str, hint: str):
        super().__init__(f"{value} {wrong}")
        self.row, self.value, self.count, self.wrong, self.hint = row, value, count, wrong, hint

    def within(self, row: int) -> Fault:
        """The same fault of an element, told of the row that holds the element."""
        return Fault(row, self.value, self.count, self.wrong, self.hint)

    def told(self, column: str, kind: str, rows_before: int, rows: int) -> BadInput:
        """The fault as a user reads it, found in `rows` rows that came after `rows_before` good ones."""
        error = BadInput(
            f"column {column!r} ({kind}): {self.value} {self.wrong}; first at row {rows_before + self.row:,} of this "
            f"part, {self.count:,} such in the {rows_before + rows:,} rows read so far. {self.hint}"
        )
        error.row = self.row
        return error
