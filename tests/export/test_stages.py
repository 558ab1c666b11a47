"""The stages of a fitted pipeline give as TensorFlow operations what they give in Spark."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml import Pipeline
from pyspark.ml import feature as F

from sparktrain.storage import open_folder

pytestmark = pytest.mark.real
NAN, INF = float("nan"), float("inf")
SCHEMA = "place string, size double, count int, exact float, text string, missing double, late int"
TRAINED = [
    ("JFK", 1.0, 2, 0.5, "Hello the World  again", NAN, 0),
    ("LGA", 3.0, 5, 0.25, " the quick\tBrown fox ", 2.0, 1),
    ("JFK", -1.5, 7, 0.1, "é über Straße, 日本 語", 4.0, 1),
    ("EWR", 2.5, 5, 0.5, "", 6.0, 0),
]
# Words of other lengths in bytes, what was not seen, ends of buckets, and Java's vertical tab
NEW = [
    ("new", 0.0, 9, 7.5, "a\x0bvertical tab  and\nthe hello hello", 2.5, 1),
    ("EWR", 2.0, 2, 0.1, "abcd abcde", 0.0, 0),
    ("LGA", 1e9, 7, 0.5, "...", NAN, 0),
]


def stages():  # which need a Spark
    return [
        F.StringIndexer(
            inputCols=["place", "count", "exact"], outputCols=["place_n", "count_n", "exact_n"], handleInvalid="keep"
        ),
        F.OneHotEncoder(inputCols=["place_n", "count_n"], outputCols=["place_hot", "count_hot"], handleInvalid="keep"),
        F.OneHotEncoder(inputCol="place_n", outputCol="place_all", dropLast=False, handleInvalid="keep"),
        F.TargetEncoder(inputCols=["place_n"], outputCols=["place_late"], labelCol="late", handleInvalid="keep", smoothing=10.0),
        F.IndexToString(inputCol="place_n", outputCol="place_again", labels=["JFK", "EWR", "LGA", "?"]),
        F.Imputer(inputCols=["missing"], outputCols=["filled"]),
        F.Imputer(inputCols=["size"], outputCols=["size_filled"], missingValue=2.5, strategy="median"),
        F.Bucketizer(splits=[-INF, 0, 2, INF], inputCol="size", outputCol="size_bucket"),
        F.Bucketizer(
            splitsArray=[[0, 2, 4, 6], [0, 5, 9]], inputCols=["missing", "count"], outputCols=["b1", "b2"], handleInvalid="keep"
        ),
        F.Binarizer(inputCol="size", outputCol="large", threshold=2.0),
        F.VectorAssembler(inputCols=["size", "filled", "place_hot", "size_bucket", "count"], outputCol="vector"),
        F.StandardScaler(inputCol="vector", outputCol="standard", withMean=True),
        F.StandardScaler(inputCol="vector", outputCol="by_deviation"),
        F.MinMaxScaler(inputCol="vector", outputCol="ranged", min=-1.0, max=3.0),
        F.MaxAbsScaler(inputCol="vector", outputCol="by_largest"),
        F.RobustScaler(inputCol="vector", outputCol="robust", withCentering=True),
        F.Normalizer(inputCol="vector", outputCol="unit", p=3.0),
        F.PCA(inputCol="vector", outputCol="main", k=2),
        F.ElementwiseProduct(inputCol="vector", outputCol="weighted", scalingVec=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
        F.VectorSlicer(inputCol="vector", outputCol="some", indices=[2, 0]),
        F.VarianceThresholdSelector(featuresCol="vector", outputCol="varied", varianceThreshold=0.3),
        F.Tokenizer(inputCol="text", outputCol="words"),
        F.RegexTokenizer(inputCol="text", outputCol="between", pattern="\\W"),
        F.RegexTokenizer(inputCol="text", outputCol="spaced", toLowercase=False, minTokenLength=2),
        F.RegexTokenizer(inputCol="text", outputCol="matched", pattern="[a-z]+", gaps=False),
        F.StopWordsRemover(inputCol="between", outputCol="telling"),
        F.HashingTF(inputCol="spaced", outputCol="hashed", numFeatures=61),
        F.HashingTF(inputCol="words", outputCol="there", numFeatures=64, binary=True),
        F.IDF(inputCol="hashed", outputCol="rare"),
        F.CountVectorizer(inputCol="words", outputCol="counted", minTF=0.25),
        F.Word2Vec(inputCol="between", outputCol="meant", vectorSize=3, minCount=0, seed=1),
    ]


@pytest.fixture(scope="module")
def both(spark, tmp_path_factory):
    """Spark's rows behind the fitted pipeline, the stages as saved, and their TensorFlow tensors."""
    import tensorflow as tf

    from sparktrain.export.operations import Conditions
    from sparktrain.export.pipeline import in_front
    from sparktrain.export.saved_stages import saved_stages

    folder = f"file://{tmp_path_factory.mktemp('pipeline')}/fitted"
    unfitted = stages()
    inner = Pipeline(stages=unfitted[:10])  # a pipeline in a pipeline
    fitted = Pipeline(stages=[inner, *unfitted[10:]]).fit(spark.createDataFrame(TRAINED, SCHEMA).coalesce(1))
    fitted.save(folder)
    rows = fitted.transform(spark.createDataFrame(TRAINED + NEW, SCHEMA).coalesce(1)).collect()
    saved = saved_stages(open_folder(folder))
    front = in_front(saved, [name for stage in saved for name in stage.makes], "savedmodel", False)
    dtypes = {"string": tf.string, "double": tf.float64, "float": tf.float32, "int": tf.int64}
    kinds = dict(each.split() for each in SCHEMA.split(", "))
    columns = {name: tf.constant([row[name] for row in rows], dtypes[kinds[name]]) for name in front.columns}

    @tf.function
    def run(**known):
        conditions = Conditions()
        for each in front.operations:
            known.update(zip(each.stage.makes, each.run(conditions, [known[name] for name in each.stage.reads])))
        return known, conditions.all_met()

    tensors, met = run(**columns)
    assert met.numpy().all()
    return rows, saved, tensors


