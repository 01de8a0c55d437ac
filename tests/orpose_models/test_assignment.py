"""The assignment beside SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import linear_sum_assignment

from orpose_models.assignment import cheapest_pairs

SIZES = st.tuples(st.integers(0, 7), st.integers(0, 7))


@given(arrays.arrays(np.float64, SIZES, elements=st.integers(-5, 1000).map(float)))
def test_the_total_is_scipys_and_nobody_is_paired_twice(cost):
    pairs = cheapest_pairs(cost)
    rows, columns = linear_sum_assignment(cost)
    assert sum(cost[pair] for pair in pairs) == pytest.approx(cost[rows, columns].sum())
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs) == min(cost.shape)


def test_a_greedy_choice_would_cost_more():
    assert cheapest_pairs(np.array([[1.0, 2.0], [2.0, 9.0]])) == [(0, 1), (1, 0)]


def test_costs_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        cheapest_pairs(np.array([[1.0, np.inf]]))
