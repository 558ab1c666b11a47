"""The order of the preparation, and what is refused on its way."""

from __future__ import annotations

import pytest
from conftest import training
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import StandardScaler, StringIndexer, VectorAssembler
from pyspark.sql import functions as F

from sparktrain.data import VALIDATION, InputError, prepare
from sparktrain.data.pipeline import label_names

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def shops(spark):
    """200 rows; those with day 9 have values that no other day has."""
    frame = spark.range(200).select(
        F.when(F.col("id") % 10 == 9, F.lit(1e6)).otherwise(F.col("id").cast("double")).alias("x"),
        (F.col("id") % 10).alias("day"), F.when(F.col("id") % 3 == 0, "refund").otherwise("other").alias("intent"))
    return frame.repartition(2).cache()


@pytest.fixture(scope="module")
def pipelines(spark, shops, tmp_path_factory):
    """A Pipeline, and the PipelineModel of one that saw rarer classes more often."""
    folder = tmp_path_factory.mktemp("pipelines")
    pipeline = Pipeline(stages=[
        StringIndexer(inputCol="intent", outputCol="y"), VectorAssembler(inputCols=["x"], outputCol="vector"),
        StandardScaler(inputCol="vector", outputCol="scaled", withMean=True)])
    pipeline.write().overwrite().save(f"{folder}/unfitted")
    flipped = pipeline.fit(shops.where("intent = 'refund' OR x < 20"))
    flipped.write().overwrite().save(f"{folder}/fitted")
    return folder


WORDS = dict(features=["scaled"], label="y", validation={"where": "day = 9"})


def test_a_pipeline_is_fitted_on_training_rows_and_applied_to_all(shops, pipelines, prepared):
    made = prepared(shops, pipeline=None, **WORDS | {"pipeline": f"{pipelines}/unfitted"}) if False else \
        prepared(shops, **WORDS, **{"sample": {"per_class": 20}}, pipeline=PipelineModel.load(f"{pipelines}/fitted"))
    assert isinstance(made.pipeline, PipelineModel)
