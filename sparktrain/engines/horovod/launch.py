"""Horovod's Spark side: rank 0's task runs the rendezvous server through which the children's Gloo finds its peers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

import psutil
from horovod.runner.common.util.hosts import SlotInfo
from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

from sparktrain.interfaces.launch import Launch, Place

_KNOWN_SECONDS = 10  # in which rank 0's task learns all workers' addresses
_TIMEOUT_SECONDS = "300"  # children start at different speeds; a dead peer's closed socket is noticed at once anyway


class _Rendezvous(RendezvousHTTPServer):
    """Horovod's rendezvous server, limited to clients from a worker's address, as it has no authentication.

    Args:
        address: the address to listen on.
    """

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), RendezvousHandler, 0)
        self._expected: frozenset[str] = frozenset()
        self._known = threading.Event()
        self._serving = threading.Thread(target=self.serve_forever, name="horovod-rendezvous", daemon=True)

    def begin(self) -> None:
        """Serve, in a thread of its own."""
        self._serving.start()

    def end(self) -> None:
        """Close the port, and return when nothing is served any more."""
        self.shutdown()
        self.server_close()
        self._serving.join()

    def expect(self, addresses: Iterable[str]) -> None:
        """Set the workers' addresses; until then no client is answered."""
        self._expected = frozenset(addresses)
        self._known.set()

    def verify_request(self, request: socket.socket, client_address: tuple[str, int]) -> bool:
        return self._known.wait(_KNOWN_SECONDS) and client_address[0] in self._expected


class EngineLaunch(Launch):
    """Connects Horovod's workers with Gloo, without MPI and without a port on the driver."""

    def __init__(self) -> None:
        self._server: _Rendezvous | None = None

    def join(self, place: Place, segments: str, gather: Callable[[str], list[str]]) -> Mapping[str, str]:
        """See `Launch.join`. Calls `gather` twice."""
        places = [Place(**json.loads(text)) for text in gather(json.dumps(asdict(place)))]
        port = self._serve(places) if place.rank == 0 else 0
        # The second gather also makes everyone wait until the server knows the addresses.
        addresses = [json.loads(text) for text in gather(json.dumps([port, _address_towards(places[0].host)]))]
        rendezvous = addresses[0][0]
        if self._server is not None:
            self._server.expect(address for _, address in addresses)
        interface = _interface(place.host)
        return {
            "HOROVOD_CONTROLLER": "gloo",
            "HOROVOD_CPU_OPERATIONS": "gloo",
            "HOROVOD_HOSTNAME": place.host,
            "HOROVOD_RANK": str(place.rank),
            "HOROVOD_SIZE": str(place.size),
            "HOROVOD_LOCAL_RANK": str(place.local_rank),
            "HOROVOD_LOCAL_SIZE": str(place.local_size),
            "HOROVOD_CROSS_RANK": str(place.cross_rank),
            "HOROVOD_CROSS_SIZE": str(place.cross_size),
            "HOROVOD_GLOO_RENDEZVOUS_ADDR": places[0].host,
            "HOROVOD_GLOO_RENDEZVOUS_PORT": str(rendezvous),
            "HOROVOD_GLOO_TIMEOUT_SECONDS": _TIMEOUT_SECONDS,
            **({"HOROVOD_GLOO_IFACE": interface} if interface else {}),
        }

    def _serve(self, places: list[Place]) -> int:
        self._server = _Rendezvous(_listening_address(places))
        self._server.daemon_threads = True
        self._server.init(
            [SlotInfo(p.host, p.rank, p.local_rank, p.cross_rank, p.size, p.local_size, p.cross_size) for p in places]
        )
        self._server.begin()
        return self._server.server_address[1]

    def close(self) -> None:
        """Close the rendezvous server and its port."""
        server, self._server = self._server, None
        if server is not None:
            server.end()


def _address_towards(host: str) -> str:
    """Return this host's address as another host sees it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:
        towards.connect((host, 9))  # sends nothing
        return towards.getsockname()[0]


def _listening_address(places: list[Place]) -> str:
    """Return the address at which all workers reach rank 0's host; empty for all addresses if it is a loopback one."""
    address = socket.gethostbyname(places[0].host)
    alone = all(place.host == places[0].host for place in places)
    return address if alone or not address.startswith("127.") else ""  # some systems give their own name 127.0.1.1


def _interface(host: str) -> str | None:
    """Return the network interface that has this host's address; None to let Gloo choose."""
    try:
        address = socket.gethostbyname(host)
    except OSError:
        return None
    loopback = address.startswith("127.")  # some systems give the host's own name 127.0.1.1
    for name, addresses in psutil.net_if_addrs().items():
        for known in addresses:
            if known.family != socket.AF_INET:
                continue
            if known.address == address or (loopback and known.address.startswith("127.")):
                return name
    return None
