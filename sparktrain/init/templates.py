"""Write the text of a job: its Python, for the user to develop further, and its YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparktrain.init.choices import Choices, Feature, Target
from sparktrain.init.looking import Look
from sparktrain.interfaces.engines import ENGINES

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_WIDTH = 110  # characters of a line
_MANY = 50_000  # rows from which on an epoch of small batches takes long


def python(choices: Choices, url: str) -> str:
    """Return the text of the Python module with `prepare` and `build_model`."""
    used = [
        (section, features) for section in _SECTIONS if (features := [each for each in choices.features if section.takes(each)])
    ]
    first = (
        f'"""Predict `{_docstring(choices.target.column)}` from the rows at {_docstring(url)}.\n\n'
        'Written by `sparktrain init` and yours to change: `prepare` runs in Spark, `build_model` in every worker.\n"""\n'
    )
    tables = [_table(section, features) for section, features in used]
    hashes = ["HASHES = 10_000   # of words and items\n"] if any("HASHES" in section.inputs for section, _ in used) else []
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


def yaml(choices: Choices, look: Look, name: str, output: str, engine: str) -> str:
    """Return the text of the job's YAML."""
    target = choices.target
    quoted = f"`{target.column.replace('`', '``')}`" if not target.column.isidentifier() else target.column
    where = f"{quoted} IS NOT NULL" + (f" AND NOT isnan({quoted})" if target.floating else "")
    label = scalar(target.column)
    if target.classes is not None:
        label = f"{{column: {label}, classes: [{', '.join(map(scalar, target.classes))}]}}"
    lines = [
        f"# Predict {target.column} from the rows at {look.url}. Written by `sparktrain init`, and yours to change:",
        "# docs/configuration.md has every key, `sparktrain validate --config` checks them.",
        "",
        f"name: {scalar(name)}",
        "",
        "data:",
        f"  path: {scalar(look.url)}",
        *([f"  format: {look.format}"] if look.format != "parquet" else []),
        *([f"  options: {flow(look.options)}"] if look.options else []),
        *([f"  schema: {scalar(look.schema)}"] if look.schema else []),
        f"  where: {json.dumps(where, ensure_ascii=False)}",
        f"  preprocess: {name}:prepare",
        "  validation: {fraction: 0.1}             # rows that are kept aside, to measure the model on",
        "  features:                               # the model's inputs, by name",
        *[f"    {line}" for line in _features(choices.features)],
        f"  label: {label}",
        "",
        f"model: {{build: {name}:build_model, args: {{units: 64}}}}",
        "",
        "training:",
        f"  engine: {engine}",
        *(
            ["  workers: 2                              # processes, one on each executor"]
            if not ENGINES[engine].one_worker
            else []
        ),
        f"  batch_size: {_batch(look):<28}# rows a step of each worker",
        "  epochs: 5",
        "",
        f"output: {{path: {scalar(output)}}}",
    ]
    return "\n".join(lines) + "\n"


def _batch(look: Look) -> int:
    rows = len(look.labels) if look.labels is not None else look.rows.num_rows
    return 64 if rows < _MANY else 256


