"""Which machines are broken? The pipeline of spark_ml_logistic.py with an LSTM as its last stage, which sees how fast a wave is.

./spark-submit.sh examples/spark_ml_keras.py file:///tmp/examples/sensors.parquet
"""

import sys

from pyspark.ml import Pipeline
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import StandardScaler
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from sparktrain.ml import KerasClassifier


def build_model():
    import keras
    from keras import layers

    wave = keras.Input((32,))
    hidden = layers.LSTM(32)(layers.Reshape((8, 4))(wave))  # eight steps of four values
    model = keras.Model(wave, layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    return model


if __name__ == "__main__":
    spark = SparkSession.builder.getOrCreate()
    windows = spark.read.parquet(sys.argv[1]).selectExpr("window", "double(broken) AS label")
    windows = windows.withColumn("wave", array_to_vector("window")).drop("window")
    known, new = windows.randomSplit([0.8, 0.2], seed=7)
    pipeline = Pipeline(
        stages=[
            StandardScaler(inputCol="wave", outputCol="features", withMean=True),
            KerasClassifier(build=build_model, workers=2, epochs=6),
        ]
    )
    model = pipeline.fit(known)
    area = BinaryClassificationEvaluator().evaluate(model.transform(new))
    print(f"area under the ROC curve, of windows that weren't trained on: {area:.3f}")
