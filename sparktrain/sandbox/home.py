"""Reads and writes the files in a sandbox's folder: configuration, ports, logs, and the state of its processes."""

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

SIMULATED_GPUS = """\
#!/bin/sh
# A discovery script for Spark that reports simulated GPUs.
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
# A line for each file and block would fill the disk of a sandbox that runs for long.
logger.state.name = org.apache.hadoop.hdfs.StateChange
logger.state.level = warn
logger.blocks.name = BlockStateChange
logger.blocks.level = warn
logger.audit.name = org.apache.hadoop.hdfs.server.namenode.FSNamesystem.audit
logger.audit.level = warn
logger.datanode.name = org.apache.hadoop.hdfs.server.datanode
logger.datanode.level = warn
"""


FALLBACK = Path("/var/tmp")  # not /tmp, as a sandbox's data must survive a restart of the machine


class Home:
    """The folder of a sandbox, which is kept when the sandbox ends.

    Args:
        folder: its path; it need not exist before `make`.

    Attributes:
        folder: its path.
        conf: the folder of Hadoop's configuration, for HADOOP_CONF_DIR.
        logs: the folder of the processes' logs.
        data: the folder of the daemons' data.
        scratch: the folder of temporary files.
        classes: the folder of the sandbox's own Java class, compiled.
        log4j: the file of the daemons' log settings.
        gpu_script: the discovery script that reports simulated GPUs.
    """

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
        """Return the default folder of a sandbox.

        It is in XDG_DATA_HOME (~/.local/share), or in /var/tmp/sparktrain-UID if Hadoop can't keep data under that path.

        Raises:
            SandboxError: /var/tmp/sparktrain-UID belongs to another user, or others may write to it.
        """
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        folder = Path(data) / "sparktrain" / "sandbox"
        if _hadoop_can_use(folder):
            return folder
        own = FALLBACK / f"sparktrain-{os.getuid()}"
        own.mkdir(mode=0o700, exist_ok=True)
        status = own.lstat()
        # Another user who could write there could direct this user's jobs to a Hadoop of their own
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise SandboxError(
                f"Hadoop's DataNode can't keep data in {str(folder)!r}, and {own} is not a folder of mode 0700 that belongs to you. "
                "Set XDG_DATA_HOME to a folder of your own whose path has only ASCII characters and no spaces or commas."
            )
        return own / "sandbox"

    def make(self) -> None:
        """Make the folders and files that don't exist yet.

        Raises:
            SandboxError: Hadoop can't keep data under this path.
        """
        if not _hadoop_can_use(self.folder):
            raise SandboxError(
                f"Hadoop's DataNode can't keep data in {str(self.folder)!r}: the path must not have spaces, commas or other "
                "characters that are escaped in a URI. Choose another folder with --home (home= in Python)."
            )
        for folder in (self.conf, self.logs, self.data, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
        self.log4j.write_text(LOG4J)
        self.gpu_script.write_text(SIMULATED_GPUS)
        self.gpu_script.chmod(0o755)

    def clear_scratch(self) -> None:
        """Remove temporary files that killed daemons left; to be called only while no daemon runs."""
        shutil.rmtree(self.scratch)
        self.scratch.mkdir()

    def ports(self) -> dict[str, dict[str, int]]:
        """Read the ports of the latest start, by daemon and role; {} if there was none."""
        file = self.folder / "ports.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def write_ports(self, ports: Mapping[str, Mapping[str, int]]) -> None:
        """Write the ports, by daemon and role, for this start and the next one."""
        (self.folder / "ports.json").write_text(json.dumps(ports, indent=1))

    def managers(self) -> list[str]:
        """Read the names of the cluster managers in the latest plan."""
        file = self.folder / "managers.json"
        return json.loads(file.read_text()) if file.exists() else []

    def write_plan(self, plan: Mapping[str, Any], managers: Sequence[str]) -> None:
        """Write the plan of the processes that the supervisor has to run, and the names of its cluster managers."""
        (self.folder / "managers.json").write_text(json.dumps(list(managers)))
        scratch = self.folder / "plan.json.new"
        scratch.write_text(json.dumps(plan, indent=1))
        os.replace(scratch, self.folder / "plan.json")

    def write_sites(self, sites: Mapping[str, Mapping[str, str]]) -> None:
        """Write Hadoop's configuration files, and remove all others.

        Args:
            sites: the settings by file name.
        """
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
        """Read the state that the running supervisor has written of its processes; None if no supervisor runs."""
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
        """Read the log of a process since its latest start; empty if there is none."""
        log = self.logs / f"{name}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def log_tail(self, name: str, lines: int = 25) -> str:
        """Return the last lines of a process's log for an error message, headed by the log's path."""
        content = self.log(name).splitlines()
        return "\n".join([f"The last lines of {self.logs / name}.log:", *(f"    {line}" for line in content[-lines:])])


def _hadoop_can_use(folder: Path) -> bool:
    """Return whether a DataNode can keep data in a folder: its path has no commas, and no characters that a URI escapes."""
    return unquote(folder.as_uri()) == folder.as_uri() and "," not in str(folder)
