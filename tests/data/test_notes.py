"""What is told of rows that are divided otherwise than was asked for."""

from __future__ import annotations

import pytest

from sparktrain.data import share_notes
from sparktrain.driver.timeline import uneven_notes


@pytest.mark.parametrize(
    "asked, rows, held_out, told",
    [
        (0.1, 2250, 750, "750 of 3,000 rows (25.0%)"),
        (0.1, 900, 100, None),
        (0.1, 881, 119, None),
        (0.1, 879, 121, "12.1%"),
        (0.3, 2250, 750, None),
        (0.3, 2400, 600, "20.0%"),
        (0.1, 100, 0, "nothing to measure"),
        (None, 100, 0, "nothing to measure"),
        (None, 10, 90, None),
    ],
)
def test_a_share_of_validation_rows_that_is_off_by_a_fifth_is_told_with_the_numbers(asked, rows, held_out, told):
    notes = share_notes(asked, rows, held_out)
    assert (told in notes[0] and len(notes) == 1) if told else notes == []


def test_a_worker_with_much_more_than_its_share_is_told():
    assert uneven_notes([100, 100, 131]) == uneven_notes([7]) == uneven_notes([0]) == []
    [note] = uneven_notes([100, 100, 400])
    assert "largest has 400, 2.00 times the mean of 200" in note
