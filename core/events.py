"""The events that a long operation yields while it runs, and the token that asks it to end early.

A long operation is a generator of these frozen events; the caller owns the loop. Closing the generator, or
requesting its ``Cancel`` token, ends the operation at its next yield and keeps the partial result.
"""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """Base of everything a generator yields."""


@dataclass(frozen=True)
class Progress(Event):
    """``done`` of ``total`` equal pieces of work are finished; ``text`` names the work."""

    done: int
    total: int
    text: str = ""


@dataclass(frozen=True)
class Note(Event):
    """One sentence for the person: something worth knowing that is not an error."""

    text: str


@dataclass(frozen=True)
class Epoch(Event):
    """Epoch ``index`` (1-based) of ``total`` ended with these ``metrics``."""

    index: int
    total: int
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Step(Event):
    """Step ``index`` of ``total`` ended; ``value`` is the operation's own snapshot (an attack state, a map)."""

    index: int
    total: int
    value: Any = None


@dataclass(frozen=True)
class Done(Event):
    """Last event of an operation: its result, and whether the work was finished or stopped early."""

    value: Any = None
    complete: bool = True


class Cancel:
    """A request, settable from any thread, to end an operation early and keep what it has."""

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        self.requested = True


def result(events: Iterable[Event]) -> Any:
    """Run an operation to its end and return the value of its ``Done`` event."""
    value = None
    for event in events:
        if isinstance(event, Done):
            value = event.value
    return value


def forward(
    events: Iterable[Event], *, before: float = 0, weight: float | None = None, total: int = 0, text: str = ""
) -> Generator[Event, None, Done]:
    """Pass on the events of an operation that is a part of a larger one; its ``Done`` is returned, not passed on.

    Parameters
    ----------
    events : iterable of Event
    before : float
        Pieces of the whole that were finished before this part.
    weight : float, optional
        Pieces of the whole that this part stands for. With it, Progress and Step become Progress of the whole, which
        never falls even if the operation counts from 0 several times; without it they are passed on unchanged.
    total : int
        Pieces of the whole.
    text : str
        Name of this part; it is put before the text of its Progress and Notes.

    Returns
    -------
    Done
        The last event of the operation; if it had none, one without value and with ``complete`` False.
    """
    end, furthest = Done(complete=False), 0.0
    for event in events:
        match event:
            case Done():
                end = event
            case Progress(done, of) | Step(done, of) if weight is not None:
                furthest = max(furthest, done / max(of, 1))
                own = event.text if isinstance(event, Progress) else ""
                yield Progress(round(before + weight * furthest), total, _with_label(text, own))
            case Note(sentence):
                yield Note(_with_label(text, sentence))
            case _:
                yield event
    return end


def _with_label(label: str, text: str) -> str:
    return ": ".join(part for part in (label, text) if part)
