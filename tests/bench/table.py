"""``python -m tests.bench.table bench.json`` prints the results as tables for the README."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.record import GPU, Comparison

HEAD = ("| what | ours | GPU | peer | ratio: median (quartiles, n) | bar |", "|---|---|---|---|---|---|")
TITLES = {"kept": "Freed memory kept, as the program does", "system": "The C library's own allocator settings"}


def lines(path: Path) -> Iterator[str]:
    """Of a Markdown document: the machine, then a table for each setting of the allocator."""
    found = json.loads(path.read_text(encoding="utf-8"))
    machine, comparisons = found["machine"], found["comparisons"]
    threads = sorted({str(comparison["threads"]) for comparison in comparisons})
    dates = sorted({comparison["date"][:10] for comparison in comparisons})
    yield (
        f"{machine['cpu']}, {machine['cores']} cores ({' or '.join(threads)} threads), {machine['system']}, "
        f"Python {machine['python']}, PyTorch {machine['torch']}, "
        f"maxima by {machine['maxima_by']}, {machine['gpu']}, "
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}."
    )
    for allocator, title in TITLES.items():
        if part := [comparison for comparison in comparisons if comparison["allocator"] == allocator]:
            yield from ("", f"**{title}**", "", *HEAD)
            for comparison in part:
                yield from _rows(comparison)
            yield ""
            for comparison in part:
                yield from _notes(comparison)


def _rows(comparison: Comparison) -> Iterator[str]:
    what, unit, samples, bars = (comparison[key] for key in ("what", "unit", "samples", "bars"))
    ours, own = samples[comparison["ours"]], bars.get(comparison["ours"], "")
    there = f"{_number(samples[GPU]['median'])} {unit}" if GPU in samples else ""
    ratios = {peer: ratio for peer, ratio in comparison["ratios"].items() if peer != GPU}
    for peer, ratio in ratios.items():
        theirs = f"{peer}: {_number(samples[peer]['median'])} {unit}"
        bar = ", ".join(filter(None, (own, bars.get(peer))))
        yield f"| {what} | {_number(ours['median'])} {unit} | {there} | {theirs} | {_spread(ratio)} | {bar} |"
    if not ratios:
        yield f"| {what} | {_spread(ours)} {unit}, p95 {_number(ours['p95'])} | {there} | | | {own} |"


def _notes(comparison: Comparison) -> Iterator[str]:
    for note, values in comparison["notes"].items():
        yield f"* {comparison['what']}, {note}: {', '.join(f'{name} {value:.4g}' for name, value in values.items())}."


def _spread(values: dict[str, float]) -> str:
    return f"{_number(values['median'])} ({_number(values['low'])} to {_number(values['high'])}, {values['n']})"


def _number(value: float) -> str:
    """With three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


if __name__ == "__main__":
    print("\n".join(lines(Path(sys.argv[1]))))
