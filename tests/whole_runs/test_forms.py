"""Every form that inputs, labels and weights may have, from a Spark frame to what the model sees."""

from __future__ import annotations

import io
import math
from decimal import Decimal
from pathlib import Path

import numpy
import pytest
from PIL import Image
from pyspark.ml.linalg import DenseVector, SparseVector, VectorUDT
from pyspark.sql.types import StructType

import sparktrain
from sparktrain.storage import open_folder

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_children")]

COUNT = 60
CLASSES = ["no", "yes", "maybe"]
FEATURES = {
    "numbers": ["so.whole", "big", "tiny", "flag", "price", "real"],
    "flag": "flag",
    "whole": "so.whole",
    "big": "big",
    "vector": "vector",
    "image": {"column": "image", "shape": [3, 2]},
    "grid": "grid",
    "mixed": "mixed",
    "words": {"column": "words", "length": 5, "pad": 9},
    "tail": {"column": "words", "length": 5, "pad": 9, "side": "post"},
    "kind": "kind",
    "tags": {"column": "tags", "length": 3, "side": "post"},
    "picture": {"column": "picture", "shape": []},
}
COLUMNS = (
    "number int, `so.whole` int, big bigint, tiny tinyint, flag boolean, price decimal(8,2), real double, "
    "vector array<float>, image array<array<int>>, grid array<array<double>>, words array<int>, `row.weight` double, `its.kind` string, "
    "kind string, tags array<string>, picture binary"
)


def png(*pixels: int) -> bytes:
    """The file of a picture of one line of grey pixels."""
    file = io.BytesIO()
    Image.fromarray(numpy.array([pixels], "uint8")).save(file, "PNG")
    return file.getvalue()


def row(n: int) -> tuple:
    mixed = DenseVector([n, 1.0, 0.0, 2.0]) if n % 2 else SparseVector(4, {1: float(n), 3: 0.5})
    words = list(range(n % 10, n % 10 + n % 8))  # 0 to 7 of them
    return (
        n,
        n - 30,
        3 * n,
        n % 100,
        n % 3 == 0,
        Decimal(n) / 4,
        n / 2,
        [n + 0.0, n + 1.0, 0.5],
        [[n, 1, 2], [3, 4, n]],
        [[0.25, n + 0.0], [n + 0.0, 1.0]],
        words,
        (n % 4) / 2,
        CLASSES[n * 7 % 3],
        [*CLASSES, "other"][n % 4],
        ["a", "b", "c"][: n % 4],
        png(n, 2 * n),
        mixed,
    )


def seen(n: int) -> dict[str, list[float]]:
    """The numbers that the model is to see of a row, each input's one after another."""
    words = list(range(n % 10, n % 10 + n % 8))
    return {
        "numbers": [n - 30, 3 * n, n % 100, n % 3 == 0, n / 4, n / 2],
        "flag": [n % 3 == 0],
        "whole": [n - 30],
        "big": [3 * n],
        "vector": [n, n + 1, 0.5],
        "image": [n, 1, 2, 3, 4, n],
        "grid": [0.25, n, n, 1],
        "mixed": [n, 1, 0, 2] if n % 2 else [0, n, 0, 0.5],
        "words": ([9] * 5 + words)[-5:],
        "tail": (words + [9] * 5)[:5],
        "kind": [(n % 4 + 1) % 4],  # by the model's StringLookup, which knows no "other"
        "tags": ([1, 2, 3][: n % 4] + [0] * 3)[:3],
        "picture": [n, 2 * n],  # by its layer that decodes PNG files
    }


def expected(name: str, numbers: list[int], class_weight: dict[str, float]) -> float:
    def of(n: int) -> float:
        label = n * 7 % 3
        weight = (n % 4) / 2 * class_weight.get(CLASSES[label], 1)
        return weight * (label + 1) * sum(place * value for place, value in enumerate(seen(n)[name], 1))

    return math.fsum(map(of, numbers))


@pytest.mark.slow
def test_every_form_of_column_reaches_the_model_as_it_is_and_an_unkept_run_can_be_saved(spark, small, tmp_path):
    import forms

    schema = StructType.fromDDL(COLUMNS).add("mixed", VectorUDT())
    frame = spark.createDataFrame([row(n) for n in range(COUNT)], schema).repartition(3)
    result = sparktrain.train(
        frame,
        forms.build_seen,
        features=FEATURES,
        label={"column": "its.kind", "classes": CLASSES},
        weight="row.weight",
        class_weight={"maybe": 3.0},
        validation={"where": "number % 10 = 0"},
        workers=2,
        batch_size=8,
        epochs=2,
    )
    scratch = open_folder(result.output, result.hadoop)
    try:
        kept = Path(result.save(f"file://{tmp_path}/kept").removeprefix("file://"))
        assert (kept / "model.keras").read_bytes() == scratch.read_bytes("model.keras")
        assert sorted(path.name for path in kept.iterdir()) == sorted(scratch.list())
    finally:
        scratch.remove(recursive=True)

    training, validation = [n for n in range(COUNT) if n % 10], [n for n in range(COUNT) if not n % 10]
    assert (result.rows, result.summary["validation_rows"]) == (len(training), len(validation))
    for name in FEATURES:
        assert result.history[name] == [expected(name, training, {"maybe": 3.0})] * 2, name
        assert result.history[f"val_{name}"] == [expected(name, validation, {})] * 2, f"validation of {name}"

    import keras
    import tensorflow

    forms.picture_layer()
    model = keras.models.load_model(kept / "model.keras", compile=False)
    texts = {"kind": [["other"]], "tags": [["a", "b", "c"]], "picture": [png(11, 22)]}
    given = {
        name: tensorflow.reshape(tensorflow.constant(texts.get(name, [seen(11)[name]]), tensor.dtype), (1, *tensor.shape[1:]))
        for name, tensor in model.input.items()
    }
    whole = numpy.concatenate([*seen(11).values()]).astype("float32")
    assert numpy.array_equal(model(given)[0], whole)
