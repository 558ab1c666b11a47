"""Ranks: a permutation, ordered by host, with neighbours on the same host."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparktrain.cluster.places import places

hosts = st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "node-3", "node-4"]), min_size=1, max_size=12)


@given(hosts)
def test_ranks_are_a_permutation_ordered_by_host(hosts):
    got = places(hosts)
    assert sorted(place.rank for place in got) == list(range(len(hosts)))
    by_rank = sorted(got, key=lambda place: place.rank)
    assert [place.host for place in by_rank] == sorted(hosts)


@given(hosts)
def test_local_and_cross_ranks_count_workers_of_a_host_and_hosts_of_a_local_rank(hosts):
    got = places(hosts)
    for place, host in zip(got, hosts):
        assert place.host == host
        assert place.local_size == hosts.count(host)
    for host in set(hosts):
        assert sorted(p.local_rank for p in got if p.host == host) == list(range(hosts.count(host)))
    for local_rank in {place.local_rank for place in got}:
        peers = [place for place in got if place.local_rank == local_rank]
        assert sorted(place.cross_rank for place in peers) == list(range(len(peers)))
        assert {place.cross_size for place in peers} == {len(peers)}