def scalar(value: Any) -> str:
    """Return a value as YAML writes it."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    return json.dumps(value, ensure_ascii=False)


def flow(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{scalar(key)}: {scalar(value)}" for key, value in values.items()) + "}"


def _docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', r"\"\"\"")


def _features(features: Sequence[Feature]) -> list[str]:
    numbers = [feature.name for feature in features if feature.kind == "number"]
    lines = _wrapped("numbers: [", numbers, "]", "  ") if numbers else []
    for each in features:
        if each.kind in ("text", "items"):
            lines.append(f"{each.name}: {{column: {each.name}, length: {each.shape[0]}}}")
        elif each.kind == "sequence":
            lines.append(f"{each.name}: {{column: {each.name}, length: {each.shape[0]}, pad: {each.usual:g}}}")
        elif each.kind != "number":
            lines.append(f"{each.name}: {each.name}")
    return lines


def _wrapped(start: str, items: Sequence[str], end: str, indent: str) -> list[str]:
    lines, line = [], start
    for number, item in enumerate(items):
        piece = item + (", " if number < len(items) - 1 else "")
        if len(line) + len(piece) > _WIDTH and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += piece
    return [*lines, line + end]


@dataclass(frozen=True)
class _Section:
    """How columns of one kind are written down.

    Attributes:
        takes: whether a feature is of this kind.
        table: the name of the table that has them in the module.
        comment: above it.
        entry: what it has of each.
        columns: what `prepare` selects of them.
        inputs: what `build_model` makes of them.
    """

    takes: Callable[[Feature], bool]
    table: str
    comment: str
    entry: Callable[[Feature], str]
    columns: str
    inputs: str


def _of(kind: str) -> Callable[[Feature], bool]:
    return lambda each: each.kind == kind


_WORDS = """
    for name, length in {table}.items():
        words = keras.Input((length,), dtype="string", name=name)
        inputs.append(words)
        numbers = layers.Hashing(HASHES, mask_value="")(words)
        known.append(layers.GlobalMaxPooling1D()(layers.Embedding(HASHES, 16)(numbers)))
"""
_VECTORS = """
    for name, (length, usual, spread) in {table}.items():
        vector = keras.Input((length,), name=name)
        inputs.append(vector)
        known.append(layers.Rescaling(1 / spread, -usual / spread)(vector))
"""
_SECTIONS = (
    _Section(
        _of("number"),
        "NUMBERS",
        "Numbers: what is usual, which takes a missing one's place, and the spread by which they are scaled.",
        lambda each: f"({each.usual!r}, {each.spread!r})",
        """\
        *[F.coalesce(F.nanvl(F.col(name).try_cast("float"), F.lit(None)), F.lit(usual)).cast("float").alias(name)
          for name, (usual, _) in NUMBERS.items()],
""",
        """
    numbers = keras.Input((len(NUMBERS),), name="numbers")
    inputs.append(numbers)
    usual, spread = zip(*NUMBERS.values())
    known.append(layers.Normalization(mean=usual, variance=[each**2 for each in spread])(numbers))
""",
    ),
    _Section(
        _of("category"),
        "CATEGORIES",
        "Categories, and the values that were seen of each; all others, and a missing one, are one more.",
        lambda each: repr(list(each.values)),
        """\
        *[F.coalesce(F.col(name).cast("string"), F.lit("")).alias(name) for name in CATEGORIES],
""",
        """
    for name, values in CATEGORIES.items():
        word = keras.Input((1,), dtype="string", name=name)
        inputs.append(word)
        number = layers.StringLookup(vocabulary=values)(word)
        known.append(layers.Flatten()(layers.Embedding(len(values) + 1, 8)(number)))
""",
    ),
    _Section(
        _of("hashed"),
        "HASHED",
        "Strings of many values, each by its hash: how many hashes there are.",
        lambda each: str(1 << max(10, each.shape[0].bit_length())),
        """\
        *[F.coalesce(F.col(name).cast("string"), F.lit("")).alias(name) for name in HASHED],
""",
        """
    for name, hashes in HASHED.items():
        word = keras.Input((1,), dtype="string", name=name)
        inputs.append(word)
        known.append(layers.Flatten()(layers.Embedding(hashes, 8)(layers.Hashing(hashes)(word))))
""",
    ),
    _Section(
        _of("text"),
        "TEXTS",
        "Texts: how many words are taken of each, by their hashes.",
        lambda each: str(each.shape[0]),
        """\
        *[F.split(F.lower(F.trim(F.coalesce(name, F.lit("")))), r"\\W+").alias(name) for name in TEXTS],
