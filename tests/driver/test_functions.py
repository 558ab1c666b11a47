"""The user's functions: found where the job looks, refused by name where they aren't, shipped with what they need."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import zipfile

import cloudpickle
import pytest

from sparktrain.driver.functions import check_function, search_folders, source
from sparktrain.driver.shipping import TooLarge, own_modules, ship


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "late.py").write_text(
        "import os\nimport helpers\nfrom deep.layers import block\n\ndef build_model():\n    import lazy_one\n\nSIZE = 3\n"
    )
    (tmp_path / "helpers.py").write_text("import numpy\nimport late\n")   # a circle ends
    (tmp_path / "lazy_one.py").write_text("")
    (tmp_path / "unrelated.py").write_text("raise SystemExit('never imported')")
    (tmp_path / "deep" / "layers").mkdir(parents=True)   # packages without __init__.py
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
    assert cloudpickle.loads(base64.b64decode(value.pickle))(**value.args) == 4


class _Context:
    """Stands where Spark's context does, to see what is handed over; the real one is tested with whole runs."""

    def addPyFile(self, path):
        self.path = path


def test_the_shipped_zip_is_importable_with_packages_that_have_no_init(folder, tmp_path):
    context = _Context()
    digests = ship(context, ["late"], [str(folder)])
    names = set(zipfile.ZipFile(context.path).namelist())
    assert {"late.py", "deep/layers/block.py", "deep/table.csv"} <= names
    assert not any("pycache" in name or "unrelated" in name for name in names)
    assert set(digests) == {name for name in names if not name.endswith("/")}
    code = "import late; print(late.block.words.__name__)"
    shown = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": context.path}, capture_output=True, text=True, timeout=60,
        cwd=tmp_path / "deep",
    )
    assert shown.stdout.strip() == "deep.layers.words", shown.stderr


def test_data_beside_the_code_is_refused_with_the_largest_file(folder):
    with open(folder / "deep" / "rows.bin", "wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(TooLarge, match="rows.bin"):
        ship(_Context(), ["late"], [str(folder)])