def test_every_stage_gives_what_spark_gives_for_rows_of_training_and_new_ones(both):
    rows, saved, tensors = both
    assert [stage.kind for stage in saved] == [type(stage).__name__ for stage in stages()]
    wrong = {}
    for stage in saved:
        for name in stage.makes:
            expected, made = [row[name] for row in rows], tensors[name]
            if hasattr(made, "to_list"):
                same = [[word.decode() for word in words] for words in made.to_list()] == expected
            elif made.dtype == "string":
                same = [text.decode() for text in made.numpy()] == expected
            else:
                numbers = np.array([value.toArray() if hasattr(value, "toArray") else value for value in expected])
                same = made.shape == numbers.shape and np.allclose(made, numbers, rtol=1e-6, equal_nan=True)
            if not same:
                wrong[f"{stage.kind} {name}"] = (made, expected)
    assert not wrong


@pytest.mark.parametrize(
    "pattern, expected",
    [
        (r"\s+", r"[\s\x0B]+"),
        (r"[\s,]+", r"[\s\x0B,]+"),
        (r"\\s", r"\\s"),
        (r"a\Sb", r"a[^\s\x0B]b"),
        (r"[^a]\s", r"[^a][\s\x0B]"),
    ],
)
def test_a_pattern_means_the_same_to_re2_as_to_java(pattern, expected):
    from sparktrain.export.texts import java_pattern

    assert java_pattern(pattern) == expected


def test_texts_hash_as_in_spark_whatever_their_lengths(spark):
    import tensorflow as tf

    from sparktrain.export.murmur import murmur3

    texts = ["", *("é" * length + "abcdefghijk"[:more] for length in range(3) for more in range(12)), "日本語", "\x00"]
    hashing = F.HashingTF(inputCol="words", outputCol="out", numFeatures=2**31 - 1)
    mine = tf.math.floormod(murmur3(tf.constant(texts)), 2**31 - 1).numpy().tolist()
    assert mine == [hashing.indexOf(text) for text in texts]
