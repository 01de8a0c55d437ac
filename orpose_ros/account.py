"""What became of every frame of a replay: sent = received + lost on the way; received = answered + dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class StatsRecord:
    """One InferenceStats message.

    Attributes:
        stamp_ns: The frame's stamp.
        is_answer: False where the node says that it dropped the frame.
        received: The node's own count of frames received so far.
        dropped: The node's own count of frames dropped so far.
    """

    stamp_ns: int
    is_answer: bool
    received: int
    dropped: int


@dataclass(frozen=True)
class Account:
    """Frames; every frame sent is in exactly one of lost, answered, dropped and unaccounted.

    Attributes:
        sent: By the player.
        received: By the node, from its statistics for each frame.
        lost: Sent, but never received: lost on the way.
        answered: Received, and a PersonArray came.
        dropped: Received, and the node says that it did not answer it.
        unaccounted: Frames of which player, node and recording tell different stories.
        contradictions: These stories.
    """

    sent: int
    received: int
    lost: int
    answered: int
    dropped: int
    unaccounted: int
    contradictions: tuple[str, ...]


def account_of(sent_ns: Sequence[int], stats: Sequence[StatsRecord], persons_ns: Sequence[int]) -> Account:
    """Compares what the player sent, what the node says it received, and what was recorded.

    Args:
        sent_ns: Stamps of the frames sent, ns.
        stats: The node's statistics, one for each frame it received.
        persons_ns: Stamps of the recorded PersonArray messages, ns.
    """
    sent, received = set(sent_ns), {record.stamp_ns for record in stats}
    said_answered = {record.stamp_ns for record in stats if record.is_answer}
    answered, dropped = set(persons_ns), received - said_answered
    final_received = max((record.received for record in stats), default=0)
    final_dropped = max((record.dropped for record in stats), default=0)
    findings = {
        "frames answered or dropped that were never sent": len((received | answered) - sent),
        "frames that the node says it answered, but no answer was recorded": len(said_answered - answered),
        "answers to frames that the node does not say it answered": len(answered - said_answered),
        "frames with more than one answer": len(persons_ns) - len(answered),
        "frames with more than one statistics message": len(stats) - len(received),
        "frames between the node's count of received frames and its statistics": abs(final_received - len(received)),
        "frames between the node's count of dropped frames and its statistics": abs(final_dropped - len(dropped)),
    }
    return Account(
        sent=len(sent),
        received=len(received),
        lost=len(sent - received),
        answered=len(answered),
        dropped=len(dropped),
        unaccounted=sum(findings.values()),
        contradictions=tuple(f"{count} {text}" for text, count in findings.items() if count),
    )
