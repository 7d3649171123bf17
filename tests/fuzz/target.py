"""What a target of the fuzzer is, and what counts as a refusal."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.runtime.text import printable

LONGEST = 300
"""Characters of a sentence that refuses a file."""


class Refused(Exception):  # noqa: N818  not an error
    """The case was refused, as it should be; the message is the sentence."""


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote."""

    name: str
    make: Callable[[random.Random], bytes]
    """A case: the content of a file, or JSON."""
    run: Callable[[bytes, Path, random.Random], None]
    """Read a case, given an empty folder; raises ``Refused`` where it is refused."""
    share: float = 1.0
    """Of the time, relative to others."""
    slow: bool = False
    """Whether each case starts a process."""


def case(target: Target, seed: int, number: int) -> tuple[bytes, random.Random]:
    """Case ``number`` of a target, always the same, and the source of what else is random in running it."""
    return target.make(random.Random(f"{seed} {target.name} {number}")), random.Random(f"{seed} {number}")


class refusals:  # noqa: N801  used as a statement
    """Errors of these kinds become ``Refused``, if their message is one sentence for a person."""

    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, self._kinds) and not isinstance(error, UnicodeError | ValidationError):
            raise Refused(sentence(str(error))) from None


def sentence(text: str, most: int = LONGEST) -> str:
    """The text, which must be one."""
    assert text.strip(), "the message is empty"
    assert len(text) <= most, f"the message is too long: {text[:200]!r}"
    assert text == printable(text), f"the message has unprintable characters: {text[:200]!r}"
    assert "pickle" not in text, f"the message advises to unpickle: {text[:200]!r}"
    assert "read ()" not in text, f"the message gives no reason: {text[:200]!r}"
    return text
