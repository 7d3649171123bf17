"""The commands. Each is a loop over the events that the window reads; with ``--json`` it prints one object only.

To add a command, write a module with a function of its name, and add a line to ``COMMANDS`` in ``app``.
"""

import sys
import traceback
import warnings

from cyclopts import CycloptsError, UnusedCliTokensError
from platformdirs import user_log_path
from pydantic import ValidationError

from core.commands.app import CLOSED_OUTPUT, DEFECT, FAILED, STOPPED, WRONG_USE, cli, parse
from core.commands.console import (
    ClosedOutputError,
    UsageError,
    UserError,
    discard_output,
    note,
    print_error,
    show_warning,
)
from core.options import explain
from core.runtime.files import atomic_path
from core.runtime.memory import out_of_memory
from core.runtime.text import shortened

__all__ = ["cli", "run"]

MOST_USAGE_CHARACTERS = 1000
"""Longest error message about a command line, which may list choices and repeat a person's own words."""


def run(words: list[str]) -> int:
    """Run one command line; the exit code is one of those that ``pointward --help`` lists."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # for terminals that can't show every letter
    warnings.showwarning = show_warning
    help_of = f"See: pointward {' '.join(words[:1])} --help" if words and words[0] in cli else "See: pointward --help"
    try:
        try:
            return parse(words)
        except KeyboardInterrupt:
            note("stopped")
            return STOPPED
        except ClosedOutputError:
            raise
        except Exception as error:
            code, message = exit_code_and_message(error)
            print_error(message, help_of if code == WRONG_USE else "")
            return code
    except ClosedOutputError:
        discard_output(sys.stdout, sys.stderr)
        return CLOSED_OUTPUT


def exit_code_and_message(error: Exception) -> tuple[int, str]:
    """The exit code for an exception, and what to tell the person about it in one sentence."""
    if (sentence := out_of_memory(error)) is not None:
        return FAILED, sentence
    match error:
        case UnusedCliTokensError(unused_tokens=tokens):
            return WRONG_USE, f"More than the command takes: {shortened(' '.join(tokens or ()))}."
        case CycloptsError():
            cause = error.__cause__
            text = explain(cause) if isinstance(cause, ValidationError) else " ".join(str(error).split())
            return WRONG_USE, shortened(text, MOST_USAGE_CHARACTERS)
        case UsageError():
            return WRONG_USE, str(error)
        case ValidationError():
            return FAILED, explain(error)
        case OSError():
            reason = error.strerror or type(error).__name__
            return FAILED, f"{error.filename}: {reason}." if error.filename else f"{reason}."
        case UserError() | ValueError():
            return FAILED, str(error)
    return DEFECT, _save_traceback(error)


def _save_traceback(error: Exception) -> str:
    """Save the traceback of a defect in a file. Returns a message that asks the person to report it."""
    path = user_log_path("pointward") / "traceback.txt"
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"[:120]
    try:
        with atomic_path(path) as part:
            part.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
    except OSError:
        return f"Something unexpected went wrong ({what}). Please report this defect."
    return f"Something unexpected went wrong ({what}). Please report this defect together with {path}."
