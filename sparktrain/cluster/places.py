"""Assigns ranks to workers, as a pure function of their hosts."""

from __future__ import annotations

from collections.abc import Sequence

from sparktrain.interfaces.launch import Place


def places(hosts: Sequence[str]) -> list[Place]:
    """Assign ranks to workers, ordered by host, and by part within a host.

    Args:
        hosts: the host of each part's task.

    Returns:
        The place of each part's worker, by part.
    """
    parts = sorted(range(len(hosts)), key=lambda part: (hosts[part], part))
    on_host: dict[str, list[int]] = {}
    for part in parts:
        on_host.setdefault(hosts[part], []).append(part)
    found: dict[int, Place] = {}
    for rank, part in enumerate(parts):
        host = hosts[part]
        local_rank = on_host[host].index(part)
        across = [other for other, members in on_host.items() if len(members) > local_rank]
        found[part] = Place(
            rank=rank,
            size=len(hosts),
            host=host,
            local_rank=local_rank,
            local_size=len(on_host[host]),
            cross_rank=across.index(host),
            cross_size=len(across),
        )
    return [found[part] for part in range(len(hosts))]
