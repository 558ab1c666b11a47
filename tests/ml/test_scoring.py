"""A run's model scores a frame on the executors as plain Keras does in one process, with the columns prepared as in training."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.errors import PythonException
from pyspark.ml import Pipeline
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import functions as F

import sparktrain
from sparktrain.config import ConfigError
from sparktrain.data import InputError, MissingColumn, UnfitColumn
from sparktrain.storage import NotFound, open_folder

pytestmark = pytest.mark.real
KINDS = ["low", "middle", "high"]


def several():
    """A classifier of three kinds and a number, of an array and two columns side by side."""
    import keras

    parts, sizes = keras.Input((3,), name="parts"), keras.Input((2,), name="sizes")
    hidden = keras.layers.Concatenate()([parts, sizes])
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(hidden)
    total = keras.layers.Dense(1, name="total")(hidden)
    model = keras.Model({"parts": parts, "sizes": sizes}, {"kind": kind, "total": total})
    model.compile("adam", {"kind": "sparse_categorical_crossentropy", "total": "mse"})
    return model


def binary():
    import keras

    x = keras.Input((2,), name="x")
    model = keras.Model(x, keras.layers.Dense(1)(x))
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    return model


def reader():
    """A model of words, padded, and of a text."""
    import keras

    words, place = keras.Input((4,), name="words", dtype="int32"), keras.Input((1,), name="place", dtype="string")
    known = keras.layers.StringLookup(vocabulary=KINDS, output_mode="one_hot")(place)
    read = keras.layers.Flatten()(keras.layers.Embedding(20, 3)(words))
    model = keras.Model([words, place], keras.layers.Dense(1, activation="sigmoid")(keras.layers.Concatenate()([read, known])))
    model.compile("adam", "binary_crossentropy")
    return model


def number():
    import keras

    x = keras.Input((3,), name="x")
    model = keras.Model(x, keras.layers.Dense(1)(x))
    model.compile("adam", "mse")
    return model


def ternary():
    import keras

    x = keras.Input((2,), name="x")
    model = keras.Model(x, keras.layers.Dense(3, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def flowers(spark, tmp_path_factory):
    """200 rows: id, parts (3 floats), width and height, kind (a text, and its place), total (double), late (0 or 1)."""
    random = np.random.default_rng(3)
    rows = []
    for number in range(200):
        parts, sizes = random.normal(size=3), random.normal(size=2)
        rows.append(
            (
                number,
                parts.tolist(),
                float(sizes[0]),
                int(10 * sizes[1]),
                KINDS[number % 3],
                number % 3,
                float(parts.sum()),
                number % 2,
            )
        )
    schema = "id int, parts array<float>, width double, height int, kind string, place int, total double, late int"
    folder = f"file://{tmp_path_factory.mktemp('rows')}/flowers"
    spark.createDataFrame(rows, schema).repartition(4).write.parquet(folder)
    return spark.read.parquet(folder)  # Spark's own columns of arrays, in another form than those of a shuffle


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    def train(frame, build, **words):
        output = f"file://{tmp_path_factory.mktemp('models')}"
        return sparktrain.train(frame, build, output=output, engine="single", epochs=1, batch_size=32, **words)

    return train


@pytest.fixture(scope="module")
def flower_run(flowers, train):
    features = {"parts": "parts", "sizes": ["width", "height"]}
    return train(flowers, several, features=features, label={"kind": "place", "total": "total"})


def by_id(frame) -> list:
    return sorted(frame.collect(), key=lambda row: row.id)


def test_every_row_has_what_plain_keras_predicts_beside_what_is_kept(flowers, flower_run):
    scored = sparktrain.score(flowers, flower_run, output=["prediction", "probability", "raw"], keep=["id", "kind"], batch_size=7)
    made = {"prediction_kind", "probability_kind", "raw_kind", "prediction_total", "raw_total"}
    assert scored.columns[:2] == ["id", "kind"] and set(scored.columns[2:]) == made
    assert dict(scored.dtypes)["prediction_kind"] == "double" and dict(scored.dtypes)["raw_kind"] == "array<float>"
    rows, given = by_id(scored.select("id", "kind", "prediction_kind", "raw_kind", "prediction_total")), by_id(flowers)
    inputs = {
        "parts": np.array([row.parts for row in given], "float32"),
        "sizes": np.array([[row.width, row.height] for row in given], "float32"),
    }
    expected = flower_run.model.predict(inputs, verbose=0)
    np.testing.assert_allclose([row.raw_kind for row in rows], expected["kind"], rtol=1e-5)
    np.testing.assert_allclose([row.prediction_total for row in rows], expected["total"][:, 0], rtol=1e-4, atol=1e-6)
    assert [row.prediction_kind for row in rows] == expected["kind"].argmax(1).tolist()
    assert [row.kind for row in rows] == [row.kind for row in given]


def test_the_runs_own_pipeline_is_applied_and_latest_is_the_model(flowers, train):
    stages = [
        VectorAssembler(inputCols=["width", "height"], outputCol="raw"),
        StandardScaler(inputCol="raw", outputCol="scaled", withMean=True),
    ]
    label = {"column": "kind", "classes": KINDS}
    run = train(flowers, ternary, features={"x": "scaled"}, label=label, pipeline=Pipeline(stages=stages))
    fitted = Pipeline(stages=stages).fit(flowers)
    rows = by_id(fitted.transform(flowers))
    expected = run.model.predict(np.array([row.scaled.toArray() for row in rows], "float32"), verbose=0)
    url = run.output.rpartition("/")[0] + "/latest"
    given = VectorAssembler(inputCols=["width"], outputCol="kept").transform(flowers.drop("late", "kind"))
    scored = by_id(sparktrain.score(given, url, output=["prediction", "probability"]))
    np.testing.assert_allclose([row.probability for row in scored], expected, rtol=1e-5)
    assert [row.prediction for row in scored] == [KINDS[place] for place in expected.argmax(1)]
    assert all(row.kept.toArray().tolist() == [row.width] for row in scored) and scored[0].width == rows[0].width


def test_logits_become_probabilities(flowers, train):
    frame = flowers.withColumn("x", F.array(F.col("width").cast("float"), F.col("height").cast("float")))
    run = train(frame, binary, features=["x"], label="late")
    rows = by_id(sparktrain.score(frame, run, output=["prediction", "probability", "raw"], keep=["id"]))
    raw = np.array([row.raw for row in rows])
    np.testing.assert_allclose([row.probability for row in rows], 1 / (1 + np.exp(-raw)), rtol=1e-5)
    assert [row.prediction for row in rows] == (raw > 0).astype(float).tolist() and 0 < (raw > 0).sum() < 200


def test_sequences_are_padded_and_texts_go_in_as_in_training(flowers, train):
    frame = flowers.withColumn("words", F.expr("transform(sequence(1, 1 + id % 6), each -> each + place)"))
    run = train(frame, reader, features={"words": {"column": "words", "length": 4}, "place": "kind"}, label="late")
    given = by_id(frame)
    words = [[0, 0, 0, 0, *row.words][-4:] for row in given]
    import tensorflow

    texts = tensorflow.constant([[row.kind] for row in given])
    expected = run.model.predict([np.array(words, "int32"), texts], verbose=0)[:, 0]
    rows = by_id(sparktrain.score(frame, run, output="probability", keep=["id"]))
    np.testing.assert_allclose([row.probability for row in rows], expected, rtol=1e-5)


def test_a_number_that_was_trained_on_is_predicted_and_is_no_probability(flowers, train):
    run = train(flowers, number, features=["parts"], label="total")
    assert dict(sparktrain.score(flowers, run).dtypes)["prediction"] == "double"
    expected = run.model.predict(np.array([row.parts for row in by_id(flowers)], "float32"), verbose=0)[:, 0]
    np.testing.assert_allclose([row.prediction for row in by_id(sparktrain.score(flowers, run))], expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(PythonException, match="gives .* which are no probabilities.*output='raw'"):
        sparktrain.score(flowers, run, output="probability").collect()


def test_a_row_with_a_null_is_refused_by_its_column_or_kept_without_a_prediction(flowers, flower_run):
    holes = flowers.withColumn("width", F.when(F.col("id") % 50 != 7, F.col("width")))
    with pytest.raises(PythonException, match="column 'width' .*: null can't be scored.*nulls='keep'"):
        sparktrain.score(holes, flower_run).collect()
    kept = by_id(sparktrain.score(holes, flower_run, nulls="keep"))
    assert [row.id for row in kept if row.prediction_kind is None] == [7, 57, 107, 157] and len(kept) == 200
    whole = by_id(sparktrain.score(flowers, flower_run))
    same = [(one.prediction_total, other.prediction_total) for one, other in zip(kept, whole) if one.prediction_kind is not None]
    np.testing.assert_allclose(*zip(*same), rtol=1e-5)
    left = sparktrain.score(holes.where("width IS NULL"), flower_run, nulls="keep", output=["prediction", "raw"]).collect()
    assert len(left) == 4 and {(row.prediction_kind, row.raw_kind, row.raw_total) for row in left} == {(None, None, None)}
    assert sparktrain.score(flowers.where("id < 0"), flower_run).count() == 0


def test_what_cannot_be_scored_is_refused_before_a_row_is_read(flowers, flower_run, tmp_path):
    with pytest.raises(MissingColumn, match="trained with the column 'parts', which the frame lacks. Its columns are: id,"):
        sparktrain.score(flowers.drop("parts"), flower_run)
    with pytest.raises(
        UnfitColumn, match="'width' .string. gives string, but the model's input 'sizes' was trained with float32"
    ):
        sparktrain.score(flowers.withColumn("width", F.col("width").cast("string")), flower_run)
    with pytest.raises(ConfigError, match="output: 'class' came; expected one or several of prediction, probability, raw"):
        sparktrain.score(flowers, flower_run, output="class")
    with pytest.raises(ConfigError, match="keep: the frame has no column 'flight'"):
        sparktrain.score(flowers, flower_run, keep=["flight"])
    with pytest.raises(ConfigError, match="'prediction_kind' would be there twice"):
        sparktrain.score(flowers.withColumn("prediction_kind", F.lit(1)), flower_run)
    with pytest.raises(NotFound, match="not a finished run"):
        sparktrain.score(flowers, f"file://{tmp_path}/nowhere")
    open_folder(flower_run.output).remove("signature.json")
    with pytest.raises(InputError, match="no signature.json.*train it again"):
        sparktrain.score(flowers, flower_run)
