"""The figures of the report, those of the paper under their numbers there."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike

from core import figures
from core.figures.clouds import Up
from core.studies.report import Plate
from core.studies.transferability.claims import Measured
from core.studies.transferability.findings import CONTROLS, OPTIMISERS, Floats
from core.studies.transferability.measures import Measures, estimate
from core.studies.transferability.options import Protocol
from core.studies.transferability.tables import UNITS

Range = tuple[float, float]
HOW: Mapping[Protocol, str] = {
    "equal-loss": "at equal loss of the surrogate",
    "rmse-term": "at equal loss of the surrogate, with the RMSE term",
    "equal-rmse": "at equal RMSE",
    "steps": "after the same number of steps",
}
"""The protocols in captions."""
PAPER: Mapping[Protocol, str] = {"equal-loss": "1", "equal-rmse": "2"}
"""The numbers of figures of the paper, by protocol."""
MEAN = "Success rates are means over victims, of samples that surrogate and victim get right when clean"


def plates(
    measured: Measured, samples: Mapping[str, ArrayLike] | None = None, up: Up = "z", value_range: Range = (0.0, 1.0)
) -> Iterator[Plate]:
    """All figures: those of the paper, then the others of each experiment.

    Parameters
    ----------
    measured : the experiments by protocol.
    samples : for figure 3 a cloud (N, 3), or an image (C, H, W), by name: the first clean, the others as attacks on one
        surrogate made it.
    up : axis of the clouds that points up.
    value_range : of the values of images.
    """
    measured = {protocol: each for protocol, each in measured.items() if each.findings.made and each.findings.victims}
    for protocol in measured:
        if protocol in PAPER or (protocol == "rmse-term" and "equal-loss" not in measured):
            yield _bars(measured, protocol)
    if samples:
        yield _samples(samples, up, value_range, UNITS[next(iter(measured.values())).findings.modality])
    for protocol, measures in measured.items():
        if protocol == "steps":
            yield from _steps(measures)
        else:
            yield _against(measures)
            yield from _maps(measures)
    for measures in measured.values():
        if measures.findings.alignment:
            yield _alignment(measures)
            break


def made(measures: Measures) -> dict[str, list[str]]:
    """The attacks of which there is something to draw, by kind."""
    present = {attack for _, attack in measures.findings.made}
    kinds: dict[str, list[str]] = {"optimisers": [], "other attacks": [], "controls": []}
    for attack in filter(present.__contains__, measures.attacks()):
        kind = "optimisers" if attack in OPTIMISERS else "controls" if attack in CONTROLS else "other attacks"
        kinds[kind].append(attack)
    return {kind: attacks for kind, attacks in kinds.items() if attacks}


def _bars(measured: Measured, protocol: Protocol) -> Plate:
    measures = measured[protocol]
    second = measured.get("rmse-term") if protocol == "equal-loss" else None
    groups = list(made(measures).values())
    names = [name for group in groups for name in group]

    def bars(side: Measures) -> dict[str, tuple[Floats, Floats]]:
        return {
            surrogate: (
                np.array([_interval(side.asr(surrogate, name)) for name in names]).reshape(-1, 3),
                np.array([side.distance(surrogate, name)[0] for name in names]),
            )
            for surrogate in measures.findings.surrogates
        }

    figure = figures.transfer_bars(
        groups,
        bars(measures),
        bars(second) if second else None,
        "with the RMSE term; dark: its RMSE" if second else "",
        UNITS[measures.findings.modality],
    )
    title = f"Fig. {PAPER[protocol]}. " if protocol in PAPER else ""
    return Plate(
        f"figure-{PAPER[protocol]}" if protocol in PAPER else protocol,
        figure,
        f"{title}Transferability (lines) and RMSE (bars) of adversarial samples {HOW[protocol]}"
        f"{', and with the RMSE term (dotted, dark)' if second else ''}. {MEAN}; with 95 % intervals.",
    )


def _samples(samples: Mapping[str, ArrayLike], up: Up, value_range: Range, unit: str) -> Plate:
    clean = np.asarray(next(iter(samples.values())), dtype=np.float64)
    names: list[str] = []
    for letter, (name, sample) in zip("abcdefghijklmnopqrstuvwxyz", samples.items(), strict=False):
        moved = np.asarray(sample, dtype=np.float64) - clean
        sizes = f"\nRMSE {np.sqrt((moved**2).mean()):.4f}\nL∞ {np.abs(moved).max():.4f}" if names else "\n\n"
        names.append(f"({letter}) {name}{sizes}")
    of_clouds, shown = clean.ndim == 2, list(samples.values())
    return Plate(
        "figure-3",
        figures.cloud_rows(shown, names, up) if of_clouds else figures.image_rows(shown, names, value_range),
        f"Fig. 3. A clean {'cloud' if of_clouds else 'image'} and what attacks made of it within the same L-infinity "
        f"bound, with the realised sizes of the perturbations in {unit}.",
    )


def _against(measures: Measures) -> Plate:
    protocol = measures.findings.options.protocol
    panels = {
        surrogate: {
            attack: np.array(
                [_interval(measures.distance(surrogate, attack)), _interval(measures.asr(surrogate, attack))]
            )
            for attacks in made(measures).values()
            for attack in attacks
        }
        for surrogate in measures.findings.surrogates
    }
    return Plate(
        f"{protocol}-against-rmse",
        figures.rates_against(panels, made(measures), f"RMSE ({UNITS[measures.findings.modality]})"),
        f"Success rate against RMSE {HOW[protocol]}, a panel for each surrogate. {MEAN}; with 95 % intervals.",
    )


def _maps(measures: Measures) -> Iterator[Plate]:
    findings, protocol = measures.findings, measures.findings.options.protocol
    for attack in (attack for attacks in made(measures).values() for attack in attacks):
        table = np.full((len(findings.surrogates), len(findings.victims), 3), np.nan)
        for row, surrogate in enumerate(findings.surrogates):
            if (surrogate, attack) in findings.made:
                columns = [findings.victims.index(victim) for victim in measures.victims(surrogate)]
                table[row, columns] = [_interval(100 * draws) for draws in measures.rates(surrogate, attack).T]
        yield Plate(
            f"{protocol}-{attack}",
            figures.pair_map(table, findings.surrogates, findings.victims, "Success rate (%)"),
            f"Success rate of {attack} {HOW[protocol]}, of samples that surrogate and victim get right when clean; in "
            "brackets 95 % intervals.",
        )


def _steps(measures: Measures) -> Iterator[Plate]:
    findings = measures.findings
    names = [attack.partition("@") for attack in measures.attacks()]
    counts = sorted({int(steps) for _, _, steps in names})
    for number, surrogate in enumerate(findings.surrogates, 1):
        rates, sizes = (
            {attack: np.full(len(counts), np.nan) for attack in dict.fromkeys(name for name, _, _ in names)}
            for _ in range(2)
        )
        for attack, at, steps in names:
            place = counts.index(int(steps))
            rates[attack][place] = 100 * measures.asr(surrogate, f"{attack}{at}{steps}")[0]
            sizes[attack][place] = measures.distance(surrogate, f"{attack}{at}{steps}")[0]
        panels = {"Success rate (%)": rates, f"RMSE ({UNITS[findings.modality]})": sizes}
        yield Plate(
            f"steps-{number}",
            figures.curves(counts, panels, "Steps"),
            f"Success rate and RMSE over the number of steps, on {surrogate}. {MEAN}.",
        )


def _alignment(measures: Measures) -> Plate:
    findings = measures.findings
    table = [
        [_interval(measures.alignment(surrogate, victim)) for victim in findings.victims]
        for surrogate in findings.surrogates
    ]
    return Plate(
        "alignment",
        figures.pair_map(table, findings.surrogates, findings.victims, "Cosine", limits=(0, 1), digits=2),
        "Cosine of the input gradients of surrogate and victim at the same clean sample, mean; in brackets 95 % "
        "intervals.",
    )


def _interval(draws: Floats) -> tuple[float, float, float]:
    found = estimate(draws)
    return found.value, found.low, found.high
