"""The text of a job: its Python, which a user goes on with, and its YAML."""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, Sequence

from sparktrain.driver.init.choices import Choices, Feature, Target
from sparktrain.driver.init.looking import Look

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_WIDTH = 110   # characters of a line
_MANY = 50_000   # rows from which on an epoch of small batches takes long


def python(choices: Choices, url: str) -> str:
    """The module with `prepare` and `build_model`."""
    by_kind = _by_kind(choices.features)
    parts = [
        f'"""Predict `{_docstring(choices.target.column)}` from the rows at {_docstring(url)}.\n\n'
        'Written by `sparktrain init` and yours to change: `prepare` runs in Spark, `build_model` in every worker.\n"""\n',
        *_tables(by_kind), "\n", _prepare(choices, by_kind), "\n\n", _build(choices.target, by_kind),
    ]
    return "".join(parts)


def yaml(choices: Choices, look: Look, name: str, output: str, engine: str) -> str:
    """The job."""
    target = choices.target
    quoted = f"`{target.column.replace('`', '``')}`" if not target.column.isidentifier() else target.column
    where = f"{quoted} IS NOT NULL" + (f" AND NOT isnan({quoted})" if target.floating else "")
    label = scalar(target.column)
    if target.classes is not None:
        label = f"{{column: {label}, classes: [{', '.join(map(scalar, target.classes))}]}}"
    lines = [
        f"# Predict {target.column} from the rows at {look.url}. Written by `sparktrain init`, and yours to change:",
        "# docs/configuration.md has every key, `sparktrain validate --config` checks them.", "",
        f"name: {scalar(name)}", "", "data:", f"  path: {scalar(look.url)}",
        *([f"  format: {look.format}"] if look.format != "parquet" else []),
        *([f"  options: {flow(look.options)}"] if look.options else []),
        *([f"  schema: {scalar(look.schema)}"] if look.schema else []),
        f"  where: {json.dumps(where, ensure_ascii=False)}",
        f"  preprocess: {name}:prepare",
        "  validation: {fraction: 0.1}             # rows that are kept aside, to measure the model on",
        "  features:                               # the model's inputs, by name",
        *[f"    {line}" for line in _features(choices.features)],
        f"  label: {label}", "",
        f"model: {{build: {name}:build_model, args: {{units: 64}}}}", "",
        "training:",
        f"  engine: {engine}",
        *(["  workers: 2                              # processes, one on each executor"] if engine not in ("single", "mirrored") else []),
        f"  batch_size: {_batch(look):<28}# rows a step of each worker",
        "  epochs: 5", "",
        f"output: {{path: {scalar(output)}}}",
    ]
    return "\n".join(lines) + "\n"


def _batch(look: Look) -> int:
    rows = len(look.labels) if look.labels is not None else look.rows.num_rows
    return 64 if rows < _MANY else 256


