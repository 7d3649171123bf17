"""Ways to damage a file: bytes, numbers and lines anywhere, and the values of JSON."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

EXTREMES = (
    0, -1, 1, 2, 3, 127, 128, 255, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1, -(2**31), 1_000_000,
    5_000_001, 10**18, 10**40,
)  # fmt: skip
NUMBERS = (
    *(str(number) for number in EXTREMES), "nan", "inf", "-inf", "1e308", "-1e39", "1e-320", "0.1", "-0", "1e999", "x",
    "", "0x10", "1_000", "1,5", "\u0661", "9" * 5000,
)  # fmt: skip
WORDS = (
    "x", "points", "ascii", "list", "property", "element vertex 3", "COUNT 0", "binary_compressed", "endsolid", "f",
    "v", "OFF", "#", "end_header", "nan nan nan", "\x1b[31m", "\0", "../../x", "\u202e", "\ud800",
    "pointward unit sphere: centre 0 0 0 radius 1",
)  # fmt: skip
LONGEST = 4 << 20
"""Bytes of a case."""

_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The file with one to four damages."""
    for _ in range(rng.choice((1, 1, 1, 1, 2, 4))):
        if data:
            data = rng.choice(_MUTATORS)(data, others, rng)[:LONGEST]
    return data


def _flip_bits(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    content = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        content[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(content)


def _truncate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _remove_bytes(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + data[start + rng.choice((1, 2, 4, 16, 200)) :]


def _insert_bytes(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + rng.randbytes(rng.choice((1, 2, 4, 16, 200))) + data[start:]


def _repeat_bytes(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    start = _place(data, rng)
    piece = data[start : start + rng.choice((1, 4, 16, 100))]
    return data[:start] + piece * rng.choice((2, 10, 1000, 20_000)) + data[start:]


def _splice(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _set_integer(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice(EXTREMES) % (1 << 8 * size)
    start = _place(data, rng)
    return data[:start] + value.to_bytes(size, rng.choice(("little", "big"))) + data[start + size :]


def _swap_number(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    found = list(_NUMBER.finditer(data[: rng.choice((200, 2000, 100_000))]))
    if not found:
        return _set_integer(data, others, rng)
    number = rng.choice(found)
    other = rng.choice(NUMBERS if rng.random() < 0.6 else ("0", "1", "2", "3", "-0.5", "7.25"))
    return data[: number.start()] + other.encode() + data[number.end() :]


def _damage_line(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    place = rng.randrange(min(len(lines), rng.choice((12, 1000))))
    match rng.randrange(6):
        case 0:
            del lines[place]
        case 1:
            most = LONGEST // (len(lines[place]) + 1)
            lines[place:place] = [lines[place]] * min(most, rng.choice((1, 2, 1000, 50_000)))
        case 2:
            other = rng.randrange(len(lines))
            lines[place], lines[other] = lines[other], lines[place]
        case 3:
            lines[place] = rng.choice(WORDS).encode("utf-8", "surrogatepass")
        case 4:
            words = lines[place].split(b" ")
            words[rng.randrange(len(words))] = rng.choice((*WORDS, *NUMBERS)).encode("utf-8", "surrogatepass")
            lines[place] = b" ".join(words)
        case 5:
            lines[place] += b" " + rng.choice(NUMBERS).encode()
    return rng.choice((b"\n", b"\n", b"\n", b"\r\n", b"\r")).join(lines)


_MUTATORS: tuple[Callable[[bytes, list[bytes], random.Random], bytes], ...] = (
    _flip_bits, _truncate, _remove_bytes, _insert_bytes, _repeat_bytes, _splice, _set_integer, _set_integer,
    _swap_number, _swap_number, _swap_number, _damage_line, _damage_line, _damage_line,
)  # fmt: skip


def _place(data: bytes, rng: random.Random) -> int:
    """Anywhere, and twice as often in the first bytes, which are the header."""
    return rng.randrange(min(len(data), rng.choice((64, 512, len(data)))))


def random_value(rng: random.Random, depth: int = 0) -> Any:
    """Any value that JSON can hold, and some that it cannot."""
    kind = rng.randrange(10 if depth < 3 else 7)
    match kind:
        case 0:
            return rng.choice((None, True, False))
        case 1 | 2:
            return rng.choice(EXTREMES)
        case 3:
            return rng.choice((0.5, -1.0, 1e308, float("nan"), float("inf"), 1e-9))
        case 4 | 5:
            return rng.choice((*WORDS, *NUMBERS, "fgsm", "cpu", "simple", "\n", "a" * 100_000))
        case 6:
            return rng.choice(([], {}, "", 0))
        case 7 | 8:
            return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {str(random_value(rng, 3)): random_value(rng, depth + 1) for _ in range(rng.randrange(4))}


def mutate_json(value: Any, rng: random.Random) -> Any:
    """The value with one of its parts replaced, removed, repeated or nested deep."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        rest = {name: item for name, item in value.items() if name != key}
        match rng.randrange(5):
            case 0:
                return rest
            case 1:
                return rest | {rng.choice((key + "x", "", "x" * 1000, "\x1b")): value[key]}
        return value | {key: mutate_json(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        if rng.random() < 0.2:
            return value * rng.choice((2, 1000, 100_000 // len(value)))
        return [*value[:place], mutate_json(value[place], rng), *value[place + 1 :]]
    return random_value(rng)


def json_text(value: Any, rng: random.Random) -> bytes:
    """As JSON, now and then nested far deeper than any parser goes."""
    text = json.dumps(value)
    if rng.random() < 0.03:
        depth = rng.choice((900, 100_000))
        text = text.replace("null", "[" * depth + "]" * depth) if "null" in text else "[" * depth
    return text.encode("utf-8", "surrogatepass")
