"""A sandbox's folder: what lies where, and what it says about the processes that run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from sparktrain.sandbox.errors import SandboxError

PRETENDED_GPU = """\
#!/bin/sh
# A discovery script as Spark calls it, for a node whose GPUs are pretended.
echo "{\\"name\\": \\"gpu\\", \\"addresses\\": [$SANDBOX_GPUS]}"
"""

LOG4J = """\
rootLogger.level = info
rootLogger.appenderRef.error.ref = error
appender.error.type = Console
appender.error.name = error
appender.error.target = SYSTEM_ERR
appender.error.layout.type = PatternLayout
appender.error.layout.pattern = %d{ISO8601} %p %c{1}: %m%n%ex
# One line for each file and block would fill the disk of a sandbox that stays up.
logger.state.name = org.apache.hadoop.hdfs.StateChange
logger.state.level = warn
logger.blocks.name = BlockStateChange
logger.blocks.level = warn
logger.audit.name = org.apache.hadoop.hdfs.server.namenode.FSNamesystem.audit
logger.audit.level = warn
logger.datanode.name = org.apache.hadoop.hdfs.server.datanode
logger.datanode.level = warn
"""


FALLBACK = Path("/var/tmp")  # not /tmp: a sandbox's data survives a restart of the machine


class Home:
    """The folder of one sandbox, which survives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "conf"
        self.logs = folder / "logs"
        self.data = folder / "data"
        self.scratch = folder / "tmp"
        self.classes = folder / "classes"
        self.log4j = folder / "log4j2.properties"
        self.gpu_script = folder / "gpu.sh"

    @staticmethod
    def default() -> Path:
        """Return the folder of the sandbox that is started without naming one.

        It is in the user's XDG_DATA_HOME (~/.local/share), or in /var/tmp/sparktrain-UID where Hadoop can't keep data there.

        Raises:
            SandboxError: /var/tmp/sparktrain-UID isn't the user's alone.
        """
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        folder = Path(data) / "sparktrain" / "sandbox"
        if _hadoop_can_use(folder):
            return folder
        own = FALLBACK / f"sparktrain-{os.getuid()}"
        own.mkdir(mode=0o700, exist_ok=True)
        about = own.lstat()
        # Whoever could write there could lead this user's jobs to a Hadoop of theirs.
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
            raise SandboxError(
                f"Hadoop's DataNode can't keep data in {str(folder)!r}, and {own} is not a folder of mode 0700 that belongs to you. "
                "Set XDG_DATA_HOME to a folder of your own whose path has no spaces and no letters but ASCII's."
            )
        return own / "sandbox"

    def make(self) -> None:
        """Make what isn't there yet.

        Raises:
            SandboxError: Hadoop can't keep data at such a path.
        """
        if not _hadoop_can_use(self.folder):
            raise SandboxError(
                f"Hadoop's DataNode can't keep data in {str(self.folder)!r}: its path may have no spaces, commas or "
                "other characters that a URI escapes. Choose another folder with --home (home= in Python)."
            )
        for folder in (self.conf, self.logs, self.data, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
        self.log4j.write_text(LOG4J)
        self.gpu_script.write_text(PRETENDED_GPU)
        self.gpu_script.chmod(0o755)

    def clear_scratch(self) -> None:
        """Remove what daemons that were killed left; only while none runs."""
        shutil.rmtree(self.scratch)
        self.scratch.mkdir()

    def ports(self) -> dict[str, dict[str, int]]:
        """Return the ports of the latest start; {} where there was none."""
        file = self.folder / "ports.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def keep_ports(self, ports: Mapping[str, Mapping[str, int]]) -> None:
        """Write the ports down for this start and the next one."""
        (self.folder / "ports.json").write_text(json.dumps(ports, indent=1))

    def managers(self) -> list[str]:
        """Return which of Spark's cluster managers the latest plan has."""
        file = self.folder / "managers.json"
        return json.loads(file.read_text()) if file.exists() else []

    def keep_plan(self, plan: Mapping[str, Any], managers: Sequence[str]) -> None:
        """Write down what the supervisor is to run."""
        (self.folder / "managers.json").write_text(json.dumps(list(managers)))
        scratch = self.folder / "plan.json.new"
        scratch.write_text(json.dumps(plan, indent=1))
        os.replace(scratch, self.folder / "plan.json")

    def write_sites(self, sites: Mapping[str, Mapping[str, str]]) -> None:
        """Write Hadoop's configuration files, and remove those that are not among them."""
        for other in self.conf.glob("*.xml"):
            if other.name not in sites:
                other.unlink()
        for name, settings in sites.items():
            root = ElementTree.Element("configuration")
            for key, value in settings.items():
                entry = ElementTree.SubElement(root, "property")
                ElementTree.SubElement(entry, "name").text = key
                ElementTree.SubElement(entry, "value").text = value
            ElementTree.indent(root)
            ElementTree.ElementTree(root).write(self.conf / name, encoding="utf-8", xml_declaration=True)

    def state(self) -> dict | None:
        """Return what the running supervisor says of itself and of its processes; None if none runs."""
        lock = self.folder / "supervisor.lock"
        if not lock.exists():
            return None
        with open(lock) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                pass
        try:
            return json.loads((self.folder / "state.json").read_text())
        except FileNotFoundError:
            return None

    def log(self, name: str) -> str:
        """Return what a process has written since it was started."""
        log = self.logs / f"{name}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def log_tail(self, name: str, lines: int = 25) -> str:
        """Return the last lines of a process's log, indented, under the log's path."""
        content = self.log(name).splitlines()
        return "\n".join([f"The last lines of {self.logs / name}.log:", *(f"    {line}" for line in content[-lines:])])


def _hadoop_can_use(folder: Path) -> bool:
    """Whether a DataNode can keep data there: its path may have no commas, and nothing that a URI escapes."""
    return unquote(folder.as_uri()) == folder.as_uri() and "," not in str(folder)
