"""The order of the preparation, and what is refused on its way."""

from __future__ import annotations

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import SQLTransformer, StandardScaler, StringIndexer, TargetEncoder, VectorAssembler
from pyspark.sql import functions as F

from sparktrain.data import VALIDATION, InputError, MissingColumn, UnfitColumn, prepare

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def shops(spark):
    """200 rows, 20 of a day 9 whose x is far from all others'; of intents, `other` comes more often."""
    frame = spark.range(200).select(
        F.when(F.col("id") % 10 == 9, 1e6).otherwise(F.col("id").cast("double")).alias("x"),
        (F.col("id") % 10).alias("day"),
        F.when(F.col("id") % 3 == 0, "refund").otherwise("other").alias("intent"),
    )
    return frame.repartition(2).cache()


@pytest.fixture(scope="module")
def pipeline(shops, tmp_path_factory):
    """The URL of a Pipeline that numbers the intents and scales x."""
    url = f"file://{tmp_path_factory.mktemp('pipelines')}/intents"
    Pipeline(
        stages=[
            StringIndexer(inputCol="intent", outputCol="number"),
            VectorAssembler(inputCols=["x"], outputCol="vector"),
            StandardScaler(inputCol="vector", outputCol="scaled", withMean=True, withStd=False),
        ]
    ).save(url)
    return url


WORDS = dict(features=["scaled"], label="number", validation={"where": "day = 9"})


@pytest.mark.slow
def test_a_pipeline_is_fitted_on_training_rows_and_applied_to_all(shops, prepared, pipeline):
    made = prepared(shops, pipeline_url=pipeline, **WORDS, sample={"fractions": {"refund": 0.5}})
    training_x = [row.x for row in shops.where("day != 9").collect()]
    mean = sum(training_x) / len(training_x)
    assert made.pipeline.stages[2].mean[0] == pytest.approx(mean)  # of all training rows, before the sample
    held_out = made.frame.where(VALIDATION).collect()
    assert len(held_out) == 20 and {round(row.scaled[0] - 1e6 + mean, 3) for row in held_out} == {0}
    assert made.label_names == ["other", "refund"] and made.classes is None
    assert made.counts_before == {"other": 120, "refund": 60} and made.counts_after == {"other": 120, "refund": 30}
    assert made.validation_rows == 20 and made.rows == 150


@pytest.mark.slow
def test_the_loaded_model_s_pipeline_wins_and_is_not_fitted_again(shops, prepared, pipeline):
    loaded = Pipeline.load(pipeline).fit(shops.where("x < 3"))
    made = prepared(shops, pipeline_url=pipeline, pipeline=loaded, classes=["other", "refund"], **WORDS)
    assert made.pipeline is loaded and made.pipeline.stages[2].mean[0] == 1.0
    assert made.notes == ["data.pipeline is not used: the loaded model's own pipeline is"]


def test_a_refit_that_would_permute_a_loaded_model_s_classes_is_refused(shops, prepared, pipeline):
    with pytest.raises(InputError) as refused:
        prepared(shops, pipeline_url=pipeline, classes=["refund", "other"], **WORDS)
    assert "numbers the label's classes other, refund" in str(refused.value)
    assert "outputs stand for refund, other" in str(refused.value)
    with pytest.raises(InputError, match="data.label.classes is refund, other, but the loaded model's"):
        prepared(shops, features=["x"], label={"column": "intent", "classes": ["refund", "other"]}, classes=["other", "refund"])


@pytest.mark.slow
def test_a_saved_pipeline_model_is_used_as_it_is(shops, prepared, pipeline, tmp_path):
    Pipeline.load(pipeline).fit(shops.where("x < 3")).save(f"file://{tmp_path}/fitted")
    made = prepared(shops, pipeline_url=f"file://{tmp_path}/fitted", **WORDS)
    assert isinstance(made.pipeline, PipelineModel) and made.pipeline.stages[2].mean[0] == 1.0


def test_where_comes_before_preprocess_and_both_before_validation(shops, prepared):
    def prepare_rows(frame, least):
        return frame.where(F.col("x") >= least).withColumn("x2", F.col("x") * 2).withColumn("n", F.lit(1))

    made = prepared(
        shops,
        preprocess=prepare_rows,
        args={"least": 100},
        where="day > 4",
        features=["x2"],
        label="day",
        validation={"where": "x2 = 2e6"},
    )
    rows = made.frame.collect()
    assert {row.day for row in rows} == {5, 6, 7, 8, 9} and len(rows) == 4 * 10 + 20
    assert all(row[VALIDATION] == (row.day == 9) for row in rows)


@pytest.mark.slow
def test_the_frame_is_computed_once_where_it_is_kept(spark, shops, prepared, pipeline):
    seen = spark.sparkContext.accumulator(0)

    def count(batches):
        for batch in batches:
            seen.add(batch.num_rows)
            yield batch

    made = prepared(
        shops,
        preprocess=lambda frame: frame.mapInArrow(count, frame.schema),
        keep="disk",
        pipeline_url=pipeline,
        sample={"fraction": 0.5},
        **WORDS,
    )
    assert made.frame.count() == 110 and made.frame.count() == 110 and seen.value == 200
    made.release()
    assert made.frame.count() == 110 and seen.value > 200


