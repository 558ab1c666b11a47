"""The errors for rows that can't be trained on."""

from __future__ import annotations

UNUSABLE = "can't be trained on"  # what is wrong with nulls, NaN and what is missing


class BadInput(ValueError):
    """Raised for rows that can't be trained on. The message names the column, its type, what came and what to do.

    Attributes:
        row: the first of them, by its index in the batch that was checked; None if no single row is wrong.
    """

    row: int | None = None


class NoRows(BadInput):
    """Raised where no part has a training row."""


class Fault(Exception):
    """Raised for wrong values in an array, by code that knows neither the column nor earlier batches.

    Attributes:
        row: the index of the first wrong row in the array.
        value: that row's wrong value, as a user would recognise it.
        count: the number of wrong rows in the array.
        wrong: a phrase for what is wrong, which follows the value in the message.
        hint: what to do.
    """

    def __init__(self, row: int, value: str, count: int, wrong: str, hint: str):
        super().__init__(f"{value} {wrong}")
        self.row, self.value, self.count, self.wrong, self.hint = row, value, count, wrong, hint

    def within(self, row: int) -> Fault:
        """Return the same fault for the row that has the wrong element."""
        return Fault(row, self.value, self.count, self.wrong, self.hint)

    def told(self, column: str, kind: str, rows_before: int, rows: int) -> BadInput:
        """Return the error for the user, for a fault in `rows` rows that follow `rows_before` valid ones.

        Args:
            column: the column's name.
            kind: the column's type.
            rows_before: valid rows before the array.
            rows: rows of the array.
        """
        error = BadInput(
            f"column {column!r} ({kind}): {self.value} {self.wrong}; first at row {rows_before + self.row:,} of this "
            f"part, {self.count:,} such in the {rows_before + rows:,} rows read so far. {self.hint}"
        )
        error.row = self.row
        return error
