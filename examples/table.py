"""Which customers leave? A CSV with words and holes, made numbers by a Spark ML pipeline that is kept beside the model.

./spark-submit.sh examples/table.py file:///tmp/examples/customers.csv
"""

import sys

import sparktrain
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import Imputer, OneHotEncoder, StandardScaler, StringIndexer, VectorAssembler
from pyspark.sql import SparkSession

# Fitted on the training rows alone: what validation rows hold has no part in means and words
PIPELINE = Pipeline(
    stages=[
        Imputer(inputCols=["months"], outputCols=["months_known"]),
        StringIndexer(inputCol="plan", outputCol="plan_number", handleInvalid="keep"),
        OneHotEncoder(inputCol="plan_number", outputCol="plan_vector"),
        VectorAssembler(inputCols=["months_known", "complaints"], outputCol="numbers"),
        StandardScaler(inputCol="numbers", outputCol="scaled", withMean=True),
    ]
)


def build_model():
    import keras
    from keras import layers

    scaled, plan = keras.Input((2,), name="scaled"), keras.Input((3,), name="plan")
    hidden = layers.Dense(16, activation="relu")(layers.Concatenate()([scaled, plan]))
    model = keras.Model([scaled, plan], layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["AUC"])
    return model


if __name__ == "__main__":
    spark = SparkSession.builder.getOrCreate()
    customers = spark.read.csv(sys.argv[1], header=True, inferSchema=True)
    result = sparktrain.train(
        customers,
        build_model,
        pipeline=PIPELINE,
        features={"scaled": "scaled", "plan": "plan_vector"},  # the model's inputs, and the columns of the pipeline
        label="leaves",
        validation={"fraction": 0.2},
        class_weight={0: 1, 1: 2},  # a customer who leaves unforeseen costs more
        early_stopping={"monitor": "val_loss", "patience": 2, "restore_best_weights": True},
        epochs=10,
        name="customers",
    )
    print(result.metrics, result.output)
    # What a new customer is made of: the same stages, as they were fitted
    PipelineModel.load(f"{result.output}/pipeline").transform(customers.limit(3)).select("plan", "plan_vector", "scaled").show()