def scalar(value: Any) -> str:
    """A value as YAML has it."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    return json.dumps(value, ensure_ascii=False)


def flow(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{scalar(key)}: {scalar(value)}" for key, value in values.items()) + "}"


def _docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', r'\"\"\"')


def _by_kind(features: Sequence[Feature]) -> dict[str, list[Feature]]:
    found: dict[str, list[Feature]] = {}
    for feature in features:
        found.setdefault(feature.kind, []).append(feature)
    return found


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


def _table(comment: str, name: str, entries: Sequence[str]) -> str:
    lines = _wrapped(f"{name} = {{", entries, "}", "    ")
    return f"# {comment}\n" + "\n".join(lines) + "\n"


def _tables(by_kind: Mapping[str, Sequence[Feature]]) -> list[str]:
    """What is known of the columns, by their names."""
    def entries(kinds: Sequence[str], value: Any) -> list[str]:
        return [f"{each.name!r}: {value(each)}" for kind in kinds for each in by_kind.get(kind, ())]

    texts = []
    for comment, name, found in (
        ("Numbers: what is usual, which takes a missing one's place, and the spread by which they are scaled.", "NUMBERS",
         entries(["number"], lambda each: f"({each.usual!r}, {each.spread!r})")),
        ("Categories, and the values that were seen of each; all others, and a missing one, are one more.", "CATEGORIES",
         entries(["category"], lambda each: repr(list(each.values)))),
        ("Strings of many values, each by its hash: how many hashes there are.", "HASHED",
         entries(["hashed"], lambda each: str(1 << max(10, each.shape[0].bit_length())))),
        ("Words of a text, or items of an array, each by its hash: how many of a row are taken.", "WORDS",
         entries(["text", "items"], lambda each: str(each.shape[0]))),
        ("Sequences: their shape, of [steps] or [steps, numbers], and what is usual of their numbers and their spread.", "SEQUENCES",
         entries(["sequence"], lambda each: f"({each.shape!r}, {each.usual!r}, {each.spread!r})")),
        ("Vectors: how many numbers they have, what is usual of them, and their spread.", "VECTORS",
         entries(["vector"], lambda each: f"({each.shape[0]}, {each.usual!r}, {each.spread!r})")),
    ):
        if found:
            texts.append(_table(comment, name, found))
    if "WORDS = {" in "".join(texts) or by_kind.get("text") or by_kind.get("items"):
        texts.append("HASHES = 10_000   # of words and items\n")
    return texts


def _prepare(choices: Choices, by_kind: Mapping[str, Sequence[Feature]]) -> str:
    names = {each.column: each.name for each in choices.features if each.column != each.name}
    columns = []
    if "number" in by_kind:
        columns += ["*[F.coalesce(F.nanvl(F.col(name).try_cast(\"float\"), F.lit(None)), F.lit(usual)).cast(\"float\").alias(name)",
                    "  for name, (usual, _) in NUMBERS.items()],"]
    for kind, table in (("category", "CATEGORIES"), ("hashed", "HASHED")):
        if kind in by_kind:
            columns.append(f"*[F.coalesce(F.col(name).cast(\"string\"), F.lit(\"\")).alias(name) for name in {table}],")
    columns += [f"F.split(F.lower(F.trim(F.coalesce(\"{each.name}\", F.lit(\"\")))), r\"\\W+\").alias(\"{each.name}\"),   # a text's words"
                for each in by_kind.get("text", ())]
    columns += [f"F.coalesce(F.filter(F.col(\"{each.name}\").cast(\"array<string>\"), lambda item: item.isNotNull()), F.array()).alias(\"{each.name}\"),"
                for each in by_kind.get("items", ())]
    for each in by_kind.get("sequence", ()):
        kind = "array<float>" if len(each.shape) == 1 else "array<array<float>>"
        columns.append(f"F.coalesce(F.col(\"{each.name}\").cast(\"{kind}\"), F.array()).alias(\"{each.name}\"),")
    for each in by_kind.get("vector", ()):
        if each.is_vector:
            columns.append(f"\"{each.name}\",")
        else:
            columns.append(f"F.coalesce(F.col(\"{each.name}\").cast(\"array<float>\"), F.array_repeat(F.lit({each.usual!r}).cast(\"float\"), "
                           f"{each.shape[0]})).alias(\"{each.name}\"),")
    columns.append(f"F.col({json.dumps('`' + choices.target.column + '`', ensure_ascii=False)}),")
    lines = ["def prepare(frame):", '    """The columns that the model takes, nothing missing in them, and the label."""',
             "    from pyspark.sql import functions as F", ""]
    if names:
        lines.append(f"    frame = frame.withColumnsRenamed({names!r})")
    lines += ["    return frame.select(", *[f"        {line}" for line in columns], "    )"]
    return "\n".join(lines) + "\n"


_INPUTS = {
    "number": '''
    numbers = keras.Input((len(NUMBERS),), name="numbers")
    inputs.append(numbers)
    usual, spread = zip(*NUMBERS.values())
    known.append(layers.Normalization(mean=usual, variance=[each**2 for each in spread])(numbers))
''',
    "category": '''
    for name, values in CATEGORIES.items():
        word = keras.Input((1,), dtype="string", name=name)
        inputs.append(word)
        number = layers.StringLookup(vocabulary=values)(word)
        known.append(layers.Flatten()(layers.Embedding(len(values) + 1, 8)(number)))
''',
    "hashed": '''
    for name, hashes in HASHED.items():
        word = keras.Input((1,), dtype="string", name=name)
        inputs.append(word)
        known.append(layers.Flatten()(layers.Embedding(hashes, 8)(layers.Hashing(hashes)(word))))
''',
    "words": '''
    for name, length in WORDS.items():
        words = keras.Input((length,), dtype="string", name=name)
        inputs.append(words)
        numbers = layers.Hashing(HASHES, mask_value="")(words)
        known.append(layers.GlobalMaxPooling1D()(layers.Embedding(HASHES, 16)(numbers)))
''',
    "sequence": '''
    for name, (shape, usual, spread) in SEQUENCES.items():
        steps = keras.Input(shape, name=name)
        inputs.append(steps)
        scaled = layers.Rescaling(1 / spread, -usual / spread)(steps)
        known.append(layers.LSTM(units)(layers.Reshape((shape[0], -1))(scaled)))
''',
    "vector": '''
    for name, (length, usual, spread) in VECTORS.items():
        vector = keras.Input((length,), name=name)
        inputs.append(vector)
        known.append(layers.Rescaling(1 / spread, -usual / spread)(vector))
''',
}


def _build(target: Target, by_kind: Mapping[str, Sequence[Feature]]) -> str:
    kinds = dict.fromkeys("words" if kind in ("text", "items") else kind for kind in _INPUTS if kind in by_kind)
    if "text" in by_kind or "items" in by_kind:
        kinds["words"] = None
    inputs = "".join(_INPUTS[kind] for kind in _INPUTS if kind in kinds)
    if target.task == "regression":
        outputs = (f"    output = layers.Rescaling({target.spread!r}, {target.usual!r})(layers.Dense(1)(hidden))   # in the label's own unit\n")
        compiled = '"mse", metrics=["mae"]'
    elif target.task == "binary":
        outputs = '    output = layers.Dense(1, activation="sigmoid")(hidden)\n'
        compiled = '"binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")]'
    else:
        outputs = f'    output = layers.Dense({target.outputs}, activation="softmax")(hidden)\n'
        compiled = '"sparse_categorical_crossentropy", metrics=["accuracy"]'
    return ('def build_model(units=64, learning_rate=0.001):\n'
            '    """A compiled Keras model, which has an input for each of the job\'s features."""\n'
            "    import keras\n    from keras import layers\n\n"
            f"    inputs, known = [], []\n{inputs}\n"
            "    hidden = layers.concatenate(known) if len(known) > 1 else known[0]\n"
            '    hidden = layers.Dense(units, activation="relu")(hidden)\n'
            f"{outputs}"
            "    model = keras.Model(inputs, output)\n"
            f"    model.compile(keras.optimizers.Adam(learning_rate), {compiled})\n"
            "    return model\n")
