"""The control channel: what tasks tell arrives, gathers complete, strangers get nothing, every end is noticed."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sparktrain.cluster.channel import Client, Server, Stopped
from sparktrain.interfaces.messages import Log, Phase

SECRET = b"a secret of the run"


class Driver:
    """A server and what it was told."""

    def __init__(self, parts: int) -> None:
        self.messages: list = []
        self.lost: list[int] = []
        self.server = Server(parts, SECRET, lambda part, m: self.messages.append((part, m)), self.lost.append, "127.0.0.1")

    def client(self, part: int, on_stop=lambda reason: None, secret: bytes = SECRET) -> Client:
        return Client(("127.0.0.1", self.server.port), secret, part, f"host-{part}", on_stop)


@pytest.fixture
def driver():
    before = set(threading.enumerate())
    made: list[Driver] = []

    def make(parts: int) -> Driver:
        made.append(Driver(parts))
        return made[-1]

    yield make
    for one in made:
        one.server.close()
    until(lambda: set(threading.enumerate()) <= before, "no thread is left behind")


def until(condition, what: str, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def test_messages_arrive_in_order_with_their_part(driver):
    one = driver(2)
    clients = [one.client(part) for part in range(2)]
    for number in range(50):
        clients[1].send(Log(str(number)))
    clients[0].send(Phase("fill"))
    until(lambda: len(one.messages) == 51, "all messages")
    assert [m.text for part, m in one.messages if part == 1] == [str(n) for n in range(50)]
    assert [m for part, m in one.messages if part == 0] == [Phase("fill")]
    for client in clients:
        client.close()
    time.sleep(0.1)
    assert one.lost == [], "a goodbye is no loss"


def test_a_gather_hands_every_value_to_every_part_in_order(driver):
    one = driver(3)
    clients = [one.client(part) for part in (2, 0, 1)]
    with ThreadPoolExecutor(3) as pool:
        for turn in range(3):
            values = [f"{turn}-{part}" for part in range(3)]
            asked = [pool.submit(client.gather, f"{turn}-{part}") for client, part in zip(clients, (2, 0, 1))]
            assert [each.result(timeout=5) for each in asked] == [values] * 3
    for client in clients:
        client.close()


def test_stop_reaches_every_task_also_one_that_waits_in_a_gather_and_one_that_comes_late(driver):
    one = driver(3)
    reasons: list[str] = []
    waiting = one.client(0, reasons.append)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(waiting.gather, "x")
        until(lambda: 0 in one.server.hosts, "the first task is known")
        one.server.stop("rank 1 failed")
        with pytest.raises(Stopped, match="rank 1 failed"):
            asked.result(timeout=5)
    late = one.client(1, reasons.append)
    until(lambda: reasons == ["rank 1 failed"] * 2, "both were stopped")
    waiting.close()
    late.close()


def test_a_task_that_vanishes_is_told_as_lost_and_a_driver_that_vanishes_stops_the_task(driver):
    one = driver(2)
    reasons: list[str] = []
    vanishing, staying = one.client(0), one.client(1, reasons.append)
    until(lambda: len(one.server.hosts) == 2, "both are known")
    with socket.socket(fileno=socket.dup(vanishing._connection.fileno())) as raw:
        raw.shutdown(socket.SHUT_RDWR)
    until(lambda: one.lost == [0], "the loss is told")
    one.server.close()
    until(lambda: reasons == ["the driver is gone"], "the other task is stopped")


def test_a_stranger_gets_nothing_and_holds_up_nobody(driver):
    one = driver(1)
    silent = socket.create_connection(("127.0.0.1", one.server.port))
    from multiprocessing import AuthenticationError

    with pytest.raises((AuthenticationError, EOFError, OSError)):
        one.client(0, secret=b"a guess")
    client = one.client(0)
    assert client.gather("mine") == ["mine"]
    assert one.messages == []
    silent.close()
    client.close()


def test_a_driver_that_does_not_answer_holds_no_task_for_ever(monkeypatch):
    monkeypatch.setattr("sparktrain.cluster.channel._HANDSHAKE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(OSError):
            Client(silent.getsockname(), SECRET, 0, "host", lambda reason: None)
        assert time.monotonic() - begun < 5


def test_a_part_that_is_there_cannot_be_taken_over(driver):
    one = driver(1)
    first = one.client(0)
    until(lambda: 0 in one.server.hosts, "the first is known")
    reasons: list[str] = []
    one.client(0, reasons.append)
    until(lambda: reasons == ["the driver is gone"], "the second is turned away")
    assert first.gather("still") == ["still"]
    first.close()
