"""Which shape is in a picture? PNG files, in a folder a class, are decoded on the executors for a small convolution.

./spark-submit.sh examples/images.py file:///tmp/examples/images
"""

import io
import sys

import numpy
import pandas
import sparktrain
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

SIDE = 16
KINDS = ["circle", "cross", "square"]


@F.pandas_udf("array<float>")
def pixels(content: pandas.Series) -> pandas.Series:
    from PIL import Image

    return content.map(lambda file: numpy.asarray(Image.open(io.BytesIO(file)).resize((SIDE, SIDE)), "float32").ravel() / 255)


def build_model(units):
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1), name="image"),
            layers.Conv2D(units, 5, activation="relu"),
            layers.Conv2D(units, 5, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(len(KINDS), activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    spark = SparkSession.builder.getOrCreate()
    files = spark.read.format("binaryFile").option("recursiveFileLookup", True).load(sys.argv[1])
    result = sparktrain.train(
        # The class is the name of the picture's folder
        files.select(pixels("content").alias("pixels"), F.element_at(F.split("path", "/"), -2).alias("kind")),
        build_model,
        args={"units": 16},
        features={"image": {"column": "pixels", "shape": [SIDE, SIDE, 1]}},  # the array's order is that of the shape
        label={"column": "kind", "classes": KINDS},  # "circle" is class 0
        validation={"fraction": 0.2},
        batch_size=16,
        epochs=4,
        name="shapes",
    )
    print(result.metrics, result.output)