""",
        _WORDS.format(table="TEXTS"),
    ),
    _Section(
        _of("items"),
        "ITEMS",
        "Arrays of ids or strings: how many items are taken of each, by their hashes.",
        lambda each: str(each.shape[0]),
        """\
        *[F.coalesce(F.filter(F.col(name).cast("array<string>"), lambda item: item.isNotNull()), F.array()).alias(name)
          for name in ITEMS],
""",
        _WORDS.format(table="ITEMS"),
    ),
    _Section(
        _of("sequence"),
        "SEQUENCES",
        "Sequences: their shape, [steps] or [steps, numbers], what is usual of their numbers, and the spread.",
        lambda each: f"({each.shape!r}, {each.usual!r}, {each.spread!r})",
        """\
        *[F.coalesce(F.col(name).cast("array<float>" if len(shape) == 1 else "array<array<float>>"), F.array()).alias(name)
          for name, (shape, _, _) in SEQUENCES.items()],
""",
        """
    for name, (shape, usual, spread) in SEQUENCES.items():
        steps = keras.Input(shape, name=name)
        inputs.append(steps)
        scaled = layers.Rescaling(1 / spread, -usual / spread)(steps)
        known.append(layers.LSTM(units)(layers.Reshape((shape[0], -1))(scaled)))
""",
    ),
    _Section(
        lambda each: each.kind == "vector" and not each.is_vector,
        "VECTORS",
        "Arrays of as many numbers in every row: how many, what is usual of them, which takes a missing one's place, and the spread.",
        lambda each: f"({each.shape[0]}, {each.usual!r}, {each.spread!r})",
        """\
        *[F.coalesce(F.col(name).cast("array<float>"), F.array_repeat(F.lit(usual).cast("float"), length)).alias(name)
          for name, (length, usual, _) in VECTORS.items()],
""",
        _VECTORS.format(table="VECTORS"),
    ),
    _Section(
        lambda each: each.kind == "vector" and each.is_vector,
        "SPARK_VECTORS",
        "Spark ML's vectors: how many numbers they have, what is usual of them, and the spread.",
        lambda each: f"({each.shape[0]}, {each.usual!r}, {each.spread!r})",
        """\
        *SPARK_VECTORS,
""",
        _VECTORS.format(table="SPARK_VECTORS"),
    ),
)


def _table(section: _Section, features: Sequence[Feature]) -> str:
    entries = [f"{each.name!r}: {section.entry(each)}" for each in features]
    return f"# {section.comment}\n" + "\n".join(_wrapped(f"{section.table} = {{", entries, "}", "    ")) + "\n"


def _prepare(choices: Choices, sections: Sequence[_Section]) -> str:
    names = {each.column: each.name for each in choices.features if each.column != each.name}
    label = json.dumps(f"`{choices.target.column}`", ensure_ascii=False)
    renamed = f"    frame = frame.withColumnsRenamed({names!r})\n" if names else ""
    return (
        "def prepare(frame):\n"
        '    """The columns that the model takes, nothing missing in them, and the label."""\n'
        "    from pyspark.sql import functions as F\n\n"
        f"{renamed}    return frame.select(\n{''.join(section.columns for section in sections)}        F.col({label}),\n    )\n"
    )


def _build(target: Target, sections: Sequence[_Section]) -> str:
    if target.task == "regression":
        outputs = (
            "    output = layers.Dense(1)(hidden)\n"
            f"    output = layers.Rescaling({target.spread!r}, {target.usual!r})(output)   # to the label's own unit\n"
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
        '    """A compiled Keras model, which has an input for each of the job\'s features."""\n'
        "    import keras\n    from keras import layers\n\n"
        f"    inputs, known = [], []\n{''.join(section.inputs for section in sections)}\n"
        "    hidden = layers.concatenate(known) if len(known) > 1 else known[0]\n"
        '    hidden = layers.Dense(units, activation="relu")(hidden)\n'
        f"{outputs}"
        "    model = keras.Model(inputs, output)\n"
        f"    model.compile(keras.optimizers.Adam(learning_rate), {compiled})\n"
        "    return model\n"
    )
