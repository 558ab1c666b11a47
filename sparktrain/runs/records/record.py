"""The base of the records' schemas, and their version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from sparktrain.runs.json_text import write_json

if TYPE_CHECKING:
    from sparktrain.storage import Folder

VERSION = 1  # of the records' schemas; raised when a field is removed or changes its meaning


class Schema(BaseModel):
    """What all schemas have in common. Each is built when it is first used: who prints one record doesn't wait for all."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True, defer_build=True)


class Record(Schema):
    """The base of all records: a schema version, written as JSON."""

    version: int = VERSION
    """The version of the record's schema. A record without one, by an earlier sparktrain, has version 1."""

    def write(self, folder: Folder, name: str) -> None:
        """Write the record into a folder as JSON.

        Raises:
            StorageError: it can't be written.
        """
        write_json(folder, name, self.content())

    def content(self) -> dict[str, Any]:
        """Return the fields that were set when the record was made, as a dict, with the version last."""
        content = self.model_dump(exclude_unset=True)
        return {**{name: value for name, value in content.items() if name != "version"}, "version": self.version}
