"""Write sparktrain/driver/train_keywords.py, from which editors complete the arguments of sparktrain.train, from the schema.

    python docs/train_keywords.py

What `help` and `inspect.signature` show needs no file: it is read from the schema.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "sparktrain" / "driver" / "train_keywords.py"
_TEXT = '''\
"""The types of the keyword arguments of `sparktrain.train`, for editors and type checkers.

Written by `python docs/train_keywords.py` from the schema; a test keeps it in step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from pyspark.ml import Estimator, Transformer


class TrainKeywords(TypedDict, total=False):
    """The keyword arguments of `sparktrain.train`; None takes the default."""

'''


def module() -> str:
    """Return the text of the module."""
    from sparktrain.config.keywords import KEYWORDS

    lines = []
    for name, keyword in KEYWORDS.items():
        default = "" if keyword.default in (None, {}, []) else f" Default: {json.dumps(keyword.default)}."
        lines += [
            f"    {name}: {f'Required[{keyword.type}]' if keyword.required else keyword.type}",
            textwrap.fill(f'"""{keyword.text}{default}"""', 126, initial_indent="    ", subsequent_indent="    "),
        ]
    return _TEXT + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    MODULE.write_text(module(), encoding="utf-8")
