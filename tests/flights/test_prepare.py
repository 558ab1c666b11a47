"""What goes into a flight's features: all that was known when it is predicted, and nothing that came later."""

from __future__ import annotations

import math

import numpy
import pandas
import pyarrow
import pytest

pytestmark = pytest.mark.real

HOURS = 8


@pytest.fixture
def prepared(spark, tmp_path):
    """Prepares pandas' flights and weather; one row a flight, which its `distance`, passed on, names."""
    from jobs import flights as job

    def prepare(flights: pandas.DataFrame, weather: pandas.DataFrame) -> pandas.DataFrame:
        path = f"file://{tmp_path}/weather-{len(list(tmp_path.iterdir()))}"
        spark.createDataFrame(pyarrow.Table.from_pandas(weather, preserve_index=False)).write.parquet(path)
        named = flights.assign(distance=flights.index * 1000)
        rows = job.prepare(spark.createDataFrame(pyarrow.Table.from_pandas(named, preserve_index=False)), path, HOURS)
        assert rows.count() == len(flights)
        found = rows.toPandas()
        return found.set_index(found.distance.astype(int)).sort_index()

    return prepare


def _hour(times: pandas.Series) -> pandas.Series:
    return times.dt.floor("h")


def _known(flights: pandas.DataFrame) -> pandas.Series:
    """The hour at whose end a departure has been seen."""
    return _hour(flights.time_hour) + pandas.to_timedelta((flights.minute + flights.dep_delay).clip(lower=0) // 60, "h")


def _plain(rows: pandas.DataFrame, names: pandas.Index, column: str) -> list:
    values = rows.loc[names, column]
    return numpy.stack([numpy.stack(each) for each in values]).tolist() if column == "history" else values.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("local_hour", [9, 19])
def test_nothing_that_happens_from_the_prediction_on_changes_a_flights_features(week, prepared, local_hour):
    flights, weather = week
    now = pandas.Timestamp("2013-02-07 05:00", tz="UTC") + pandas.Timedelta(hours=local_hour)
    scheduled, known = _hour(flights.time_hour), _known(flights)
    predicted, unknown = scheduled <= now, known >= now
    assert (scheduled == now).sum() > 30 and (predicted & unknown & (scheduled < now)).sum() > 0

    random = numpy.random.default_rng(7)
    other_flights, other_weather = flights.copy(), weather.copy()
    # What had not yet departed leaves at some other time from now on, or is never scheduled where it comes later.
    waited = ((now - scheduled).dt.total_seconds() / 60 - flights.minute)[unknown].clip(lower=-40)
    for column in ("dep_time", "arr_time", "arr_delay", "air_time"):
        other_flights[column] = random.integers(0, 2000, len(flights))
    other_flights.loc[unknown, "dep_delay"] = (numpy.ceil(waited) + random.integers(0, 300, unknown.sum())).astype(int)
    other_flights = other_flights[predicted | (random.random(len(flights)) < 0.5)]
    later = _hour(weather.time_hour) >= now
    for column in ("temp", "dewp", "humid", "wind_speed", "precip", "visib", "pressure"):
        other_weather.loc[later, column] = random.normal(50, 50, later.sum())
    other_weather = other_weather[~later | (random.random(len(weather)) < 0.5)]

    before, after = prepared(flights, weather), prepared(other_flights, other_weather)
    names = flights.index[predicted]
    assert (before.late[names] != after.late[names]).any()
    for column in before.columns.drop("late"):
        assert _plain(before, names, column) == _plain(after, names, column), column
    next_hour = flights.index[scheduled == now + pandas.Timedelta(hours=1)].intersection(after.index)
    assert _plain(before, next_hour, "history") != _plain(after, next_hour, "history")


def test_a_history_holds_the_weather_and_the_departures_of_the_hours_before(week, prepared):
    from jobs.flights import DEPARTURES, HOURLY, WEATHER

    flights, weather = week
    weather = weather.drop(weather.index[::7])  # hours without an observation
    found = prepared(flights, weather)
    scheduled, known, observed = _hour(flights.time_hour), _known(flights), _hour(weather.time_hour)
    for name in flights.sample(40, random_state=7).index:
        flight = flights.loc[name]
        expected = []
        for ago in range(HOURS, 0, -1):
            hour = scheduled[name] - pandas.Timedelta(hours=ago)
            departed = flights.dep_delay[(flights.origin == flight.origin) & (known == hour)]
            values = dict(zip(DEPARTURES, (len(departed) or math.nan, departed.mean(), (departed > 15).mean())))
            seen = weather[(weather.origin == flight.origin) & (observed <= hour)]
            values |= {column: seen[column].dropna().iloc[-1] if len(seen) else math.nan for column in WEATHER}
            expected.append(
                [
                    0.0 if math.isnan(values[column]) else (values[column] - usual) / spread
                    for column, (usual, spread) in HOURLY.items()
                ]
            )
        history = numpy.stack(found.history[name])
        assert history.dtype == numpy.float32
        numpy.testing.assert_allclose(history, expected, rtol=1e-5, atol=1e-6)
        assert found.late[name] == (flight.dep_delay > 15)


def test_a_flight_that_leaves_before_its_hour_is_not_in_its_own_history(week, prepared):
    flights, weather = week
    early = flights.iloc[[0]].assign(minute=5, dep_delay=-20)
    [history] = prepared(early, weather).history
    assert not numpy.stack(history)[:, -3:].any()  # no departures at all


@pytest.mark.slow
def test_the_pipeline_gives_every_flight_a_vector_also_where_training_saw_no_such_destination(spark, week, prepared):
    from jobs.flights import FLIGHT, pipeline

    rows = spark.createDataFrame(pyarrow.Table.from_pandas(prepared(*week).drop(columns="history")))
    fitted = pipeline().fit(rows.where("dest != 'ATL'"))
    vectors = [row.flight.toArray() for row in fitted.transform(rows).select("flight").collect()]
    assert numpy.shape(vectors) == (rows.count(), len(FLIGHT)) and numpy.isfinite(vectors).all()
