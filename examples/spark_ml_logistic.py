"""Which machines are broken? A Spark ML pipeline as many teams have one; spark_ml_keras.py is the same with another last stage.

./spark-submit.sh examples/spark_ml_logistic.py file:///tmp/examples/sensors.parquet
"""

import sys

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import StandardScaler
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession

if __name__ == "__main__":
    spark = SparkSession.builder.getOrCreate()
    windows = spark.read.parquet(sys.argv[1]).selectExpr("window", "double(broken) AS label")
    windows = windows.withColumn("wave", array_to_vector("window")).drop("window")
    known, new = windows.randomSplit([0.8, 0.2], seed=7)
    pipeline = Pipeline(
        stages=[
            StandardScaler(inputCol="wave", outputCol="features", withMean=True),
            LogisticRegression(),
        ]
    )
    model = pipeline.fit(known)
    area = BinaryClassificationEvaluator().evaluate(model.transform(new))
    print(f"area under the ROC curve, of windows that weren't trained on: {area:.3f}")
