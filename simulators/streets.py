"""A network of streets and the shortest ways through it. Plain metres: east and north of a centre."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geofence.plan import FloatArray

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Streets:
    """A connected network: from every node there is a way to every other.

    Attributes:
        nodes_m: (n, 2) east and north, metres.
        neighbours: For each node, the nodes one straight piece of street away and its length.
    """

    nodes_m: FloatArray
    neighbours: tuple[tuple[tuple[int, float], ...], ...]

    @classmethod
    def connected(cls, nodes_m: FloatArray, edges: Sequence[Edge]) -> Streets:
        """The largest connected part of the network with these (n, 2) nodes and edges."""
        around: list[list[int]] = [[] for _ in range(len(nodes_m))]
        for a, b in edges:
            around[a].append(b)
            around[b].append(a)
        kept = sorted(_largest_part(around))
        place = {node: index for index, node in enumerate(kept)}
        neighbours = tuple(
            tuple(
                (place[other], float(np.hypot(*(nodes_m[node] - nodes_m[other]))))
                for other in sorted(around[node])
            )
            for node in kept
        )
        return cls(nodes_m[kept], neighbours)

    def nearest(self, east_m: float, north_m: float) -> int:
        """The node nearest to a point."""
        return int(np.argmin(self.distances_m(east_m, north_m)))

    def distances_m(self, east_m: float, north_m: float) -> FloatArray:
        """(n,) straight distance of every node from a point."""
        offsets_m = self.nodes_m - np.array([east_m, north_m])
        lengths_m: FloatArray = np.hypot(offsets_m[:, 0], offsets_m[:, 1])
        return lengths_m

    def route(self, start: int, end: int) -> list[int]:
        """Nodes of the shortest way, both ends included (Dijkstra's algorithm)."""
        came_from = {start: start}
        settled: set[int] = set()
        best_m = {start: 0.0}
        queue = [(0.0, start)]
        while end not in settled:
            length_m, node = heapq.heappop(queue)
            if node in settled:
                continue
            settled.add(node)
            for other, piece_m in self.neighbours[node]:
                if length_m + piece_m < best_m.get(other, float("inf")):
                    best_m[other] = length_m + piece_m
                    came_from[other] = node
                    heapq.heappush(queue, (best_m[other], other))
        route = [end]
        while route[-1] != start:
            route.append(came_from[route[-1]])
        return route[::-1]

    def length_m(self, route: Sequence[int]) -> float:
        """Length of a route, metres."""
        legs_m = np.diff(self.nodes_m[list(route)], axis=0)
        return float(np.hypot(legs_m[:, 0], legs_m[:, 1]).sum())


def _largest_part(around: Sequence[Sequence[int]]) -> set[int]:
    """The largest set of nodes that can reach each other; the first of equals."""
    largest: set[int] = set()
    seen: set[int] = set()
    for node in range(len(around)):
        if node in seen:
            continue
        part, open_nodes = {node}, [node]
        while open_nodes:
            for other in around[open_nodes.pop()]:
                if other not in part:
                    part.add(other)
                    open_nodes.append(other)
        seen |= part
        if len(part) > len(largest):
            largest = part
    return largest
