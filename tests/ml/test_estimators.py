"""Keras estimators stand in Spark ML's Pipelines, evaluators and searches as its own do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import OneVsRest
from pyspark.ml.evaluation import BinaryClassificationEvaluator, MulticlassClassificationEvaluator, RegressionEvaluator
from pyspark.ml.feature import StringIndexer, VectorAssembler
from pyspark.ml.linalg import Vector
from pyspark.ml.tuning import CrossValidator, CrossValidatorModel, ParamGridBuilder, TrainValidationSplit
from pyspark.sql import functions as F

from sparktrain.data import InputError, MissingColumn
from sparktrain.ml import KerasClassificationModel, KerasClassifier, KerasEstimator, KerasRegressor
from sparktrain.ml.persistence import LOAD_CODE
from sparktrain.storage import open_folder

pytestmark = pytest.mark.real
FAST = {"engine": "single", "batchSize": 20}


def build(units=3, classes=3):
    import keras

    keras.utils.set_random_seed(4)
    x = keras.Input((2,))
    hidden = keras.layers.Dense(units, activation="relu")(x)
    if classes == 2:
        model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(hidden))
        model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", weighted_metrics=[])
    else:
        model = keras.Model(x, keras.layers.Dense(classes, activation="softmax")(hidden))
        model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", weighted_metrics=[])
    return model


def build_number(units=3):
    import keras

    keras.utils.set_random_seed(4)
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.Dense(units, activation="relu")(x)))
    model.compile(keras.optimizers.Adam(0.05), "mse", weighted_metrics=[])
    return model


def build_two():
    import keras

    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    both = keras.layers.Concatenate()([a, b])
    model = keras.Model(
        [a, b], {"kind": keras.layers.Dense(3, name="kind")(both), "total": keras.layers.Dense(1, name="total")(both)}
    )
    model.compile("adam", {"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "total": "mse"})
    return model


@pytest.fixture(scope="module")
def rows(spark):
    """180 rows: id, a, b, kind (a text of three), late (0 or 1), total (a + b), weight, held (whether to validate on it)."""
    random = np.random.default_rng(2)
    values = []
    for number in range(180):
        a, b = map(float, random.normal(size=2))
        kind = "low" if a < -0.4 else "high" if a > 0.4 else "middle"
        values.append((number, a, b, kind, int(a + b > 0), a + b, 1.0 + number % 2, number % 5 == 0))
    schema = "id int, a double, b double, kind string, late int, total double, weight double, held boolean"
    return spark.createDataFrame(values, schema).repartition(3)


@pytest.fixture(scope="module")
def assembled(rows):
    return VectorAssembler(inputCols=["a", "b"], outputCol="features").transform(rows)


@pytest.fixture(scope="module")
def classified(assembled, tmp_path_factory):
    estimator = KerasClassifier(build=build, labelCol="late", args={"classes": 2}, validationIndicatorCol="held", **FAST)
    return estimator.setEpochs(8).setOutput(f"file://{tmp_path_factory.mktemp('runs')}").fit(assembled)


def test_a_pipeline_with_a_keras_stage_is_fitted_saved_and_loaded(spark, hdfs, rows):
    stages = [
        StringIndexer(inputCol="kind", outputCol="label"),
        VectorAssembler(inputCols=["a", "b"], outputCol="features"),
        KerasClassifier(build=build, epochs=12, weightCol="weight", **FAST),
    ]
    model = Pipeline(stages=stages).fit(rows)
    scored = model.transform(rows)
    assert scored.columns[-3:] == ["rawPrediction", "probability", "prediction"] and scored.count() == 180
    first = scored.first()
    assert (
        isinstance(first.probability, Vector) and first.probability.size == 3 and first.prediction == first.probability.argmax()
    )
    assert MulticlassClassificationEvaluator(metricName="accuracy").evaluate(scored) > 0.8
    path = f"{hdfs.uri}/ml/pipeline"
    model.write().overwrite().save(path)
    again = PipelineModel.load(path).transform(rows)
    assert sorted(map(str, again.collect())) == sorted(map(str, scored.collect()))
    keras_model = model.stages[2]
    assert keras_model.numClasses == 3 and keras_model.uid == stages[2].uid and keras_model.summary.epochs == 12
    assert len(keras_model.summary.history["loss"]) == 12 and keras_model.summary.rows == 180


def test_two_classes_of_one_number_give_vectors_of_two_and_equal_plain_keras(assembled, classified):
    assert classified.numClasses == 2 and "val_loss" in classified.summary.history and classified.summary.rows == 144
    scored = classified.transform(assembled).orderBy("id").toPandas()
    plain = classified.result.model.predict(np.array(scored[["a", "b"]], "float32"), verbose=0)[:, 0]
    np.testing.assert_allclose([row[1] for row in scored.probability], plain, rtol=1e-5)
    np.testing.assert_allclose([row[0] for row in scored.probability], 1 - plain, rtol=1e-5, atol=1e-6)
    assert scored.prediction.tolist() == (plain > 0.5).astype(float).tolist()
    assert BinaryClassificationEvaluator(labelCol="late").evaluate(classified.transform(assembled)) > 0.9


def test_columns_are_named_left_out_and_given_one_by_one(rows, classified):
    model = classified.copy({classified.predictionCol: "said", classified.probabilityCol: "", classified.featuresCol: ["a", "b"]})
    scored = model.transform(rows.drop("late"))
    assert scored.columns == [*rows.drop("late").columns, "rawPrediction", "said"]
    with pytest.raises(MissingColumn, match="KerasClassificationModel: the frame has no column 'b'. Its columns are: id, a"):
        model.transform(rows.select("id", "a"))


def test_a_number_is_predicted_from_columns_side_by_side(rows):
    model = KerasRegressor(build=build_number, featuresCol=["a", "b"], labelCol="total", epochs=15, **FAST).fit(rows)
    assert RegressionEvaluator(labelCol="total").evaluate(model.transform(rows)) < 0.5
    assert dict(model.transform(rows).dtypes)["prediction"] == "double"


def test_several_inputs_and_outputs(rows):
    indexed = StringIndexer(inputCol="kind", outputCol="place").fit(rows).transform(rows)
    estimator = KerasEstimator(
        build=build_two, features={"a": "a", "b": "b"}, label={"kind": "place", "total": "total"}, epochs=1, **FAST
    )
    model = estimator.setScores(["index", "prediction", "probability"]).fit(indexed)
    scored = model.transform(rows)
    assert set(scored.columns) - set(rows.columns) == {"index_kind", "prediction_kind", "probability_kind", "prediction_total"}
    first = scored.first()
    assert abs(sum(first.probability_kind) - 1) < 1e-5 and first.prediction_kind in ("low", "middle", "high")


@pytest.mark.timeout(600)
def test_a_cross_validation_chooses_the_same_with_more_at_a_time(assembled, hdfs):
    estimator = KerasClassifier(build=build, labelCol="late", **FAST)
    grid = ParamGridBuilder().addGrid(estimator.epochs, [1, 6]).addGrid(estimator.args, [{"classes": 2, "units": 4}]).build()
    evaluator = BinaryClassificationEvaluator(labelCol="late")
    folds = assembled.withColumn("fold", F.col("id") % 2)  # drawn by Spark, they would depend on the order in which rows arrive

    def metrics(parallelism):
        search = CrossValidator(
            estimator=estimator, estimatorParamMaps=grid, evaluator=evaluator, numFolds=2, foldCol="fold", parallelism=parallelism
        )
        return search.fit(folds)

    one, two = metrics(1), metrics(2)
    assert one.avgMetrics == two.avgMetrics and one.bestModel.summary.epochs == 6
    path = f"{hdfs.uri}/ml/search"
    two.write().overwrite().save(path)
    again = CrossValidatorModel.load(path)
    assert again.avgMetrics == two.avgMetrics and isinstance(again.bestModel, KerasClassificationModel)
    assert again.bestModel.transform(assembled).count() == 180


def test_a_split_and_one_against_the_rest(rows, assembled):
    estimator = KerasClassifier(build=build, args={"classes": 2}, epochs=2, **FAST)
    evaluator = BinaryClassificationEvaluator(labelCol="late")
    grid = ParamGridBuilder().addGrid(estimator.epochs, [1, 2]).build()
    labelled = estimator.copy({estimator.labelCol: "late"})
    found = TrainValidationSplit(estimator=labelled, estimatorParamMaps=grid, evaluator=evaluator, seed=1).fit(assembled)
    assert len(found.validationMetrics) == 2 and all(0 <= each <= 1 for each in found.validationMetrics)
    indexed = StringIndexer(inputCol="kind", outputCol="label").fit(assembled).transform(assembled)
    scored = OneVsRest(classifier=estimator).fit(indexed).transform(indexed)
    assert {row.prediction for row in scored.select("prediction").distinct().collect()} <= {0.0, 1.0, 2.0}


def test_an_estimator_is_saved_with_its_function_by_name_and_code_only_where_that_is_allowed(spark, hdfs, tmp_path, monkeypatch):
    (tmp_path / "builder.py").write_text("def build():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import builder

    path = f"{hdfs.uri}/ml/estimator"
    estimator = KerasClassifier(build=builder.build, batchSize=7, earlyStopping={"monitor": "loss", "patience": 2})
    estimator.write().overwrite().save(path)
    again = KerasClassifier.load(path)
    assert (again.uid, again.getBuild(), again.getBatchSize()) == (estimator.uid, "builder:build", 7)
    assert (
        again.getEarlyStopping() == {"monitor": "loss", "patience": 2} and again.isSet("batchSize") and not again.isSet("epochs")
    )
    with pytest.raises(InputError, match=r"expected a sparktrain\.ml\.KerasRegressor"):
        KerasRegressor.load(path)

    def own():
        return build()

    estimator.setBuild(own).write().overwrite().save(path)
    with pytest.raises(InputError, match=f"runs that code.*{LOAD_CODE}"):
        KerasClassifier.load(path)
    spark.conf.set(LOAD_CODE, "true")
    try:
        assert KerasClassifier.load(path).getBuild()().output_shape == (None, 3)
    finally:
        spark.conf.unset(LOAD_CODE)


def test_a_fitted_model_is_trained_further_and_a_compiled_one_is_saved(hdfs, assembled, classified):
    further = KerasClassifier(build=classified.result.model, labelCol="late", epochs=1, **FAST)
    path = f"{hdfs.uri}/ml/compiled"
    further.write().overwrite().save(path)
    model = KerasClassifier.load(path).fit(assembled)
    assert model.summary.history["loss"][0] < classified.summary.history["loss"][0]


def test_a_saved_model_that_was_changed_or_is_of_a_later_version_is_refused(spark, hdfs, classified):
    path = f"{hdfs.uri}/ml/model"
    classified.write().overwrite().save(path)
    assert KerasClassificationModel.load(path).uid == classified.uid
    folder = open_folder(path)
    whole = folder.read_bytes("run/model.keras")
    folder.write_bytes("run/model.keras", whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match="changed or damaged"):
        KerasClassificationModel.load(path)
    [name] = [name for name in folder.join("metadata").list() if name.startswith("part-")]
    metadata = json.loads(folder.read_text(f"metadata/{name}"))
    folder.write_text(f"metadata/{name}", json.dumps(metadata | {"sparktrain": 99}))
    with pytest.raises(InputError, match="later version"):
        KerasClassificationModel.load(path)


def test_labels_that_are_no_class_numbers_are_refused_before_training(rows, assembled):
    estimator = KerasClassifier(build=build, **FAST)
    for label, said in (
        ("kind", "values of the type string. Expected the classes' numbers 0, 1, 2"),
        ("total", "rows that are no class numbers, such as"),
        ("hour", "has no column 'hour'"),
    ):
        with pytest.raises((InputError, MissingColumn), match=said):
            estimator.setLabelCol(label).fit(assembled)
    with pytest.raises(InputError, match="180 rows that are no class numbers, such as null"):
        estimator.setLabelCol("none").fit(assembled.withColumn("none", F.lit(None).cast("double")))
    with pytest.raises(InputError, match="build: nothing came"):
        KerasClassifier(labelCol="late").fit(assembled)
