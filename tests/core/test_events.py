"""An operation that is one part of a larger one."""

from collections.abc import Iterator

from core.events import Done, Epoch, Event, Note, Progress, Step, forward


def followed(events: list[Event], **place: object) -> tuple[list[Event], Done]:
    """What ``forward`` yields, and what it returns."""
    stream, seen = forward(events, **place), []  # type: ignore[arg-type]
    while True:
        try:
            seen.append(next(stream))
        except StopIteration as end:
            return seen, end.value


def test_all_events_but_the_last_are_passed_on_and_that_one_is_returned() -> None:
    events = [Progress(1, 2, "clouds"), Note("a word"), Step(1, 3, "map"), Epoch(1, 2), Done("all", complete=False)]
    assert followed(events) == (events[:-1], events[-1])


def test_an_operation_without_a_result_is_not_complete() -> None:
    assert followed([Progress(1, 2)])[1] == Done(None, complete=False)


def test_progress_and_steps_become_progress_of_the_whole_under_the_name_of_the_part() -> None:
    events = [Progress(1, 4, "clouds"), Progress(1, 4), Step(2, 4, "map"), Note("a word"), Done()]
    seen, _ = followed(events, before=10, weight=8, total=20, text="second part")
    assert seen == [
        Progress(12, 20, "second part: clouds"),
        Progress(12, 20, "second part"),
        Progress(14, 20, "second part"),
        Note("second part: a word"),
    ]


def test_progress_of_the_whole_never_falls_though_a_part_counts_twice() -> None:
    counts = [Progress(done, 4) for done in (1, 4, 1, 4)]
    seen, _ = followed([*counts, Progress(0, 0)], weight=4, total=4)
    assert [event.done for event in seen if isinstance(event, Progress)] == [1, 4, 4, 4, 4]


def test_closing_the_whole_closes_the_part() -> None:
    closed = []

    def part() -> Iterator[Event]:
        try:
            yield Progress(1, 2)
            yield Progress(2, 2)
        finally:
            closed.append(True)

    stream = forward(part())
    next(stream)
    stream.close()
    assert closed
