"""A run is handed to serving with its pipeline in front of it, and gives there what Spark gives."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from pyspark.ml import Pipeline, Transformer
from pyspark.ml import feature as F
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable

import sparktrain
from sparktrain.export import ExportError, export_run
from sparktrain.storage import open_folder

pytestmark = pytest.mark.real
KINDS = ["low", "middle", "high"]


def classify():
    """Of a vector, a sequence that is padded, and a number: one of three kinds."""
    import keras

    inputs = [keras.Input((8,), name="known"), keras.Input((4,), name="steps"), keras.Input((1,), name="size")]
    hidden = keras.layers.Dense(4, activation="tanh")(keras.layers.Concatenate()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def regress():
    import keras

    x = keras.Input((3,), name="x")
    model = keras.Model(x, keras.layers.Dense(1)(x))
    model.compile("adam", "mse")
    return model


class Twice(Transformer, DefaultParamsReadable, DefaultParamsWritable):
    """A stage of a user's own."""

    def _transform(self, dataset):
        return dataset.withColumn("twice", dataset.size * 2)


@pytest.fixture(scope="module")
def rows(spark, tmp_path_factory):
    random = np.random.default_rng(5)
    made = [
        (
            ["JFK", "LGA", "EWR"][number % 3],
            f"{'good' if number % 2 else 'bad'} flight, number {number % 7}",
            float(random.normal()),
            None if number % 5 == 0 else float(random.normal()),
            random.normal(size=1 + number % 6).tolist(),
            KINDS[number % 3],
            float(number),
        )
        for number in range(240)
    ]
    schema = "origin string, text string, size double, wind double, steps array<float>, kind string, total double"
    folder = f"file://{tmp_path_factory.mktemp('rows')}/flights"
    spark.createDataFrame(made, schema).repartition(4).write.parquet(folder)
    return folder


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    def train(frame, build, **words):
        words = {"engine": "single", "epochs": 1, "batch_size": 32, **words}
        return sparktrain.train(frame, build, output=f"file://{tmp_path_factory.mktemp('models')}", **words)

    return train


@pytest.fixture(scope="module")
def run(spark, rows, train):
    stages = [
        F.StringIndexer(inputCol="kind", outputCol="kind_n"),  # for another label: no serving request has a kind
        F.StringIndexer(inputCol="origin", outputCol="origin_n"),
        F.OneHotEncoder(inputCol="origin_n", outputCol="origin_hot"),
        F.RegexTokenizer(inputCol="text", outputCol="words", pattern="\\W"),
        F.HashingTF(inputCol="words", outputCol="counts", numFeatures=4),
        F.Imputer(inputCol="wind", outputCol="wind_filled"),
        F.VectorAssembler(inputCols=["origin_hot", "counts", "wind_filled", "size"], outputCol="assembled"),
        F.MinMaxScaler(inputCol="assembled", outputCol="known"),
    ]
    features = {"known": "known", "steps": {"column": "steps", "length": 4, "pad": -1.0, "side": "post"}, "size": "size"}
    label = {"column": "kind", "classes": KINDS}
    return train(spark.read.parquet(rows), classify, features=features, label=label, pipeline=Pipeline(stages=stages))


@pytest.fixture(scope="module")
def exported(spark, rows, run, tmp_path_factory):
    to = f"file://{tmp_path_factory.mktemp('serving')}/flights"
    return export_run(run, to, frame=spark.read.parquet(rows))


PLAIN = """
import json, sys
import numpy as np, tensorflow as tf

loaded = tf.saved_model.load(sys.argv[1])
score = loaded.signatures["serving_default"]
rows = json.load(open(sys.argv[2]))
made = []
for row in rows:
    columns = {
        "origin": tf.constant([row["origin"]]), "text": tf.constant([row["text"]]),
        "size": tf.constant([row["size"]], tf.float64),
        "wind": tf.constant([float("nan") if row["wind"] is None else row["wind"]], tf.float64),
        "steps": tf.constant([row["steps"]], tf.float32),
    }
    made.append({name: value.numpy()[0] for name, value in score(**columns).items()})
for each in made:
    each["prediction"] = each["prediction"].decode()
try:
    score(**{**columns, "origin": tf.constant(["BOS"])})
except tf.errors.InvalidArgumentError as error:
    refused = error.message
assert not {"sparktrain", "pyspark"} & {name.partition(".")[0] for name in sys.modules}, "not plain"
print(json.dumps([made, refused], default=lambda value: value.tolist()))
"""


