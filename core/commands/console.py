"""Output of the commands: progress, notes and errors on standard error, the result on standard output.

Names of files, fields and classes may come from anybody. All text is made ``printable`` before it is shown, so that no
name can send control codes to the terminal; JSON escapes control characters itself and stays exact.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from core.events import Cancel, Done, Epoch, Event, Note, Progress, Step
from core.runtime.text import printable, shortened


class UserError(Exception):
    """An error that the person can correct, in one sentence."""


class UsageError(UserError):
    """A command line that cannot be carried out as it is written, found before any work."""


class ClosedOutputError(Exception):
    """Nobody reads the output any longer, as in ``pointward datasets | head -1``."""


class Terminal(Console):
    """A console on which a closed pipe is a ``ClosedOutputError``."""

    def on_broken_pipe(self) -> None:
        raise ClosedOutputError


CONSOLE = Terminal(stderr=True, markup=False, emoji=False, highlight=False)


def note(text: str) -> None:
    """A line on standard error."""
    CONSOLE.print(printable(text), soft_wrap=True)


def print_error(text: str, hint: str = "") -> None:
    """Print an error as one sentence of at most 300 characters, and below it a hint where to read more."""
    sentence = shortened(printable(text.strip())) or "Something went wrong, and nothing is known of it."
    CONSOLE.print(Text.assemble(("error:", "bold red"), " ", sentence), soft_wrap=True)
    if hint:
        note(hint)


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a library's warning without the line of its source; a replacement for ``warnings.showwarning``."""
    note(f"warning: {' '.join(str(message).split())}")


def write(text: str) -> None:
    """Print text, unchanged, on standard output.

    Raises
    ------
    ClosedOutputError
        If nobody reads it any longer.
    OSError
        If it can't be written, such as to a full disk; all later output is discarded.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise ClosedOutputError from None
    except OSError as error:
        discard_output(sys.stdout)
        raise OSError(error.errno, error.strerror, "standard output") from None


def discard_output(*streams: TextIO) -> None:
    """Send the rest of the output to the null device; otherwise Python reports an error when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def follow(make: Callable[[Cancel], Iterator[Event]], title: str, *, quiet: bool = False) -> tuple[Any, bool]:
    """Run a long operation and show its progress, unless ``quiet``. Returns its result, and whether it is complete.

    The first Ctrl-C stops it and keeps the partial result.
    """
    cancel, value, complete = Cancel(), None, False
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False), TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=CONSOLE, disable=quiet) as bars, _gentle_interrupt(cancel):
        task = bars.add_task(printable(title), total=None, text="")
        for event in make(cancel):
            match event:
                case Progress(done, total, text):
                    bars.update(task, completed=done, total=total, text=printable(text))
                case Step(index, total):
                    bars.update(task, completed=index, total=total)
                case Epoch(index, total, metrics) if not quiet:
                    note(f"epoch {index}/{total}  {_metrics(metrics)}")
                case Note(text) if not quiet:
                    note(text)
                case Done(result, whole):
                    value, complete = result, whole
    return value, complete


@contextmanager
def _gentle_interrupt(cancel: Cancel) -> Iterator[None]:
    """Let the first Ctrl-C stop the operation and keep its partial result, and the second end the program."""

    def on_interrupt(*_: object) -> None:
        if cancel.requested:
            raise KeyboardInterrupt
        cancel.request()
        note("Stopping, and keeping what is there. Press Ctrl-C again to stop at once.")

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def show(result: dict[str, Any], as_json: bool, details: Collection[str] = ()) -> None:
    """Print a result: one JSON object, or a line per entry; the key of a group of facts is a name, printed as it is.

    The lines leave out what is None, and ``details``: names of entries that few people ask for.
    """
    from core.results.records import plain

    if as_json:
        write(json.dumps(plain(result), indent=2))
        return
    result = {key: value for key, value in plain(result).items() if value is not None and key not in details}
    width = max(map(len, result), default=0)
    lines = []
    for key, value in result.items():
        name, text = (key, _metrics(value)) if isinstance(value, dict) else (key.replace("_", " "), _number(value))
        lines.append(printable(f"{name:<{width}}  {text}"))
    write("\n".join(lines))


def _metrics(values: Any) -> str:
    return "  ".join(f"{key.replace('_', ' ')} {_number(value)}" for key, value in values.items() if value is not None)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(map(_number, value)) or "none") if isinstance(value, tuple | list) else str(value)
