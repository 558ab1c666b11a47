"""Write the rows of the examples: small, the same each time, and made without a network.

python examples/make_data.py /tmp/examples
"""

import struct
import sys
import zlib
from pathlib import Path

import numpy
import pyarrow
import pyarrow.csv
import pyarrow.parquet


def images(folder, random, count=150):
    """Write grey PNG files of 16 x 16 pixels, in a folder for each shape: noisy, and each shape somewhere else."""
    y, x = numpy.mgrid[:16, :16]
    for number in range(count):
        row, column, size = random.integers(5, 11), random.integers(5, 11), random.integers(3, 6)
        away = numpy.abs(y - row), numpy.abs(x - column)
        shapes = {
            "circle": numpy.abs(numpy.hypot(*away) - size) < 0.8,
            "cross": (numpy.minimum(*away) == 0) & (numpy.maximum(*away) <= size),
            "square": numpy.maximum(*away) == size,
        }
        kind = sorted(shapes)[number % 3]
        pixels = numpy.where(shapes[kind], 200, 30) + random.integers(0, 50, (16, 16))
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / f"{number:03}.png").write_bytes(png(pixels.astype("uint8")))


def png(pixels):
    """Return a grey picture as the bytes of a PNG file."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def reviews(file, random, count=3000):
    """Write sentences about a film. A word says nothing by itself: "not" turns what comes after it."""
    texts, likes = [], []
    for _ in range(count):
        liked, negated = random.random(2) < (0.5, 0.3)
        word = random.choice(["good", "great", "clever", "moving"] if liked != negated else ["bad", "dull", "weak", "silly"])
        thing, degree = random.choice(["film", "plot", "music", "ending"]), random.choice(["", "very ", "really ", "so "])
        texts.append(f"the {thing} was {'not ' if negated else ''}{degree}{word}, I {random.choice(['think', 'find', 'say'])}")
        likes.append(bool(liked))
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "liked": likes}), file)


def customers(file, random, count=4000):
    """Write a CSV with words, numbers and holes: who leaves depends on the plan, the months as a customer and the complaints."""
    plan = random.choice(["basic", "family", "business"], count, p=[0.6, 0.3, 0.1])
    months, complaints = random.gamma(2, 12, count).round(), random.poisson(1, count)
    leaves = 1.2 * complaints - months / 12 - 1.5 * (plan == "business") + random.normal(0, 0.7, count) > 0
    columns = {
        "plan": pyarrow.array(plan),
        "months": pyarrow.array(months, mask=random.random(count) < 0.1),
        "complaints": complaints,
        "leaves": leaves.astype("int32"),
    }
    pyarrow.csv.write_csv(pyarrow.table(columns), file)


def sensors(file, random, count=3000, broken=0.05):
    """Write windows of 32 values of a machine's vibration; of a broken one the frequency is another."""
    odd = random.random(count) < broken
    time = numpy.arange(32)
    speed = numpy.where(odd, random.uniform(0.9, 1.2, count), random.uniform(0.3, 0.5, count))
    waves = numpy.sin(speed[:, None] * time + random.uniform(0, 6.28, (count, 1))) + random.normal(0, 0.1, (count, 32))
    pyarrow.parquet.write_table(pyarrow.table({"window": list(waves.astype("float32")), "broken": odd}), file)


def main(folder):
    random = numpy.random.default_rng(7)
    images(folder / "images", random)
    reviews(folder / "reviews.parquet", random)
    customers(folder / "customers.csv", random)
    sensors(folder / "sensors.parquet", random)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
