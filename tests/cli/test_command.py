"""The command `sparktrain`, and that what the README shows is what the configuration takes."""

from __future__ import annotations

import ast
import inspect
import json
import pydoc
import re
import shlex
from pathlib import Path

import pytest

import sparktrain
from sparktrain.cli.command import main
from sparktrain.config import load, reference, schema
from sparktrain.driver.api import train

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def block(language: str, holds: str) -> str:
    """The one code block of the README in a language that holds a text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    [found] = [text for text in blocks if holds in text]
    return found


def test_the_schema_and_the_reference_are_printed_and_nothing_else(capsys):
    assert main(["config", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
    assert main(["config", "--reference"]) == 0
    assert capsys.readouterr().out == reference()


@pytest.mark.parametrize("words", [["config"], ["config", "--schema", "--reference"], []])
def test_a_command_that_says_not_what_to_do_is_refused(capsys, words):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2 and capsys.readouterr().out == ""


def test_a_job_in_which_nothing_is_wrong_is_told_so_with_the_command_that_tries_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my job.yaml").write_text(
        "data: {path: /rows, features: [x], label: y}\nmodel: {build: mine:build}\noutput: {path: /models}\n"
    )
    (tmp_path / "mine.py").write_text("def build(): ...\n")
    assert main(["validate", "--config", "my job.yaml"]) == 0
    told = capsys.readouterr()
    [line] = told.err.splitlines()
    command = shlex.split(line.partition("To rehearse the job on a few rows: ")[2])
    assert told.out == "" and Path(command[0]).samefile(Path(__file__).resolve().parents[2] / "spark-submit.sh")
    assert command[1:] == ["jobs/train.py", "--config", "my job.yaml", "--check"]


def test_help_lists_the_public_functions_with_what_they_do():
    shown = pydoc.render_doc(sparktrain, renderer=pydoc.plaintext)
    for name in ("run", "train", "scale_up", "RunControl"):
        first = inspect.getdoc(getattr(sparktrain, name)).splitlines()[0]
        assert first in shown, name


def test_the_readme_s_job_can_be_loaded(tmp_path):
    (tmp_path / "mine.yaml").write_text(block("yaml", "model:"))
    job = load(tmp_path / "mine.yaml", ["training.epochs=3"])
    assert job.training.epochs == 3 and job.data.path == ["hdfs:///data/flights"] and job.data.label_column == "late"
    module = ast.parse(block("python", "def build_model"))
    arguments = {node.name: {argument.arg for argument in node.args.args} for node in module.body}
    assert arguments[job.data.preprocess.partition(":")[2]] == {"frame", *job.data.args}
    assert arguments[job.model.build.partition(":")[2]] == set(job.model.args)


def test_the_readme_s_call_of_train_has_words_that_train_takes():
    [call] = [
        node
        for node in ast.walk(ast.parse(block("python", "sparktrain.train")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sparktrain.train"
    ]
    words = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    bound = inspect.signature(train).bind(*map(ast.unparse, call.args), **words)
    assert bound.arguments["model"] == "build_model" and list(bound.arguments["features"]) == ["flight"]
