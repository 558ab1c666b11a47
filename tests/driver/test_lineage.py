"""Which versions the lineage of a model names."""

from __future__ import annotations

import importlib.metadata

from sparktrain.driver.artifacts.lineage import versions
from sparktrain.interfaces.engines import ENGINES, Engine, packages_of


def test_the_packages_of_every_engine_are_named_and_one_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setitem(ENGINES, "another", Engine("another", packages=("another-package", "missing-package")))

    def version(name: str) -> str:
        if name == "missing-package":
            raise importlib.metadata.PackageNotFoundError(name)
        return f"version of {name}"

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = versions()
    assert found.pop("python")
    assert set(packages_of("another")) - set(found) == {"missing-package"}
    assert all(set(packages_of(engine)) <= set(found) for engine in ENGINES if engine != "another")
    assert {"pyspark", "tensorflow-cpu"} <= set(found)
    assert all(told == f"version of {name}" for name, told in found.items())
