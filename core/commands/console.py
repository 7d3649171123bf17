"""How the commands talk: progress and complaints on standard error, the result on standard output."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from core.events import Cancel, Done, Epoch, Event, Note, Progress, Step
from core.runtime.files import readable

CONSOLE = Console(stderr=True)


class UserError(Exception):
    """Something the person can mend, in one sentence."""


def complain(text: str) -> None:
    CONSOLE.print(f"[bold red]error:[/] {escape(text)}", highlight=False)


def follow(make: Callable[[Cancel], Iterator[Event]], title: str) -> tuple[Any, bool]:
    """Show a long operation's progress until it is done; its result, and whether it is complete.

    The first Ctrl-C stops it and keeps what it has.
    """
    cancel, value, complete = Cancel(), None, False
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=CONSOLE) as bars, _gentle_interrupt(cancel, bars.console):
        task = bars.add_task(title, total=None, text="")
        for event in make(cancel):
            match event:
                case Progress(done, total, text):
                    bars.update(task, completed=done, total=total, text=text)
                case Step(index, total):
                    bars.update(task, completed=index, total=total)
                case Epoch(index, total, metrics):
                    bars.console.print(f"epoch {index}/{total}  {_metrics(metrics)}", highlight=False)
                case Note(text):
                    bars.console.print(text, highlight=False)
                case Done(result, whole):
                    value, complete = result, whole
    return value, complete


@contextmanager
def _gentle_interrupt(cancel: Cancel, console: Console) -> Iterator[None]:
    """The first Ctrl-C asks the operation to stop and keep what it has; the second ends the program."""

    def ask(*_: object) -> None:
        if cancel.requested:
            raise KeyboardInterrupt
        cancel.request()
        console.print("Stopping, and keeping what is there. Press Ctrl-C again to stop at once.")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print a result: one JSON object, or a line per entry."""
    from core.results.records import plain

    if as_json:
        print(json.dumps(plain(result), indent=2))
        return
    width = max(map(len, result), default=0)
    for key, value in result.items():
        text = _metrics(value) if isinstance(value, dict) else _number(value)
        print(f"{key.replace('_', ' '):<{width}}  {text}")


def _metrics(values: Any) -> str:
    return "  ".join(f"{key.replace('_', ' ')} {_number(value)}" for key, value in values.items())


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return readable(", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value))
