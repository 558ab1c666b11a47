"""The entry of the tables: a message of another program, with the text as that program writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownMessage:
    """A message of another program, or a part of it; its name is that of its constant.

    A pattern is searched in the text of that program alone: entries of other tables may match it, too.

    Attributes:
        pattern: a regular expression, searched in a text.
        example: a text that the program writes, which the pattern matches, and no other entry of its table does.
        seen: the program and the version that the example is of.
        means: what it means.
    """

    pattern: str
    example: str
    seen: str
    means: str

    def find(self, text: str) -> re.Match[str] | None:
        """Return the first match in a text; None if the text has no such message."""
        return re.search(self.pattern, text)  # compiled here, not in each process that imports the table

    def find_all(self, text: str) -> Iterator[re.Match[str]]:
        """Yield all matches in a text."""
        return re.finditer(self.pattern, text)


def line_with(messages: Iterable[KnownMessage], text: str) -> str | None:
    """Return a text's first line, without surrounding spaces, that has one of the messages; None if none has."""
    known = list(messages)
    return next((line.strip() for line in text.splitlines() if any(each.find(line) for each in known)), None)
