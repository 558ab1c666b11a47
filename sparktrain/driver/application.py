"""A run whose program runs on the cluster, as the launcher sees it: by spark-submit's output and the storage."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import sys
import threading
from typing import IO

from sparktrain.config import Job
from sparktrain.driver.result import Result, tell
from sparktrain.driver.seen import run_end
from sparktrain.storage import StorageError, open_folder

_SUBMITTED = re.compile(r"\bapplication_\d+_\d+\b")
_KILLING = 60.0   # seconds


class OnCluster:
    """One such run.

    Args:
        job: what it does.
        run: its id.
    """

    def __init__(self, job: Job, run: str) -> None:
        self.run = run
        self._root = _on_default_file_system(job.output.path or f"/tmp/sparktrain-{getpass.getuser()}/{job.name}")
        self._application: str | None = None
        self._listener: threading.Thread | None = None

    def listen(self, output: IO[bytes]) -> None:
        """Pass spark-submit's lines on, and learn from them which application it is."""
        self._listener = threading.Thread(target=self._pass_on, args=(output,), name="spark-submit-output", daemon=True)
        self._listener.start()

    def _pass_on(self, output: IO[bytes]) -> None:
        for line in output:
            text = line.decode(errors="replace").rstrip("\n")
            if self._application is None and (found := _SUBMITTED.search(text)):
                self._application = found[0]
            tell(text)

    def stop(self) -> bool:
        """Have the cluster end the application.

        Returns:
            Whether there is one; else spark-submit itself is to be ended.
        """
        if self._application is None:
            return False
        home = os.environ["SPARK_HOME"]
        java = os.path.join(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else shutil.which("java")
        conf = os.environ.get("HADOOP_CONF_DIR") or os.environ.get("YARN_CONF_DIR", "")
        command = [java, "-cp", os.pathsep.join([conf, os.path.join(home, "jars", "*")]),
                   "org.apache.hadoop.yarn.client.cli.ApplicationCLI", "-kill", self._application]
        tell(f"asking YARN to end {self._application} ...")
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=_KILLING, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            tell(f"{self._application} may still run ({error}); end it by: yarn application -kill {self._application}")
        return True

    def end(self) -> Result | None:
        """How the run ended; None where it left no word of it."""
        if self._listener is not None:
            self._listener.join(5)
        try:
            return run_end(open_folder(self._root), self.run, self._application)
        except StorageError as error:
            tell(f"how run {self.run} ended can't be read from {self._root}: {error}")
            return None

    @property
    def where(self) -> str:
        """Where to look for what it did not say."""
        if self._application is None:
            return "it was not submitted: spark-submit's own lines above say why"
        return f"its log: yarn logs -applicationId {self._application}"


def _on_default_file_system(path: str) -> str:
    """A path as the program on the cluster takes it: without a scheme it lies on HDFS."""
    if "://" in path:
        return path
    return f"hdfs://{path}" if path.startswith("/") else f"hdfs:///user/{getpass.getuser()}/{path}"
