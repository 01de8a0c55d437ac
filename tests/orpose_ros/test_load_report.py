"""The numbers of a load test, by hand."""

from __future__ import annotations

from orpose_ros.account import StatsRecord, account_of
from orpose_ros.load_report import Answered, Sample, level_summary, markdown

MIB = 2**20
MS = 1_000_000


def level(latency_of=lambda index: 20.0, memory_of=lambda index: 100.0) -> dict:
    """100 s with a frame a second: the first is lost, the second dropped, all others are answered."""
    stats = [StatsRecord(index * MS, index != 1, index, min(index, 1)) for index in range(1, 100)]
    account = account_of([index * MS for index in range(100)], stats, [index * MS for index in range(2, 100)])
    stages_ms = {"decode": 0.5, "preprocess": 0.25, "infer": 10.0, "post": 1.0}
    answered = [Answered(index * MS, latency_of(index), 13.0, stages_ms) for index in range(99, 1, -1)]
    samples = [Sample(float(index), round(memory_of(index) * MIB), index / 2) for index in range(100)]
    of_processes = {"node": samples, "camera1": samples[:1]}
    return level_summary(1.0, 100.0, {"camera1": account}, answered, of_processes, [0.5, 1.5, 0.7])


def test_every_frame_is_in_the_table():
    summary = level()
    frames = {"sent": 100, "lost": 1, "received": 99, "answered": 98, "dropped": 1, "unaccounted": 0}
    assert summary["frames"] == frames
    assert summary["answered_per_second"] == 0.98
    assert (summary["node_ms"]["median"], summary["rest_ms"]["median"]) == (3.0, 1.25)
    assert "| 1 | 3.00 | 0.50 | 0.25 | 1.00 | 1.25 | 10.00 | 0.70 |" in markdown({}, [summary])
    assert "| 1 | 100 | 1 | 98 | 1 | 1.0 | 0 | 1.0 |" in markdown({"cameras": "one"}, [summary]).splitlines()


def test_what_is_steady_does_not_grow_even_where_it_starts_slowly():
    summary = level(lambda index: 500.0 if index < 9 else 20.0, lambda index: 50.0 if index < 9 else 100.0)
    assert (summary["latency_growth_ms"], summary["node_memory_growth_mib"], summary["grows"]) == (0, 0, False)
    assert "| steady |" in markdown({}, [summary])


def test_what_grows_is_called_so():
    leak = level(memory_of=lambda index: 100.0 + index / 5)
    # After 10 of 100 samples: medians of the first and last 18 are 72 samples apart.
    assert (leak["node_memory_growth_mib"], leak["grows"]) == (14.4, True)
    queue = level(latency_of=lambda index: float(index))
    assert queue["latency_growth_ms"] > 60
    assert queue["grows"]
    assert "| grows |" in markdown({}, [queue])


def test_processes():
    processes = level(memory_of=lambda index: 100.0 + index)["processes"]
    node = {"memory_first_mib": 110, "memory_last_mib": 199, "memory_most_mib": 199, "processor_percent": 50}
    assert processes == {"node": node, "camera1": None}


def test_nothing_answered():
    account = account_of([1], [], [])
    summary = level_summary(5.0, 1.0, {"camera1": account}, [], {"node": []})
    assert (summary["frames"]["lost"], summary["latency_ms"], summary["grows"]) == (1, None, False)
    assert "| 5 | - | - | - | - | - | - | steady |" in markdown({}, [summary])
