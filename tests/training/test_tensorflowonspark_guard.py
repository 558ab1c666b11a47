"""TensorFlowOnSpark's reservation server on the driver: strangers can neither run code there nor read the nodes' keys."""

from __future__ import annotations

import pickle
import socket
import struct
import time

import psutil
import pytest
from tensorflowonspark import reservation

from sparktrain.engines.tensorflowonspark.guard import guarded

NODE = {"executor_id": 0, "authkey": b"a node's"}


@pytest.fixture
def server():
    """A guarded server for one node, and its address."""
    with guarded(b"key", "127.0.0.1"):
        one = reservation.Server(1)
        _, port = one.start()
    yield one, ("127.0.0.1", port)
    with guarded(b"key"):
        client = reservation.Client(("127.0.0.1", port))
        client.request_stop()
        client.close()


def registered(address) -> bool:
    with guarded(b"key"):
        client = reservation.Client(address)
        client.register(NODE)
        found = client.get_reservations()
        client.close()
    return found == [NODE]


WENT_OFF: list[bool] = []


def go_off() -> None:
    WENT_OFF.append(True)


class Explosive:
    """Runs code where it is unpickled."""

    def __reduce__(self):
        return go_off, ()


def framed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


@pytest.mark.parametrize(
    "sent",
    [
        framed(pickle.dumps(Explosive())),  # as TensorFlowOnSpark's own clients frame it
        struct.pack(">I", len(pickle.dumps(Explosive()))) + b"m" * 32 + pickle.dumps(Explosive()),
        struct.pack(">I", 1 << 31) + b"x" * 100,
    ],
)
def test_what_a_stranger_sends_is_never_unpickled_and_answered_with_nothing(server, sent):
    _one, address = server
    with socket.create_connection(address, timeout=20) as stranger:
        stranger.sendall(sent)
        try:
            assert stranger.recv(100) == b""
        except ConnectionResetError:
            pass  # it was closed before all was read
    assert not WENT_OFF
    assert registered(address)


def test_one_with_another_key_reads_no_nodes_keys(server):
    _one, address = server
    assert registered(address)
    with guarded(b"another"):
        client = reservation.Client(address)
        with pytest.raises((OSError, ConnectionError)):
            client.get_reservations()
        client.close()


def test_a_stranger_who_says_nothing_holds_the_nodes_up_for_seconds_only(server):
    _one, address = server
    with socket.create_connection(address) as stranger:
        stranger.sendall(b"\0")  # and no more
        begun = time.monotonic()
        assert registered(address)
        assert time.monotonic() - begun < 20


def test_it_listens_on_the_drivers_address_only(server):
    _, (_, port) = server
    listening = [
        each.laddr.ip
        for each in psutil.Process().net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port
    ]
    assert listening == ["127.0.0.1"]


def test_a_program_that_uses_tensorflowonspark_by_itself_has_it_as_it_comes():
    one = reservation.Server(1)
    _, port = one.start()
    client = reservation.Client(("127.0.0.1", port))
    client.register(NODE)
    assert pickle.loads(pickle.dumps(Explosive())) is None and WENT_OFF.pop(), "what the tests above send does run code"
    assert client.get_reservations() == [NODE]
    client.request_stop()
    client.close()
