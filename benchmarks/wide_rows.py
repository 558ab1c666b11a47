"""How fast does one worker fill rows of many columns, a number each, into its segments?

Record batches of doubles of about 32 MB, as Spark hands them over, go to one input of float32: checked, put side by side, in
the order of their keys, and written. The same bytes come as 1, 100, 1,000 and 10,000 columns. By the processor's time, the
system's for writing included: how fast a disk is, is another question.

    python benchmarks/wide_rows.py [--megabytes 200] [--repeats 5]
"""

from __future__ import annotations

import argparse
import tempfile
import time

import numpy
import pyarrow
from report import Measured, Target, report

from sparktrain import feed

WIDTHS = (1, 100, 1_000, 10_000)
BATCH = 32 << 20  # bytes


def fill(columns: int, megabytes: int) -> float:
    """Fill so many megabytes of doubles.

    Returns:
        MB a second of processor time.
    """
    rows = BATCH // (8 * columns)
    names = [f"c{number}" for number in range(columns)]
    layout = feed.Layout((feed.Input("x", tuple(map(feed.Column, names))),), "y", order="key")
    random = numpy.random.default_rng(7)
    values = pyarrow.array(random.normal(size=rows))
    batch = pyarrow.RecordBatch.from_arrays(
        [
            *[values] * columns,
            pyarrow.array(numpy.zeros(rows, "int32")),
            pyarrow.array(random.integers(-(1 << 63), (1 << 63) - 1, rows)),
        ],
        [*names, "y", "key"],
    )
    batches = max(1, megabytes * 1_000_000 // BATCH)
    with tempfile.TemporaryDirectory(prefix="sparktrain-wide-") as folder:
        begun = time.process_time()
        writer = feed.SegmentWriter(folder, layout)
        for _ in range(batches):
            writer.write(batch)
        writer.close()
        return batches * rows * columns * 8 / 1e6 / (time.process_time() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    filled: dict[int, list[float]] = {columns: [] for columns in WIDTHS}
    for columns in WIDTHS:
        fill(columns, 64)
    for repeat in range(options.repeats):
        for columns in WIDTHS[:: (-1) ** repeat]:  # there and back, so that none always comes behind the same one
            filled[columns].append(fill(columns, options.megabytes))
    measured = [
        Measured(f"filling rows of {columns:,} column{'s' * (columns > 1)}", "MB of doubles a second of one core", values)
        for columns, values in filled.items()
    ]
    report(
        "wide_rows",
        "Filling rows of many columns",
        measured,
        [
            Target("10,000 columns over 100 MB/s", measured[-1].median / 100, 1),
        ],
    )


if __name__ == "__main__":
    main()
