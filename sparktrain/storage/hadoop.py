"""Reads from Hadoop's configuration where HDFS is, how to connect to it, and as which user."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from sparktrain.storage.errors import StorageError
from sparktrain.storage.urls import Location, parse

# Only these are read from the files: the settings are sent to the workers, and the files may have passwords and keys.
# A regular expression for whole keys, for both Python and Java.
HADOOP_KEYS = (
    r"^(fs\.defaultFS|fs\.default\.name|dfs\.(internal\.)?nameservices|dfs\.ha\.namenodes\..+"
    r"|dfs\.namenode\.(http|https|rpc)-address(\..+)?|dfs\.http\.policy|dfs\.webhdfs\.enabled"
    r"|dfs\.client\.use\.datanode\.hostname|dfs\.data\.transfer\.protection"
    r"|hadoop\.security\.(authentication|token\.service\.use_ip))$"
)
_VARIABLE = re.compile(r"\$\{([^${}\s]+)\}")
_WILDCARDS = ("0.0.0.0", "::", "[::]", "")
_RPC_PORT = 8020


def hadoop_settings(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the settings of core-site.xml and hdfs-site.xml on how to reach HDFS; empty without a configuration.

    The files are looked up in HADOOP_CONF_DIR, else YARN_CONF_DIR, else HADOOP_HOME/etc/hadoop, as by Spark.

    Args:
        environment: the environment variables to use; this process's if None.

    Raises:
        StorageError: a file exists but is no Hadoop configuration.
    """
    environment = os.environ if environment is None else environment
    folder = conf_folder(environment)
    if folder is None:
        return {}
    found: dict[str, str] = {}
    for name in ("core-site.xml", "hdfs-site.xml"):
        found |= _read(folder / name)
    return {key: _substitute(value, found, environment) for key, value in found.items() if re.match(HADOOP_KEYS, key)}


def conf_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the folder of Hadoop's configuration that the environment variables name; None if they name none."""
    for variable, under in (("HADOOP_CONF_DIR", ""), ("YARN_CONF_DIR", ""), ("HADOOP_HOME", "etc/hadoop")):
        if environment.get(variable):
            return Path(environment[variable], under)
    return None


def default_file_system(settings: Mapping[str, str]) -> str | None:
    """Return the URL of the default file system; None if it isn't set."""
    return settings.get("fs.defaultFS") or settings.get("fs.default.name")


def with_authority(location: Location, settings: Mapping[str, str]) -> Location:
    """Return an hdfs location with its name node: that of the default file system for `hdfs:///x`.

    Raises:
        StorageError: neither the URL nor the configuration names a name node.
    """
    if location.authority:
        return location
    default = default_file_system(settings)
    place = parse(default) if default else None
    if place is None or place.scheme != "hdfs" or not place.authority:
        found = f"fs.defaultFS is {default}" if default else "no fs.defaultFS was found"
        raise StorageError(
            f"{location}: the URL names no NameNode, and {found} ({_where()}). Write "
            f"hdfs://HOST:PORT{location.path}, or set HADOOP_CONF_DIR to the folder of core-site.xml"
        )
    return Location("hdfs", place.authority, location.path)


def asks_for_kerberos(settings: Mapping[str, str]) -> bool:
    """Return whether HDFS requires Kerberos: a ticket or a token."""
    return settings.get("hadoop.security.authentication", "simple").strip().lower() == "kerberos"


def webhdfs_is_closed(settings: Mapping[str, str]) -> bool:
    """Return whether Hadoop's configuration disables WebHDFS."""
    return settings.get("dfs.webhdfs.enabled", "true").strip().lower() == "false"


