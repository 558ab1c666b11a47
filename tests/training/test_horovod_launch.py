"""Horovod's launch: where every worker finds the others, without TensorFlow, and without a port left behind."""

from __future__ import annotations

import socket
import threading
from urllib.request import Request, urlopen

import pytest

from sparktrain.engines import bring_up
from sparktrain.interfaces.launch import Place


def _launch(engine: str):
    with bring_up(engine, None, 0, pytest.fail) as make:
        return make()


def _join(engine: str, places: list[Place]):
    told = [""] * len(places)
    barrier = threading.Barrier(len(places))
    launches = [_launch(engine) for _ in places]
    joined: list[dict[str, str]] = [{} for _ in places]

    def work(rank: int) -> None:
        def gather(value: str) -> list[str]:
            told[rank] = value
            barrier.wait(10)
            values = list(told)
            barrier.wait(10)
            return values

        joined[rank] = dict(launches[rank].join(places[rank], "segments", gather))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(len(places))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return launches, joined


def closed_without_a_word(stranger: socket.socket) -> bool:
    try:
        return stranger.recv(1) == b""
    except ConnectionResetError:
        return True


def test_all_workers_learn_rank_0s_rendezvous_and_their_own_places():
    places = [Place(rank, 2, "127.0.0.1", rank, 2, 0, 1) for rank in range(2)]
    launches, joined = _join("horovod", places)
    try:
        port = int(joined[0]["HOROVOD_GLOO_RENDEZVOUS_PORT"])
        assert [each["HOROVOD_GLOO_RENDEZVOUS_PORT"] for each in joined] == [str(port)] * 2
        assert [each["HOROVOD_RANK"] for each in joined] == ["0", "1"]
        assert joined[1]["HOROVOD_LOCAL_RANK"] == "1" and joined[1]["HOROVOD_CROSS_SIZE"] == "1"
        assert joined[0]["HOROVOD_GLOO_IFACE"] == "lo"
        place = f"http://127.0.0.1:{port}/scope/key"
        urlopen(Request(place, b"a worker's", method="PUT"), timeout=5)
        assert urlopen(place, timeout=5).read() == b"a worker's"
        with socket.create_connection(("127.0.0.1", port), 5, source_address=("127.0.0.2", 0)) as stranger:
            stranger.sendall(b"GET /scope/key HTTP/1.0\r\n\r\n")
            assert closed_without_a_word(stranger), "an address that is no worker's"
    finally:
        for each in launches:
            each.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
    assert not [thread for thread in threading.enumerate() if thread.name == "horovod-rendezvous"]
    launches[0].close()


def test_single_refuses_more_than_one_worker():
    with pytest.raises(ValueError, match="set training.workers to 1"):
        _launch("single").join(Place(0, 2, "here", 0, 2, 0, 1), "segments", lambda value: [value] * 2)