def test_a_missing_column_is_named_with_the_nearest_before_any_row_is_read(spark, shops, prepared, pipeline):
    bad = shops.withColumn("intnt", F.raise_error("a row was read").cast("string")).drop("intent")
    for words, names in [
        (dict(features=["x"], label="intent"), ["'intent'", "'intnt'"]),
        (dict(features=["x"], label="day", where="dya > 1"), ["data.where", "`dya`", "day"]),
        (dict(features=["x"], label="day", validation={"fraction": 0.1, "by": "who"}), ["'who'"]),
        (dict(WORDS, pipeline_url=pipeline), ["data.pipeline", "intent", "intnt"]),
    ]:
        with pytest.raises(MissingColumn) as refused:
            prepared(bad, keep="disk", **words)
        assert all(name in str(refused.value) for name in [*names, "x"])


@pytest.mark.parametrize("words", [dict(features=["x"], label="intent"), WORDS])
def test_types_that_can_t_be_trained_on_are_refused_before_any_row_is_read(spark, section, shops, pipeline, words):
    bad = shops.withColumn("day", F.raise_error("a row was read").cast("bigint"))
    seen = []

    def refuse(schema, classes):
        seen.append((set(schema.fieldNames()), classes))
        raise UnfitColumn("the label is a string")

    data = section(sample={"fraction": 0.5}, **words, **({"pipeline": pipeline} if words is WORDS else {}))
    with pytest.raises(UnfitColumn):
        prepare(spark, data, seed=7, frame=bad, accept=refuse, classes=["other", "refund"])
    assert seen == [(set() if words is WORDS else {"x", "intent"}, ["other", "refund"])]


@pytest.mark.parametrize(
    "words, step",
    [
        (dict(where="day > 90"), "data.where: 'day > 90' leaves none of those that the frame given gives"),
        (dict(preprocess=lambda frame: frame.limit(0)), "data.preprocess leaves none"),
        (dict(validation={"where": "day < 90"}), "data.validation leaves none of those that the frame given gives"),
    ],
)
def test_the_step_that_leaves_no_training_rows_is_named(shops, prepared, words, step):
    with pytest.raises(InputError, match="no training rows") as refused:
        prepared(shops, features=["x"], label="day", sample={"fraction": 0.5}, **words)
    assert step in str(refused.value)


def test_no_training_rows_without_a_sample_are_explained_when_asked(shops, prepared):
    made = prepared(shops, features=["x"], label="day", where="day > 90")
    assert "data.where: 'day > 90' leaves none" in str(made.why_empty())


@pytest.mark.parametrize(
    "words, message",
    [
        (
            dict(label="x", sample={"per_class": 5}, preprocess=lambda frame: frame.withColumn("x", F.array("x"))),
            "data.sample.per_class needs a label of classes, but column 'x' is array<double>",
        ),
        (dict(label="intent", sample={"fractions": {"refnd": 0.5}}), "Did you mean 'refund'?"),
        (
            dict(label="y", sample={"fraction": 0.5}, preprocess=lambda frame: frame.selectExpr("x", "nullif(day, 3) y")),
            "the label column 'y' is null or NaN in 20 training rows",
        ),
        (dict(preprocess=lambda frame: frame.toPandas()), "returned a DataFrame; expected a Spark DataFrame"),
        (dict(preprocess=lambda frame: frame.selectExpr("*", "1 AS X")), "columns of the same name"),
        (dict(preprocess=lambda frame: frame.selectExpr("*", "1 AS _sparktrain_row")), "reserved for sparktrain"),
        (dict(corrupt="skip"), "data.corrupt: skip is for files"),
        (dict(pipeline_url="file:///nowhere"), "data.pipeline: file:///nowhere can't be loaded"),
    ],
)
def test_what_can_t_be_trained_on_is_refused(shops, prepared, words, message):
    with pytest.raises(InputError) as refused:
        prepared(shops, **{"features": ["x"], "label": "day"} | words)
    assert message in str(refused.value)


def test_more_different_labels_than_classes_can_be_are_refused_for_a_count_per_class(spark, prepared):
    frame = spark.range(10_500).select("id", F.col("id").alias("x"), F.col("id").alias("y"))
    with pytest.raises(InputError, match="more than 10000 different values"):
        prepared(frame, sample={"per_class": 1})


@pytest.mark.slow
def test_columns_that_an_estimator_makes_without_telling_are_found(spark, prepared, tmp_path):
    frame = spark.range(60).select((F.col("id") % 3).alias("shop"), (F.col("id") % 2).cast("double").alias("y"))
    encoder = TargetEncoder(inputCols=["shop"], outputCols=["rate"], labelCol="y", targetType="binary")
    Pipeline(stages=[encoder]).save(f"file://{tmp_path}/alone")
    Pipeline(stages=[encoder, VectorAssembler(inputCols=["rate"], outputCol="v")]).save(f"file://{tmp_path}/used")
    for name, column in (("alone", "rate"), ("used", "v")):
        made = prepared(frame, features=[column], pipeline_url=f"file://{tmp_path}/{name}")
        assert made.frame.count() == 60


def test_a_pipeline_that_drops_columns_is_refused(shops, prepared, tmp_path):
    PipelineModel([SQLTransformer(statement="SELECT x, day FROM __THIS__")]).save(f"file://{tmp_path}/narrow")
    with pytest.raises(InputError, match="must keep all columns"):
        prepared(shops, features=["x"], label="day", pipeline_url=f"file://{tmp_path}/narrow")


def test_rows_are_counted_by_class_where_a_rehearsal_asks(shops, prepared):
    made = prepared(shops, features=["x"], label={"column": "intent", "classes": ["other", "refund", "praise"]})
    assert made.rows is None  # nothing has been read
    made.count("intent", seed=7)
    assert (made.rows, made.validation_rows) == (200, 0)
    assert made.counts_before == made.counts_after == {"other": 133, "refund": 67}
