"""Code that goes by value is known again in another process, and a change of it, or of what it refers to, is seen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sparktrain.driver.artifacts.fingerprint import of_model
from sparktrain.usercode.fingerprint import of_function

SCRIPT = """
import functools
import json
import math

WIDTH = 8
NAMES = {"a", "b", "c", "d"}

class Layer:
    sizes = [1, 2]

    def __init__(self, width):
        self.width = width

    @property
    def double(self):
        return 2 * self.width

def helper(value, scale=2.0):
    return value * scale if value in {"x", "y", "z"} else again(value)

def again(value):
    return helper(value) if value else json.dumps(sorted(NAMES))

def make(units):
    def build(lr=0.1):
        return Layer(WIDTH + units), helper(lr), math.pi, [each for each in range(units)]
    return build

build = make(4)
bound = Layer(3).__init__
part = functools.partial(make(5), lr=0.2)
"""


def said(source: str, name: str = "build") -> str:
    namespace = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec"), namespace)
    return of_function(namespace[name])


@pytest.mark.parametrize(
    "old, new",
    [
        ("WIDTH = 8", "WIDTH = 9"),
        ("scale=2.0", "scale=3.0"),
        ('{"x", "y", "z"}', '{"x", "y"}'),
        ("return 2 *", "return 3 *"),
        ("sizes = [1, 2]", "sizes = [1, 3]"),
        ("make(4)", "make(6)"),
        ("lr=0.1", "lr=0.3"),
        ("math.pi", "math.e"),
        ("range(units)", "range(units + 1)"),
        ("self.width = width", "self.width = width + 1"),
        ('"d"}', '"e"}'),
    ],
)
def test_a_change_in_what_a_builder_does_or_refers_to_is_seen(old, new):
    assert old in SCRIPT and said(SCRIPT.replace(old, new)) != said(SCRIPT)


def test_other_lines_and_other_names_of_the_file_are_no_change():
    assert said(
        "\n\n# a word\n" + SCRIPT.replace("import json\n", "import json\nimport random\nOTHER = random.random()\n")
    ) == said(SCRIPT)


def test_a_partial_and_a_method_are_told_by_what_they_hold():
    assert len({said(SCRIPT, name) for name in ("build", "bound", "part")}) == 3
    assert said(SCRIPT.replace("lr=0.2", "lr=0.4"), "part") != said(SCRIPT, "part")
    assert said(SCRIPT.replace("Layer(3)", "Layer(4)"), "bound") != said(SCRIPT, "bound")


@pytest.mark.real
def test_another_process_finds_the_same(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        SCRIPT + "\nfrom sparktrain.usercode.fingerprint import of_function\nprint(of_function(build), of_function(part))\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, script],
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_a_compiled_model_is_known_by_its_layers_and_its_loss_however_keras_numbers_them():
    class Model:  # as much of keras.Model as is asked
        def __init__(self, layer="dense", units=4, loss="mse"):
            self.config, self.loss = {"layers": [{"name": layer, "units": units}], "name": f"{layer}/kernel"}, loss

        def get_config(self):
            return self.config

        def get_compile_config(self):
            return {"loss": self.loss}

    assert of_model(Model()) != of_model(Model(units=5)) and of_model(Model()) != of_model(Model(loss="mae"))
    assert of_model(Model("dense_1")) == of_model(Model("dense_12"))
