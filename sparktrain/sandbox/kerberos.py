"""Runs a Kerberos key distribution centre on this machine: Hadoop's MiniKdc, which is based on Apache Kerby."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from sparktrain.sandbox import java
from sparktrain.sandbox.errors import SandboxError
from sparktrain.sandbox.supervisor import end_with_parent

REALM = "EXAMPLE.COM"  # MiniKdc's
KERBY = "2.0.3"  # the version that hadoop-minikdc was built with
START_SECONDS = 60.0
SERVICES = ("hdfs/localhost", "HTTP/localhost")


class Kerberos:
    """A Kerberos key distribution centre that runs for as long as its `with` statement.

        with Kerberos(folder, "alice") as kerberos, Sandbox(home, kerberos=kerberos) as sandbox:
            os.environ |= kerberos.client()

    It makes new keys at each start. On Linux it ends with this process, even if that is killed.

    Args:
        folder: a folder of its own, which is made if it doesn't exist.
        user: the principal of the clients, without the realm.
        show: called with a message on what is being waited for.

    Attributes:
        conf: the path for KRB5_CONFIG, and for Java's option -Djava.security.krb5.conf.
        keytab: the path of the file with all keys, the user's first.
    """

    def __init__(self, folder: Path, user: str, show: Callable[[str], None] = lambda line: None) -> None:
        self._folder, self._user, self._show = folder, user, show
        self.conf, self.keytab = folder / "krb5.conf", folder / "keytab"
        self._running: subprocess.Popen | None = None

    def __enter__(self) -> Kerberos:
        self._folder.mkdir(parents=True, exist_ok=True)
        found = java.find_java()
        if not java.has_kerberos(found):
            raise SandboxError(
                f"{found} lacks the module jdk.security.jgss, which Java needs for Kerberos. Install another Java "
                "(apt-get install default-jre-headless), and set JAVA_HOME to its folder."
            )
        kerby = java.fetch_with_dependencies(found, "org.apache.kerby", "kerb-simplekdc", KERBY, self._show)
        server = java.fetch(found, "org.apache.hadoop", "hadoop-minikdc", java.hadoop_version(), self._show)
        properties = self._folder / "kdc.properties"
        properties.write_text("kdc.bind.address=localhost\nkdc.port=0\n")
        self.keytab.unlink(missing_ok=True)
        with open(self._folder / "kdc.log", "wb") as log:
            self._running = subprocess.Popen(
                [
                    found,
                    "-Xmx128m",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-cp",
                    f"{server}:{java.spark_jars()}/*:{kerby}/*",
                    "org.apache.hadoop.minikdc.MiniKdc",
                    self._folder,
                    properties,
                    self.keytab,
                    self._user,
                    *SERVICES,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )
        deadline = time.monotonic() + START_SECONDS
        # It prints this line last, once the keys are written
        while "kill <PID>" not in (output := (self._folder / "kdc.log").read_text()):
            if self._running.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise SandboxError(
                    f"The Kerberos key distribution centre did not start within {START_SECONDS:.0f} s. The end of "
                    f"{self._folder / 'kdc.log'}:\n{output[-2000:]}"
                )
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.kill()  # there is nothing that it would have to save
            self._running.wait()

    def client(self) -> dict[str, str]:
        """Return the environment variables with which the user's programs get a ticket from the keytab, and Java finds it."""
        java_options = f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} {self.java_option}"
        return {
            "KRB5_CONFIG": str(self.conf),
            "KRB5_CLIENT_KTNAME": f"FILE:{self.keytab}",
            "KRB5CCNAME": f"FILE:{self._folder / 'tickets'}",
            "JAVA_TOOL_OPTIONS": java_options.strip(),
        }

    @property
    def java_option(self) -> str:
        """The option by which Java finds this Kerberos."""
        return f"-Djava.security.krb5.conf={self.conf}"

    def sites(self) -> dict[str, dict[str, str]]:
        """Return the Hadoop settings of an HDFS that requires Kerberos, by configuration file."""
        service, web = (f"{name}@{REALM}" for name in SERVICES)
        hdfs = {
            f"dfs.{daemon}.{key}": value
            for daemon in ("namenode", "datanode")
            for key, value in (("kerberos.principal", service), ("keytab.file", str(self.keytab)))
        }
        return {
            "core-site.xml": {
                "hadoop.security.authentication": "kerberos",
                "hadoop.rpc.protection": "privacy",
            },
            "hdfs-site.xml": {
                **hdfs,
                "dfs.web.authentication.kerberos.principal": web,
                "dfs.web.authentication.kerberos.keytab": str(self.keytab),
                "dfs.block.access.token.enable": "true",
                "dfs.data.transfer.protection": "privacy",
                # Without this a DataNode needs ports below 1024, which only root may open
                "ignore.secure.ports.for.testing": "true",
            },
        }
