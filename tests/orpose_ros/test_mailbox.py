"""One slot for each camera: the newest frame wins, nobody starves, nothing disappears uncounted."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from orpose_ros.mailbox import Mailbox


def test_newest_item_displaces_the_older_one():
    mailbox: Mailbox[int] = Mailbox(["a"])
    assert mailbox.put("a", 1) is None
    assert mailbox.put("a", 2) == 1
    assert mailbox.take() == ("a", 2)


def test_slots_take_turns_by_waiting_time():
    mailbox: Mailbox[int] = Mailbox(["a", "b"])
    mailbox.put("b", 1)
    mailbox.put("a", 2)
    mailbox.put("b", 3)  # newer, but its slot has waited longest
    assert mailbox.take() == ("b", 3)
    assert mailbox.take() == ("a", 2)


def test_take_waits_for_an_item():
    mailbox: Mailbox[int] = Mailbox(["a"])
    taken: list = []
    taker = threading.Thread(target=lambda: taken.append(mailbox.take()))
    taker.start()
    mailbox.put("a", 7)
    taker.join(5)
    assert taken == [("a", 7)]


def test_close_wakes_the_taker_and_returns_what_is_left():
    mailbox: Mailbox[int] = Mailbox(["a", "b"])
    mailbox.put("b", 1)
    assert mailbox.close() == [("b", 1)]
    assert mailbox.take() is None
    assert mailbox.put("a", 2) == 2, "after closing, an item comes straight back"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_every_item_comes_out_exactly_once(steps):
    mailbox: Mailbox[int] = Mailbox("abc")
    out, waiting = [], set()
    for number, (slot, take) in enumerate(steps):
        if (displaced := mailbox.put(slot, number)) is not None:
            out.append(displaced)
        waiting.add(slot)
        if take:
            taken_slot, item = mailbox.take() or ("", -1)
            waiting.remove(taken_slot)
            out.append(item)
    out += [item for _, item in mailbox.close()]
    assert sorted(out) == list(range(len(steps)))


def test_several_slots_are_taken_at_once_the_longest_waiting_first():
    mailbox: Mailbox[int] = Mailbox("abc")
    for slot, item in (("b", 1), ("a", 2), ("c", 3)):
        mailbox.put(slot, item)
    assert mailbox.take_some(2, wait_s=60) == [("b", 1), ("a", 2)]
    assert mailbox.take_some(2, wait_s=0) == [("c", 3)]


def test_the_first_waits_for_the_others():
    mailbox: Mailbox[int] = Mailbox("ab")
    taken: list = []
    taker = threading.Thread(target=lambda: taken.extend(mailbox.take_some(2, wait_s=60)))
    taker.start()
    mailbox.put("a", 1)
    mailbox.put("b", 2)
    taker.join(5)
    assert taken == [("a", 1), ("b", 2)]


def test_while_it_waits_newer_items_displace_older_ones():
    mailbox: Mailbox[int] = Mailbox("ab")
    mailbox.put("a", 1)
    mailbox.put("b", 2)
    taken: list = []
    alike = lambda items: len(set(items)) == 1  # noqa: E731
    taker = threading.Thread(target=lambda: taken.extend(mailbox.take_some(2, 60, alike)))
    taker.start()
    mailbox.put("a", 2)
    taker.join(5)
    assert taken == [("a", 2), ("b", 2)]


def test_what_waits_is_taken_in_the_end():
    mailbox: Mailbox[int] = Mailbox("ab")
    mailbox.put("a", 1)
    assert mailbox.take_some(2, 0.01, lambda _: False) == [("a", 1)]


def test_nothing_is_taken_from_a_closed_mailbox():
    mailbox: Mailbox[int] = Mailbox("ab")
    mailbox.close()
    assert mailbox.take_some(2, wait_s=60) == []
