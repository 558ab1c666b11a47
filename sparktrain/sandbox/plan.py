"""Writes the plan of a sandbox: which daemons its supervisor has to run, with their ports and Hadoop's configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparktrain.sandbox import java, ports
from sparktrain.sandbox.daemons import Daemon, hdfs, sites
from sparktrain.sandbox.home import Home
from sparktrain.sandbox.kerberos import Kerberos
from sparktrain.sandbox.managers import standalone, yarn, yarn_sites


def daemons(home: Home, managers: Sequence[str]) -> tuple[Daemon, ...]:
    """Return the daemons of HDFS and of some cluster managers."""
    made = hdfs()
    if "yarn" in managers:
        # JAVA_HOME is the folder of the real program, which `java` may only be a link to
        made += yarn(java.find_java().resolve().parents[1])
    if "standalone" in managers:
        made += standalone(java.spark_jars().parent, home.gpu_script, home.conf)
    return made


def write_plan(
    home: Home,
    managers: Sequence[str],
    running: Sequence[str] = (),
    kerberos: Kerberos | None = None,
    show: Callable[[str], None] = lambda line: None,
) -> None:
    """Choose ports, and write Hadoop's configuration and the supervisor's plan.

    Args:
        home: the sandbox's folder.
        managers: the cluster managers of the plan.
        running: the names of daemons that run already, and keep their ports.
        kerberos: the Kerberos that HDFS requires tickets of; None for an HDFS without Kerberos.
        show: called with a message on what is being waited for.
    """
    found, planned = java.find_java(), daemons(home, managers)
    class_path = [str(home.conf), *java.class_path(found, show, with_yarn="yarn" in managers)]
    if "yarn" in managers:
        class_path.append(str(home.classes))
        if "nodemanager" not in running:
            java.compile_own(found, home.classes)
    options = [f"-Dlog4j2.configurationFile={home.log4j.as_uri()}", f"-Djava.io.tmpdir={home.scratch}"]
    more = {}
    if kerberos is not None:
        options.append(kerberos.java_option)
        more = kerberos.sites()
    kept = home.ports()
    new = {daemon.name: daemon.ports for daemon in planned if daemon.name not in running}
    chosen = {**kept, **ports.choose(new, kept)}
    home.write_ports(chosen)
    written = {**sites(chosen, home.folder), **(yarn_sites(chosen, home.folder) if "yarn" in managers else {})}
    home.write_sites({name: {**settings, **more.get(name, {})} for name, settings in written.items()})
    plan = {}
    for daemon in planned:
        data = home.data / daemon.name
        prepare = None
        if daemon.prepare is not None:
            scratch = home.data / f"{daemon.name}.new"
            command = daemon.command(found, class_path, options, chosen, scratch, daemon.prepare)
            prepare = {"command": command, "scratch": str(scratch), "makes": str(data)}
        plan[daemon.name] = {
            "command": daemon.command(found, class_path, options, chosen, data),
            "environment": daemon.variables(chosen, data),
            "prepare": prepare,
            "log": str(home.logs / f"{daemon.name}.log"),
        }
    home.write_plan(plan, managers)
