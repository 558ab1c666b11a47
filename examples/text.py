"""Does a review like the film? Words become numbers in Spark, sentences become sequences of one length in the job.

./spark-submit.sh examples/text.py file:///tmp/examples/reviews.parquet
"""

import sys

import sparktrain
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

WORDS = 1000  # numbers for words: 1 to WORDS; 0 is what short sentences are padded with


def numbered(frame):
    """Number the words by their hash: every worker, and whoever scores later, numbers them alike, without a vocabulary."""
    words = F.filter(F.split(F.lower("text"), r"\W+"), lambda word: word != "")
    numbers = F.transform(words, lambda word: (F.pmod(F.xxhash64(word), F.lit(WORDS)) + 1).cast("int"))
    return frame.select(numbers.alias("words"), "liked")


def build_model(units):
    import keras
    from keras import layers

    words = keras.Input((None,), dtype="int32", name="words")
    vectors = layers.Embedding(WORDS + 1, units, mask_zero=True)(words)
    liked = layers.Dense(1, activation="sigmoid")(layers.GRU(units)(vectors))
    model = keras.Model(words, liked)
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    frame = SparkSession.builder.getOrCreate().read.parquet(sys.argv[1])
    result = sparktrain.train(
        numbered(frame),
        build_model,
        args={"units": 16},
        features={"words": {"column": "words", "length": 12}},  # padded in front, as Keras does; longer ones lose their beginning
        label="liked",
        validation={"fraction": 0.1},
        batch_size=16,
        epochs=4,
        name="reviews",
    )
    print(result.metrics, result.output)
