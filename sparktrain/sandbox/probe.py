"""Ask the daemons over HTTP whether they serve. Each function returns None for yes, else what is lacking."""

from __future__ import annotations

import http.client
import json
import secrets
import urllib.error
import urllib.parse
import urllib.request

# The sandbox is on this machine: a proxy of the environment has no part in reaching it.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SECONDS = 10


def namenode(web: str, datanodes: int) -> str | None:
    """Ask a NameNode, which serves when it is out of safe mode and all its DataNodes are live."""
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
    """Ask about a DataNode, which serves when it is registered with the NameNode."""
    try:
        info = _bean(web, "Hadoop:service=DataNode,name=DataNodeInfo")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{web} doesn't answer ({error})"
    actors = json.loads((info or {}).get("BPServiceActorInfo") or "[]")
    if not actors or any(actor["ActorState"] != "RUNNING" for actor in actors):
        return "the DataNode has not registered with the NameNode"
    return None


def resourcemanager(web: str, nodes: int) -> str | None:
    """Ask a ResourceManager, which serves when all its NodeManagers are active."""
    try:
        active = json.loads(_ask("GET", f"{web}/ws/v1/cluster/metrics"))["clusterMetrics"]["activeNodes"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"{web} doesn't answer ({error})"
    return None if active >= nodes else f"{active} of {nodes} NodeManagers are active"


def nodemanager(web: str) -> str | None:
    """Ask a NodeManager, which serves when it reports that it is healthy."""
    try:
        info = json.loads(_ask("GET", f"{web}/ws/v1/node/info"))["nodeInfo"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"{web} doesn't answer ({error})"
    return None if info["nodeHealthy"] else f"the NodeManager is not healthy: {info['healthReport']}"


def spark_master(web: str, workers: int) -> str | None:
    """Ask Spark's master, which serves when it is active and all its workers are registered."""
    try:
        said = json.loads(_ask("GET", f"{web}/json/"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{web} doesn't answer ({error})"
    if said["status"] != "ALIVE":
        return f"the master is {said['status']}"
    return None if said["aliveworkers"] >= workers else f"{said['aliveworkers']} of {workers} workers are alive"


def spark_worker(web: str) -> str | None:
    """Ask about a worker of Spark, which serves when it is registered with the master."""
    try:
        said = json.loads(_ask("GET", f"{web}/json/"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{web} doesn't answer ({error})"
    return None if said.get("masterwebuiurl") else "the worker has not found its master"


def webhdfs(web: str, user: str) -> str | None:
    """Try WebHDFS, which serves when a file can be written, read and removed through it."""
    file = f"{web}/webhdfs/v1/tmp/.sandbox-{secrets.token_hex(4)}"
    query = urllib.parse.urlencode({"user.name": user})
    content = b"ready"
    try:
        made = json.loads(_ask("PUT", f"{file}?op=CREATE&overwrite=true&noredirect=true&{query}"))
        _ask("PUT", made["Location"], content)
        if _ask("GET", f"{file}?op=OPEN&{query}") != content:
            return "WebHDFS gave back something else than was written"
        _ask("DELETE", f"{file}?op=DELETE&{query}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"a file can't be written and read through WebHDFS at {web} ({error})"
    return None


def _bean(web: str, name: str) -> dict | None:
    """Return a JMX bean's attributes, or None while it is not there; some come later than the bean."""
    beans = json.loads(_ask("GET", f"{web}/jmx?qry={urllib.parse.quote(name)}"))["beans"]
    return beans[0] if beans else None


def _ask(method: str, url: str, data: bytes | None = None) -> bytes:
    """Make one request, follow a redirect, and return the answer's body."""
    try:
        with _OPENER.open(urllib.request.Request(url, data=data, method=method), timeout=SECONDS) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        # The reason that Hadoop gives is in the body.
        raise OSError(f"{error}: {error.read(1000).decode(errors='replace')}") from error
