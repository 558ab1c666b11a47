"""The programs of examples/ and the notebook: each runs as it is, on the rows that make_data.py makes, and learns what is in them."""

from __future__ import annotations

import json
import runpy
import sys
import types
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAMS = ["images", "own_loop", "spark_ml_keras", "spark_ml_logistic", "table", "text"]


@pytest.fixture(scope="session")
def rows(tmp_path_factory):
    """The folder with the rows of the examples."""
    folder = tmp_path_factory.mktemp("examples")
    runpy.run_path(str(EXAMPLES / "make_data.py"))["main"](folder)
    return folder


@pytest.fixture
def run(spark, rows, monkeypatch):
    """Runs a program on its rows, in the tests' Spark; gives what it has defined."""

    def program(name: str, data: str) -> dict:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", f"file://{rows}/{data}"])
        return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")

    return program


def test_every_program_is_named_by_the_readme_with_the_command_that_it_says_itself():
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for name in PROGRAMS:
        [command] = [line for line in (EXAMPLES / f"{name}.py").read_text().splitlines() if line.startswith("./spark-submit.sh")]
        assert f"`{command}`" in readme
    for file in sorted(EXAMPLES.glob("*.py")) + sorted(EXAMPLES.glob("*.ipynb")):
        assert f"]({file.name})" in readme


def test_of_two_pipelines_one_stage_differs():
    stages = [
        (EXAMPLES / f"spark_ml_{kind}.py").read_text().partition('if __name__ == "__main__":')[2].splitlines()
        for kind in ("logistic", "keras")
    ]
    different = [(before.strip(), after.strip()) for before, after in zip(*stages, strict=True) if before != after]
    assert different == [("LogisticRegression(),", "KerasClassifier(build=build_model, workers=2, epochs=6),")]


def test_the_rows_are_the_same_each_time(rows, tmp_path):
    runpy.run_path(str(EXAMPLES / "make_data.py"))["main"](tmp_path)
    for file in (path for path in rows.rglob("*") if path.is_file()):
        assert file.read_bytes() == (tmp_path / file.relative_to(rows)).read_bytes(), file


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(600)
class TestPrograms:
    def test_pictures_in_folders_are_told_apart(self, run):
        result = run("images", "images")["result"]
        assert result.workers == 2 and result.metrics["val_accuracy"] > 0.9
        assert result.model.input_shape == (None, 16, 16, 1)

    def test_sentences_are_understood_with_their_negations(self, run):
        result = run("text", "reviews.parquet")["result"]
        assert result.metrics["val_accuracy"] > 0.9  # words alone give 0.5

    def test_a_table_goes_through_its_pipeline_which_makes_the_same_of_new_rows(self, run, capsys):
        result = run("table", "customers.csv")["result"]
        assert result.metrics["val_AUC"] > 0.85
        assert "(3,[1],[1.0])" in capsys.readouterr().out  # what the kept pipeline makes of a plan

    def test_a_pipeline_tells_more_with_another_last_stage(self, run):
        logistic, keras = run("spark_ml_logistic", "sensors.parquet"), run("spark_ml_keras", "sensors.parquet")
        assert keras["area"] > 0.95 > logistic["area"]
        assert keras["model"].stages[1].summary.workers == 2

    def test_a_loop_of_its_own_ends_on_all_workers_together_and_tells_broken_machines(self, run):
        known = run("own_loop", "sensors.parquet")
        broken = known["rows"]["broken"]
        assert known["errors"][broken].mean() > 3 * known["errors"][~broken].mean()
        assert 3 <= len(known["losses"]) <= 10 and known["losses"][-1] < known["losses"][0] / 2

    def test_the_notebook_s_cells_run_from_top_to_bottom(self, spark, monkeypatch, capsys):
        cells = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
        assert not any(cell.get("outputs") for cell in cells)
        module = types.ModuleType("__main__")
        monkeypatch.setitem(sys.modules, "__main__", module)  # as in a kernel
        for cell in cells:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), "a cell", "exec"), module.__dict__)
        assert module.result.history["val_mae"][-1] < 0.25
        winter, summer = module.expected
        assert winter > summer + 1