def web_addresses(location: Location, settings: Mapping[str, str]) -> list[str]:
    """Return the WebHDFS addresses of the name nodes that serve an hdfs location; several with high availability.

    Args:
        location: an hdfs location whose authority is a name service, or the host and port of a name node's RPC server.
        settings: the settings from `hadoop_settings`; without any, Hadoop's default port on that host is used.

    Returns:
        Addresses such as `http://node1:9870`.

    Raises:
        StorageError: the configuration names no address for a name service.
    """
    secure = settings.get("dfs.http.policy", "").strip().upper() == "HTTPS_ONLY"
    scheme, key, port = ("https", "dfs.namenode.https-address", 9871) if secure else ("http", "dfs.namenode.http-address", 9870)
    host, rpc_port = _host_and_port(location.authority)
    services = _words(settings, "dfs.nameservices") + _words(settings, "dfs.internal.nameservices")
    if location.authority in services:
        suffixes = list(_suffixes(location.authority, settings))
    else:
        suffixes = [
            suffix
            for suffix, rpc in _name_nodes(settings, services)
            if _host_and_port(rpc, _RPC_PORT) == (host, rpc_port or _RPC_PORT)
        ][:1]
    addresses = []
    for suffix in suffixes:
        rpc_host = _host_and_port(settings.get(f"dfs.namenode.rpc-address{suffix}", ""))[0]
        web_host, web_port = _host_and_port(settings.get(f"{key}{suffix}", ""))
        if web_port == 0:
            raise StorageError(f"{location}: {key}{suffix} has port 0, so the NameNode's address isn't known. Set a fixed port")
        if web_host in _WILDCARDS:
            web_host = rpc_host if rpc_host not in _WILDCARDS else "" if location.authority in services else host
        if web_host:
            addresses.append(f"{scheme}://{_in_url(web_host)}:{web_port or port}")
    if addresses:
        return addresses
    if location.authority in services:
        raise StorageError(
            f"{location}: Hadoop's configuration ({_where()}) names the name service "
            f"{location.authority!r} but no address of its NameNodes. Expected "
            f"dfs.ha.namenodes.{location.authority} and {key}.{location.authority}.NAMENODE"
        )
    return [f"{scheme}://{_in_url(host)}:{port}"]


def user_name(environment: Mapping[str, str] | None = None) -> str:
    """Return the user for HDFS: HADOOP_USER_NAME, else SPARK_USER (YARN's containers run as another user), else this one.

    Raises:
        StorageError: this process's user has no name.
    """
    environment = os.environ if environment is None else environment
    named = environment.get("HADOOP_USER_NAME") or environment.get("SPARK_USER")
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise StorageError(
            f"the user of this process, with id {os.getuid()}, has no name for HDFS. Set HADOOP_USER_NAME"
        ) from error


def _suffixes(service: str, settings: Mapping[str, str]) -> Iterator[str]:
    """Yield the endings of a name service's keys, one for each of its name nodes."""
    nodes = _words(settings, f"dfs.ha.namenodes.{service}")
    yield from (f".{service}.{node}" for node in nodes) if nodes else (f".{service}",)


def _name_nodes(settings: Mapping[str, str], services: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the ending of the keys of each name node in the configuration, and its RPC address."""
    for service in services:
        for suffix in _suffixes(service, settings):
            yield suffix, settings.get(f"dfs.namenode.rpc-address{suffix}", "")
    if "dfs.namenode.rpc-address" in settings:
        yield "", settings["dfs.namenode.rpc-address"]
    default = default_file_system(settings)
    if default and parse(default).authority not in services:
        yield "", parse(default).authority


def _host_and_port(address: str, port: int | None = None) -> tuple[str, int | None]:
    host, colon, digits = address.strip().rpartition(":")
    if not colon or not digits.isdigit():
        return address.strip().strip("[]").lower(), port
    return host.strip("[]").lower(), int(digits)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _words(settings: Mapping[str, str], key: str) -> list[str]:
    return [word.strip() for word in settings.get(key, "").split(",") if word.strip()]


def _where() -> str:
    folder = conf_folder(os.environ)
    if folder is None:
        return "neither HADOOP_CONF_DIR nor HADOOP_HOME is set"
    return f"Hadoop's configuration is {folder}" + ("" if folder.is_dir() else ", which is no folder")


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise StorageError(f"{path} can't be read as Hadoop's configuration: {error}") from error
    properties = ((entry.findtext("name"), entry.findtext("value")) for entry in root.iter("property"))
    return {name.strip(): value.strip() for name, value in properties if name and value is not None}


def _substitute(value: str, settings: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Replace references to settings (`${fs.defaultFS}`) and variables (`${env.HOST}`); unknown ones stay, as in Hadoop."""

    def known(match: re.Match[str]) -> str:
        name = match[1]
        found = environment.get(name[4:]) if name.startswith("env.") else settings.get(name)
        return match[0] if found is None else found

    for _ in range(20):  # Hadoop's own limit for nested references
        replaced = _VARIABLE.sub(known, value)
        if replaced == value:
            break
        value = replaced
    return value
