"""Writes the text of a job: its Python module, for the user to develop further, and its YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sparktrain.init.choices import Choices, Target
from sparktrain.init.data_sample import DataSample
from sparktrain.init.feature_code import SECTIONS, Section
from sparktrain.init.features import Feature
from sparktrain.interfaces.engines import ENGINES

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_WIDTH = 110  # characters in a line
_MANY = 50_000  # rows from which on an epoch of small batches takes long


def python(choices: Choices, url: str) -> str:
    """Return the text of the Python module with `prepare` and `build_model`.

    Args:
        url: the URL of the rows.
    """
    used = [
        (section, features)
        for section in SECTIONS
        if (features := [feature for feature in choices.features if section.takes(feature)])
    ]
    first = (
        f'"""Predict `{_docstring(choices.target.column)}` from the rows at {_docstring(url)}.\n\n'
        'Written by `sparktrain init` and yours to change: `prepare` runs in Spark, `build_model` in every worker.\n"""\n'
    )
    tables = [_table(section, features) for section, features in used]
    hashes = (
        ["HASHES = 10_000   # different hashes of words and items\n"]
        if any("HASHES" in section.inputs for section, _ in used)
        else []
    )
    return "\n".join(
        [
            first,
            *tables,
            *hashes,
            "",
            _prepare(choices, [section for section, _ in used]),
            "",
            _build(choices.target, [section for section, _ in used]),
        ]
    )


def yaml(choices: Choices, sample: DataSample, name: str, output: str, engine: str) -> str:
    """Return the text of the job's YAML.

    Args:
        name: the name of the job and of its Python module.
        output: the URL that models are written to.
        engine: the value of training.engine.
    """
    target = choices.target
    quoted = f"`{target.column.replace('`', '``')}`" if not target.column.isidentifier() else target.column
    where = f"{quoted} IS NOT NULL" + (f" AND NOT isnan({quoted})" if target.floating else "")
    label = scalar(target.column)
    if target.classes is not None:
        label = f"{{column: {label}, classes: [{', '.join(map(scalar, target.classes))}]}}"
    lines = [
        f"# Predict {target.column} from the rows at {sample.url}. Written by `sparktrain init` and yours to change:",
        "# docs/configuration.md describes every key, `sparktrain validate --config` checks this file.",
        "",
        f"name: {scalar(name)}",
        "",
        "data:",
        f"  path: {scalar(sample.url)}",
        *([f"  format: {sample.format}"] if sample.format != "parquet" else []),
        *([f"  options: {flow(sample.options)}"] if sample.options else []),
        *([f"  schema: {scalar(sample.schema)}"] if sample.schema else []),
        f"  where: {json.dumps(where, ensure_ascii=False)}",
        f"  preprocess: {name}:prepare",
        "  validation: {fraction: 0.1}             # the share of rows to validate on instead of training",
        "  features:                               # the model's inputs, by name",
        *[f"    {line}" for line in _features(choices.features)],
        f"  label: {label}",
        "",
        f"model: {{build: {name}:build_model, args: {{units: 64}}}}",
        "",
        "training:",
        f"  engine: {engine}",
        *(
            ["  workers: 2                              # training processes, one on each executor"]
            if not ENGINES[engine].one_worker
            else []
        ),
        f"  batch_size: {_batch_size(sample):<28}# rows in a step of each worker",
        "  epochs: 5",
        "",
        f"output: {{path: {scalar(output)}}}",
    ]
    return "\n".join(lines) + "\n"


def _batch_size(sample: DataSample) -> int:
    """Return the batch size of the job, by the number of rows that were read."""
    rows = len(sample.labels) if sample.labels is not None else sample.rows.num_rows
    return 64 if rows < _MANY else 256


