"""A Kerberos on this machine: a key distribution centre, by Hadoop's MiniKdc, which is Apache Kerby's."""

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
KERBY = "2.0.3"  # which hadoop-minikdc was built with
START_SECONDS = 60.0
SERVICES = ("hdfs/localhost", "HTTP/localhost")


class Kerberos:
    """A key distribution centre, for as long as the `with` lasts; on Linux it ends with this process, however that ends.

        with Kerberos(folder, "alice") as kerberos, Sandbox(home, kerberos=kerberos) as sandbox:
            os.environ |= kerberos.client()

    Its keys are new at each start.

    Args:
        folder: its own; made if it isn't there.
        user: the principal that clients have the key of, without the realm.
        tell: told what is being waited for; default: nobody.

    Attributes:
        conf: the file to name in KRB5_CONFIG, and to Java by -Djava.security.krb5.conf.
        keytab: the file of all keys, the user's first.
    """

    def __init__(self, folder: Path, user: str, tell: Callable[[str], None] = lambda line: None) -> None:
        self._folder, self._user, self._tell = folder, user, tell
        self.conf, self.keytab = folder / "krb5.conf", folder / "keytab"
        self._running: subprocess.Popen | None = None

    def __enter__(self) -> Kerberos:
        self._folder.mkdir(parents=True, exist_ok=True)
        found = java.find_java()
        if not java.has_kerberos(found):
            raise SandboxError(
                f"{found} was linked without jdk.security.jgss, by which Java signs in with Kerberos: install another Java "
                "(apt-get install default-jre-headless), and set JAVA_HOME to it."
            )
        needed = java.fetch_with_needed(found, "org.apache.kerby", "kerb-simplekdc", KERBY, self._tell)
        server = java.fetch(found, "org.apache.hadoop", "hadoop-minikdc", java.hadoop_version(), self._tell)
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
                    f"{server}:{java.spark_jars()}/*:{needed}/*",
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
        # It says so when the keys are written, which it does last.
        while "kill <PID>" not in (said := (self._folder / "kdc.log").read_text()):
            if self._running.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise SandboxError(f"Kerberos's key distribution centre did not start:\n{said[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.kill()  # it keeps nothing
            self._running.wait()

    def client(self) -> dict[str, str]:
        """The environment of the user's programs: their ticket comes from the keytab, and is kept for Java to find."""
        java_options = f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} {self.java_option}"
        return {
            "KRB5_CONFIG": str(self.conf),
            "KRB5_CLIENT_KTNAME": f"FILE:{self.keytab}",
            "KRB5CCNAME": f"FILE:{self._folder / 'tickets'}",
            "JAVA_TOOL_OPTIONS": java_options.strip(),
        }

    @property
    def java_option(self) -> str:
        return f"-Djava.security.krb5.conf={self.conf}"

    def sites(self) -> dict[str, dict[str, str]]:
        """The settings of an HDFS that asks for it, by the name of the file that holds them."""
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
                # Only root could open the ports that a DataNode's clients would trust without it.
                "ignore.secure.ports.for.testing": "true",
            },
        }
