"""What is imported while Spark starts is whole when the run begins."""

from __future__ import annotations

import sys

from sparktrain.cli.early_imports import importing


def test_a_module_is_whole_behind_the_context_and_one_that_fails_is_left_to_who_needs_it(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.5)\nDONE = True\n")
    (tmp_path / "broken_at_import.py").write_text("raise KeyError('of its own')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with importing(["broken_at_import", "slow_to_import"]):
        pass
    assert sys.modules["slow_to_import"].DONE
    assert "broken_at_import" not in sys.modules


def test_the_thread_has_ended_also_where_spark_fails_to_start(tmp_path, monkeypatch):
    (tmp_path / "slow_as_spark_fails.py").write_text("import time\ntime.sleep(0.5)\nDONE = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        with importing(["slow_as_spark_fails"]):
            raise RuntimeError("no Java")
    except RuntimeError:
        assert sys.modules["slow_as_spark_fails"].DONE