def scalar(value: Any) -> str:
    """Return a value as YAML writes it."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    return json.dumps(value, ensure_ascii=False)


def flow(values: Mapping[str, Any]) -> str:
    """Return a mapping as YAML in one line: {header: true, sep: ";"}."""
    return "{" + ", ".join(f"{scalar(key)}: {scalar(value)}" for key, value in values.items()) + "}"


def _docstring(text: str) -> str:
    """Escape a text for a docstring."""
    return text.replace("\\", "\\\\").replace('"""', r"\"\"\"")


def _features(features: Sequence[Feature]) -> list[str]:
    """Return the lines of `data.features`."""
    numbers = [feature.name for feature in features if feature.kind == "number"]
    lines = _wrapped("numbers: [", numbers, "]", "  ") if numbers else []
    for feature in features:
        name = feature.name
        if feature.kind in ("text", "items"):
            lines.append(f"{name}: {{column: {name}, length: {feature.shape[0]}}}")
        elif feature.kind == "sequence":
            lines.append(f"{name}: {{column: {name}, length: {feature.shape[0]}, pad: {feature.mean:g}}}")
        elif feature.kind != "number":
            lines.append(f"{name}: {name}")
    return lines


def _wrapped(start: str, items: Sequence[str], end: str, indent: str) -> list[str]:
    """Return a list of items as lines of at most 110 characters."""
    lines, line = [], start
    for number, item in enumerate(items):
        piece = item + (", " if number < len(items) - 1 else "")
        if len(line) + len(piece) > _WIDTH and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += piece
    return [*lines, line + end]


def _table(section: Section, features: Sequence[Feature]) -> str:
    """Return the text of the module's dict of the features of one kind."""
    entries = [f"{feature.name!r}: {section.entry(feature)}" for feature in features]
    return f"# {section.comment}\n" + "\n".join(_wrapped(f"{section.table} = {{", entries, "}", "    ")) + "\n"


def _prepare(choices: Choices, sections: Sequence[Section]) -> str:
    """Return the text of the function `prepare`."""
    names = {feature.column: feature.name for feature in choices.features if feature.column != feature.name}
    label = json.dumps(f"`{choices.target.column}`", ensure_ascii=False)
    renamed = f"    frame = frame.withColumnsRenamed({names!r})\n" if names else ""
    return (
        "def prepare(frame):\n"
        '    """Select the model\'s columns, with missing values replaced, and the label."""\n'
        "    from pyspark.sql import functions as F\n\n"
        f"{renamed}    return frame.select(\n{''.join(section.columns for section in sections)}        F.col({label}),\n    )\n"
    )


def _build(target: Target, sections: Sequence[Section]) -> str:
    """Return the text of the function `build_model`."""
    if target.task == "regression":
        outputs = (
            "    output = layers.Dense(1)(hidden)\n"
            f"    output = layers.Rescaling({target.std!r}, {target.mean!r})(output)   # back to the label's unit\n"
        )
        compiled = '"mse", metrics=["mae"]'
    elif target.task == "binary":
        outputs = '    output = layers.Dense(1, activation="sigmoid")(hidden)\n'
        compiled = '"binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")]'
    else:
        outputs = f'    output = layers.Dense({target.outputs}, activation="softmax")(hidden)\n'
        compiled = '"sparse_categorical_crossentropy", metrics=["accuracy"]'
    return (
        "def build_model(units=64, learning_rate=0.001):\n"
        '    """Return a compiled Keras model with an input for each of the job\'s features."""\n'
        "    import keras\n    from keras import layers\n\n"
        f"    inputs, encoded = [], []\n{''.join(section.inputs for section in sections)}\n"
        "    hidden = layers.concatenate(encoded) if len(encoded) > 1 else encoded[0]\n"
        '    hidden = layers.Dense(units, activation="relu")(hidden)\n'
        f"{outputs}"
        "    model = keras.Model(inputs, output)\n"
        f"    model.compile(keras.optimizers.Adam(learning_rate), {compiled})\n"
        "    return model\n"
    )
