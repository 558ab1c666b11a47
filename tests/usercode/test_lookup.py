"""The user's functions: found where the job looks, refused by name where they aren't, shipped with what they need."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest

from sparktrain.config import ConfigError
from sparktrain.driver.shipping import ship
from sparktrain.models.by_value import from_value
from sparktrain.usercode.lookup import check_function, own_folders, search_folders, source
from sparktrain.usercode.packing import TooLarge, data_files, own_modules


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "late.py").write_text(
        "import os\nimport helpers\nfrom deep.layers import block\n\ndef build_model():\n    import lazy_one\n\nSIZE = 3\n"
    )
    (tmp_path / "helpers.py").write_text("import numpy\nimport late\n")  # a circle ends
    (tmp_path / "lazy_one.py").write_text("")
    (tmp_path / "unrelated.py").write_text("raise SystemExit('never imported')")
    (tmp_path / "deep" / "layers").mkdir(parents=True)  # packages without __init__.py
    (tmp_path / "deep" / "layers" / "block.py").write_text("from . import words\n")
    (tmp_path / "deep" / "layers" / "words.py").write_text("")
    (tmp_path / "deep" / "table.csv").write_text("1,2\n")
    (tmp_path / "deep" / "__pycache__").mkdir()
    (tmp_path / "deep" / "__pycache__" / "old.pyc").write_text("")
    return tmp_path


def test_a_function_is_checked_without_importing_its_module(folder):
    (folder / "heavy.py").write_text("raise SystemExit('imported')\ndef build(): pass\n")
    assert check_function("model.build", "heavy:build", [str(folder)]) is None


def test_a_missing_function_is_told_with_the_nearest(folder):
    problem = check_function("model.build", "late:bild_model", [str(folder)])
    assert problem.key == "model.build"
    assert "build_model" in str(problem) and "late.py" in str(problem)


def test_a_missing_module_is_told_with_the_folders(folder):
    problem = check_function("data.preprocess", "laet:prepare", [str(folder)])
    assert "there is no module 'laet'" in str(problem) and str(folder) in str(problem)


def test_the_yamls_folder_is_searched_first(folder, tmp_path, monkeypatch):
    config = folder / "conf" / "a.yaml"
    config.parent.mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}/does/not/exist")
    monkeypatch.chdir(folder / "deep")
    assert search_folders(config) == [str(config.parent), str(folder / "deep"), str(folder)]


def test_what_a_module_needs_of_the_users_own_is_found_and_nothing_else(folder):
    found = own_modules(["late"], [str(folder)])
    assert set(found) == {"late", "helpers", "lazy_one", "deep"}


def test_functions_go_by_name_from_modules_and_by_value_from_scripts():
    assert source(os.path.join).function == "posixpath:join"
    value = source(lambda units: units + 1, {"units": 3})
    assert from_value(value.pickle)(**value.args) == 4


def test_what_lies_beside_a_script_is_found_from_wherever_it_is_run(folder, monkeypatch):
    def build():
        return None

    build.__module__ = "__main__"
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(folder / "script.py"), raising=False)
    assert own_folders([build]) == [str(folder)]


class _Context:
    """Stands where Spark's context does, to see what is handed over; the real one is tested with whole runs."""

    def addPyFile(self, path):
        self.path = path


def test_the_shipped_zip_is_importable_with_packages_that_have_no_init(folder, tmp_path):
    context = _Context()
    shipped = ship(context, ["late"], [str(folder)])
    assert context.path.endswith(f"/{shipped.archive}")
    names = set(zipfile.ZipFile(context.path).namelist())
    assert {"late.py", "deep/layers/block.py", "deep/table.csv"} <= names
    assert not any("pycache" in name or "unrelated" in name for name in names)
    assert set(shipped.digests) == {name for name in names if not name.endswith("/")}
    code = "import late; print(late.block.words.__name__)"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": context.path},
        capture_output=True,
        text=True,
        timeout=180,
        cwd=tmp_path / "deep",
    )
    assert shown.stdout.strip() == "deep.layers.words", shown.stderr


def test_files_go_with_the_code_under_the_names_that_they_have_here(folder, tmp_path):
    away = tmp_path.parent / "away"
    away.mkdir(exist_ok=True)
    for path in (away / "vocab.json", folder / "words.txt", folder / "deep" / "more" / "a.txt"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    found = data_files(
        ["words.txt", "deep/more", str(away / "vocab.json"), "../away/vocab.json"], [str(folder / "deep"), str(folder)]
    )
    assert {name: path.read_text() for name, path in found.items()} == {
        "words.txt": "words.txt",
        "deep/more/a.txt": "a.txt",
        "vocab.json": "vocab.json",
    }
    context = _Context()
    assert "words.txt" in ship(context, ["late"], [str(folder)], ["words.txt"]).digests
    assert "words.txt" in zipfile.ZipFile(context.path).namelist()
    # Packed for a driver on the cluster, which has no such folder
    (folder / "vocab.json").write_text("there")
    assert data_files(["/home/me/vocab.json"], [str(folder)])["vocab.json"].read_text() == "there"
    with pytest.raises(ConfigError, match=r"model\.files: vocabulary\.json is not there.*looked in .*deep, ") as caught:
        data_files(["words.txt", "vocabulary.json"], [str(folder / "deep"), str(folder)])
    assert len(caught.value.problems) == 1


def test_data_beside_the_code_is_refused_with_the_largest_file(folder):
    with open(folder / "deep" / "rows.bin", "wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(TooLarge, match="rows.bin"):
        ship(_Context(), ["late"], [str(folder)])
