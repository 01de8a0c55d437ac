"""Pairs of least total cost (the Hungarian method): a page of numpy, so that the light installation needs no SciPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cheapest_pairs(cost: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Pairs (row, column) of `cost (N, M)`, min(N, M) of them, each row and column once, of the least total cost.

    Shortest augmenting paths with potentials: O(min(N, M)² max(N, M)).

    Raises:
        ValueError: A cost that is not finite.
    """
    if not np.isfinite(cost).all():
        raise ValueError("cost: expected finite numbers")
    if cost.shape[0] > cost.shape[1]:
        return sorted((row, column) for column, row in cheapest_pairs(cost.T))
    rows, columns = cost.shape
    # Rows and columns count from 1; column 0 holds the row that is being placed, row 0 means free.
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    row_of = np.zeros(columns + 1, np.int64)
    for row in range(1, rows + 1):
        row_of[0], column = row, 0
        least = np.full(columns + 1, np.inf)
        came_from = np.zeros(columns + 1, np.int64)
        visited = np.zeros(columns + 1, bool)
        while row_of[column]:
            visited[column] = True
            current = row_of[column]
            reduced = cost[current - 1] - row_price[current] - column_price[1:]
            better = ~visited[1:] & (reduced < least[1:])
            least[1:][better], came_from[1:][better] = reduced[better], column
            column = 1 + int(np.argmin(np.where(visited[1:], np.inf, least[1:])))
            step = least[column]
            row_price[row_of[visited]] += step
            column_price[visited] -= step
            least[~visited] -= step
        while column:  # back along the path, each column takes the row of the one before it
            row_of[column], column = row_of[came_from[column]], int(came_from[column])
    return sorted((int(row_of[column]) - 1, column - 1) for column in range(1, columns + 1) if row_of[column])
