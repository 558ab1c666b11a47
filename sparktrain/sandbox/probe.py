"""Asks the daemons over HTTP whether they serve; each function returns None if so, else what the daemon lacks."""

from __future__ import annotations

import http.client
import json
import secrets
import urllib.error
import urllib.parse
import urllib.request

# Without a proxy that environment variables may name: the sandbox is on this machine
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SECONDS = 10


def namenode(web: str, datanodes: int) -> str | None:
    """Ask a NameNode whether it has left safe mode and all its DataNodes are live.

    Args:
        web: its web address.
        datanodes: the number of its DataNodes.

    Returns:
        None if it serves, else what it lacks.
    """
    try:
        info = _bean(web, "Hadoop:service=NameNode,name=NameNodeInfo")
        state = _bean(web, "Hadoop:service=NameNode,name=FSNamesystemState")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{web} doesn't answer ({error})"
    if info is None or state is None or "Safemode" not in info or "NumLiveDataNodes" not in state:
        return "the NameNode is loading its image"
    if info["Safemode"]:
        return f"the NameNode is in safe mode: {info['Safemode']}"
    if state["NumLiveDataNodes"] < datanodes:
        return f"{state['NumLiveDataNodes']} of {datanodes} DataNodes are live"
    return None


def datanode(web: str) -> str | None:
    """Ask a DataNode at a web address whether it is registered with the NameNode; return None, or what it lacks."""
    try:
        info = _bean(web, "Hadoop:service=DataNode,name=DataNodeInfo")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{web} doesn't answer ({error})"
    actors = json.loads((info or {}).get("BPServiceActorInfo") or "[]")
    if not actors or any(actor["ActorState"] != "RUNNING" for actor in actors):
        return "the DataNode has not registered with the NameNode"
    return None


def resourcemanager(web: str, nodes: int) -> str | None:
    """Ask a ResourceManager at a web address whether all its NodeManagers are active; return None, or what it lacks."""
    try:
        active = json.loads(_request("GET", f"{web}/ws/v1/cluster/metrics"))["clusterMetrics"]["activeNodes"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"{web} doesn't answer ({error})"
    return None if active >= nodes else f"{active} of {nodes} NodeManagers are active"


def nodemanager(web: str) -> str | None:
    """Ask a NodeManager at a web address whether it is healthy; return None, or what it lacks."""
    try:
        info = json.loads(_request("GET", f"{web}/ws/v1/node/info"))["nodeInfo"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"{web} doesn't answer ({error})"
    return None if info["nodeHealthy"] else f"the NodeManager is not healthy: {info['healthReport']}"


def spark_master(web: str, workers: int) -> str | None:
    """Ask Spark's master at a web address whether it is active and has all its workers; return None, or what it lacks."""
    try:
        state = json.loads(_request("GET", f"{web}/json/"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{web} doesn't answer ({error})"
    if state["status"] != "ALIVE":
        return f"the master is {state['status']}"
    return None if state["aliveworkers"] >= workers else f"{state['aliveworkers']} of {workers} workers are alive"


def spark_worker(web: str) -> str | None:
    """Ask a worker of Spark at a web address whether it is registered with the master; return None, or what it lacks."""
    try:
        state = json.loads(_request("GET", f"{web}/json/"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{web} doesn't answer ({error})"
    return None if state.get("masterwebuiurl") else "the worker has not found its master"


def webhdfs(web: str, user: str) -> str | None:
    """Write, read and remove a file through WebHDFS as a user; return None, or what failed."""
    file = f"{web}/webhdfs/v1/tmp/.sandbox-{secrets.token_hex(4)}"
    query = urllib.parse.urlencode({"user.name": user})
    content = b"ready"
    try:
        made = json.loads(_request("PUT", f"{file}?op=CREATE&overwrite=true&noredirect=true&{query}"))
        _request("PUT", made["Location"], content)
        if _request("GET", f"{file}?op=OPEN&{query}") != content:
            return "WebHDFS returned something other than what was written"
        _request("DELETE", f"{file}?op=DELETE&{query}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"a file can't be written and read through WebHDFS at {web} ({error})"
    return None


def _bean(web: str, name: str) -> dict | None:
    """Return the attributes of a JMX bean, or None while it doesn't exist; some attributes come later than the bean."""
    beans = json.loads(_request("GET", f"{web}/jmx?qry={urllib.parse.quote(name)}"))["beans"]
    return beans[0] if beans else None


def _request(method: str, url: str, data: bytes | None = None) -> bytes:
    """Send a request, follow a redirect, and return the body of the response."""
    try:
        with _OPENER.open(urllib.request.Request(url, data=data, method=method), timeout=SECONDS) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        # Hadoop gives the reason in the body
        raise OSError(f"{error}: {error.read(1000).decode(errors='replace')}") from error