def test_plain_tensorflow_gives_sparks_scores_of_raw_columns_and_refuses_what_was_not_seen(spark, rows, run, exported, tmp_path):
    scores = ["prediction", "probability", "raw"]
    expected = sparktrain.score(spark.read.parquet(rows), run, output=scores).limit(20).collect()
    given = [{name: row[name] for name in ("origin", "text", "size", "wind", "steps")} for row in expected]
    (tmp_path / "rows.json").write_text(json.dumps(given))
    command = [sys.executable, "-c", PLAIN, exported.removeprefix("file://"), tmp_path / "rows.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    made, refused = json.loads(done.stdout.splitlines()[-1])
    names = {"prediction", "probability", "raw"}
    assert set(made[0]) == names
    assert [each["prediction"] for each in made] == [row.prediction for row in expected]
    for name in names - {"prediction"}:
        np.testing.assert_allclose([each[name] for each in made], [row[name] for row in expected], rtol=1e-4, atol=1e-6)
    assert "column origin has a value that was not there when StringIndexer" in refused


def test_an_export_says_what_it_takes_and_gives_and_has_requests_to_warm_up_with(run, exported):
    import tensorflow as tf

    from sparktrain.export.warm_up import WARM_UP, message

    folder = open_folder(exported)
    record = json.loads(folder.read_text("sparktrain/export.json"))
    columns = {each["name"]: (each["dtype"], each["shape"]) for each in record["columns"]}
    assert columns == {
        "origin": ("string", [None]),
        "text": ("string", [None]),
        "wind": ("float64", [None]),
        "size": ("float64", [None]),
        "steps": ("float32", [None, None]),
    }
    assert len(record["stages"]) == 7 and record["left_out"] == [] and record["rows_compared"] > 50
    assert record["run"] == run.output and 0 <= record["greatest_difference"] < 1e-3
    assert folder.sha256("saved_model.pb")[1] == record["files"]["saved_model.pb"]
    assert {"signature.json", "summary.json", "lineage.json"} <= set(folder.join("sparktrain").list())
    requests = [
        message("PredictionLog").FromString(each.numpy()).predict_log.request
        for each in tf.data.TFRecordDataset(str(folder.local_path(WARM_UP)))
    ]
    assert [request.model_spec.name for request in requests] == ["flights"] * 2
    inputs = {each.key: tf.make_ndarray(each.value) for each in requests[0].inputs}
    assert set(inputs) == set(columns) and inputs["origin"].shape == (1,)


def test_the_second_export_is_the_next_version_and_one_that_fails_leaves_nothing(spark, rows, run, exported, monkeypatch):
    from sparktrain.export import categories

    versions = open_folder(exported.rpartition("/")[0])
    before = versions.list()
    monkeypatch.setattr(categories, "look_up", lambda of, keys: of.lookup(keys) * 0)  # all origins are one
    with pytest.raises(ExportError, match="differs from Spark's, so it was not written") as told:
        export_run(run, versions.url, frame=spark.read.parquet(rows))
    assert "for the row {'origin':" in str(told.value)
    monkeypatch.undo()
    assert [name for name in versions.list() if name.isdigit()] == [name for name in before if name.isdigit()]
    assert not versions.exists("_staged") or versions.join("_staged").list() == []
    second = export_run(run, versions.url, frame=spark.read.parquet(rows), rows=20)
    assert second.rpartition("/")[2] == str(1 + max(int(name) for name in before if name.isdigit()))


def test_what_onnx_and_keras_cannot_have_in_front_is_named_or_left_out(spark, rows, run, tmp_path):
    frame = spark.read.parquet(rows)
    with pytest.raises(ExportError, match=r"RegexTokenizer \(RegexTokenizer_\w+\): ONNX has no operations"):
        export_run(run, f"file://{tmp_path}/serving", frame=frame, format="onnx")
    with pytest.raises(ExportError, match="a Keras file holds the model alone"):
        export_run(run, f"file://{tmp_path}/serving", frame=frame, format="keras")
    assert not (tmp_path / "serving").exists()
    export = open_folder(export_run(run, f"file://{tmp_path}/serving", frame=frame, format="onnx", leave_out=True, rows=40))
    record = json.loads(export.read_text("sparktrain/export.json"))
    assert [each.partition(" ")[0] for each in record["left_out"]] == ["RegexTokenizer", "HashingTF"]
    assert [each["name"] for each in record["columns"]] == ["origin", "wind", "counts", "size", "steps"]
    import onnxruntime

    session = onnxruntime.InferenceSession(str(export.local_path("model.onnx")))
    columns = {
        "origin": np.array(["JFK", "BOS"], object),
        "wind": np.array([np.nan, 0.5]),
        "counts": np.ones((2, 4)),
        "size": np.zeros(2),
        "steps": np.ones((2, 6), "float32"),
    }
    made = dict(zip([output.name for output in session.get_outputs()], session.run(None, columns)))
    assert made["prediction"][0] in KINDS and np.isfinite(made["raw"][0]).all()
    assert made["prediction"][1] == "" and np.isnan(made["raw"][1]).all(), "an origin that was not there in training"
    alone = open_folder(export_run(run, f"file://{tmp_path}/serving", frame=frame, format="keras", leave_out=True, rows=40))
    assert alone.url.endswith("/2") and alone.exists("model.keras")


def test_a_stage_of_ones_own_is_named_and_a_run_without_a_pipeline_takes_the_models_columns(spark, rows, train, tmp_path):
    frame = spark.read.parquet(rows).drop("wind")
    mine = train(
        frame,
        regress,
        features={"x": ["size", "total", "twice"]},
        label="total",
        pipeline=Pipeline(stages=[Twice()]),
    )
    with pytest.raises(
        ExportError, match=r"Twice \(Twice_\w+\) is not among the stages that can be\nExpected stages of Binarizer"
    ):
        export_run(mine, f"file://{tmp_path}/serving", frame=frame)
    bare = train(frame.withColumn("twice", frame.size * 2), regress, features={"x": ["size", "total", "twice"]}, label="total")
    assert export_run(mine, f"file://{tmp_path}/serving", frame=frame, leave_out=True, rows=20).endswith("/1")
    with pytest.raises(ExportError, match="was trained on a frame of a program"):
        export_run(bare, f"file://{tmp_path}/serving", spark=spark)
    made = export_run(bare, f"file://{tmp_path}/serving", frame=frame.withColumn("twice", frame.size * 2), rows=50)
    record = json.loads(open_folder(made).read_text("sparktrain/export.json"))
    assert [each["name"] for each in record["columns"]] == ["size", "total", "twice"]
    assert [each["name"] for each in record["scores"]] == ["prediction", "raw"]
