"""Real flights and weather, and the project's own programs as a job's configuration names them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow.compute import field

ROOT = Path(__file__).resolve().parent.parent.parent
WEEK = list(range(4, 11))  # of February 2013: quiet, until the snow of the 8th


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """jobs/ is found from the project's folder, as spark-submit.sh finds it."""
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture(scope="session")
def week():
    """(flights that departed, weather) of WEEK, from the package's own files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from jobs.quickstart import read_table

    flights, weather = (
        read_table(name).filter((field("month") == 2) & field("day").isin(WEEK)) for name in ("flights.csv.zip", "weather.csv")
    )
    flights = flights.filter(~field("dep_delay").is_null())
    return flights.to_pandas(), weather.to_pandas()
