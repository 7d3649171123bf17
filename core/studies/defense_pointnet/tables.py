"""The tables of the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.confidence import DEFINITIONS, reliability
from core.evaluation.probe import MODES
from core.results.tables import Cell, Table
from core.studies.defense_pointnet.findings import Findings
from core.studies.defense_pointnet.measure import PAPER_EPSILONS
from core.training import REGIMES, TrainOptions

OWN = "discriminator_accuracy"
"""The metric of a training's own discriminator."""
PAPER = {"simple": (96.62, 86.57), "adversarial": (93.04, 94.92), "defense": (94.08, 96.35)}
"""Table I as printed, in %: accuracy on real and on adversarial clouds. The text has 96.96 for the first."""
PAPER_EPSILON = {0.1: 86.57, 0.2: 64.78}
"""What the paper's introduction gives for PointNet under FGSM, in %."""


def tables(findings: Findings) -> dict[str, Table]:
    """All tables, by the name of their files."""
    return {
        "table-1": accuracy(findings),
        "claim": claim(findings),
        "readings": epsilon_variants(findings),
        "top-k": top_k(findings),
        "confidence": confidence(findings),
        "sweep": areas(findings),
        "separation": separations(findings),
        "discriminator": discriminators(findings),
        "work": work(findings),
    }


def percent(rate: float) -> str:
    return f"{100 * rate:.2f}"


def accuracy(findings: Findings) -> Table:
    attack, pgd = findings.attack, findings.pgd
    rows: list[Sequence[Cell]] = []
    for label in findings.groups:
        printed: list[Cell] = [f"{value:.2f}" for value in PAPER[label]] if label in PAPER else [None, None]
        transfer = findings.transfer(label)
        rows.append(
            (
                label,
                len(findings.groups[label]),
                findings.clean(label).percent(),
                findings.adversarial(label).percent(),
                findings.strong(label).percent(),
                transfer.percent() if transfer else None,
                *printed,
            )
        )
    test = findings.measured[0].fgsm.clean.label
    return Table(
        "Table I. Accuracy on the test set (%)",
        (
            "Training",
            "Seeds",
            "Clean",
            f"FGSM {attack.direction} {attack.epsilon:g}",
            f"PGD-{pgd.steps} {pgd.epsilon:g}",
            "FGSM made on simple",
            "Paper: real",
            "Paper: adversarial",
        ),
        rows,
        f"{len(test):,} test clouds of {findings.dataset.card.name}, {findings.evaluation.points:,} points each"
        f"{copies(findings)}; in "
        "brackets 95 % bootstrap intervals over clouds and, where there are several, over seeds (of one seed they say "
        "nothing of another training; of two or three they are somewhat too narrow). Adversarial clouds are made anew "
        "for every model, but for the column of those made on simple.",
    )


def copies(findings: Findings) -> str:
    """A remark on test clouds that are copies of training clouds; empty if there are none."""
    report, among = findings.measured[0].fgsm, findings.dataset.split("test").copies
    if report.copies_left_out:
        return f" ({report.copies_left_out:,} that are copies of training clouds are left out)"
    measured = int(np.isin(report.row, among).sum())
    return f" ({measured:,} of them are copies of training clouds)" if measured else ""


def claim(findings: Findings) -> Table:
    rows: list[Sequence[Cell]] = []
    for better, than in (("defense", "adversarial"), ("defense", "simple"), ("adversarial", "simple")):
        gain = findings.gain(better, than)
        if gain is not None:
            verdict = "holds" if gain.low > 0 else "does not hold" if gain.high < 0 else "undecided"
            seeds = min(len(findings.groups[label]) for label in (better, than))
            rows.append((f"{better} over {than}", gain.percent(), f"{verdict} ({seeds} seed{'s' * (seeds > 1)})"))
    return Table(
        "The paper's claim: adversarial accuracy gained (percentage points)",
        ("Comparison", "Gain", "That the first is better"),
        rows,
        "Paired over clouds and seeds. Undecided means that the 95 % interval holds zero; what one seed shows is of "
        "these two trainings, not yet of the regimes.",
    )


def epsilon_variants(findings: Findings) -> Table:
    labels = list(findings.first)
    example = labels[0]
    rows: list[Sequence[Cell]] = []
    for index, cell in enumerate(findings.first[example].readings):
        shares = [np.mean([each.readings[index].accuracy.value for each in findings.groups[label]]) for label in labels]
        sizes = f"{cell.linf.mean():.4f}", f"{cell.rmse.mean():.4f}"
        rows.append((cell.direction, f"{cell.epsilon:g}", *sizes, *(percent(float(share)) for share in shares)))
    for epsilon in PAPER_EPSILONS if "simple" in labels else ():
        printed = [f"{PAPER_EPSILON[epsilon]:.2f}" if label == "simple" else None for label in labels]
        rows.append(("the paper", f"{epsilon:g}", None, None, *printed))
    return Table(
        "Every reading of epsilon, and noise of the same size (accuracy, %)",
        ("Direction", "Epsilon", "L-infinity", "RMSE", *labels),
        rows,
        f"Realised distances are means over the test clouds of {example}, in unit-sphere radii. raw is the equation as "
        "printed (gradient of the summed loss), raw-mean the same with the loss averaged over a batch of 32; sign, "
        "per-point and l2 move every coordinate that has a gradient, every such point, or the whole cloud by epsilon "
        "(points that win no channel of PointNet have none). Noise knows no model and moves all.",
    )


def top_k(findings: Findings) -> Table:
    rows = [
        (label, side, *map(percent, rates))
        for label, each in findings.first.items()
        for side, rates in zip(("clean", "adversarial"), each.fgsm.top_k().tolist(), strict=True)
    ]
    most = len(rows[0]) - 2
    return Table("Top-k accuracy (%)", ("Training", "Clouds", *(f"k = {k}" for k in range(1, most + 1))), rows)


def confidence(findings: Findings) -> Table:
    rows: list[Sequence[Cell]] = []
    for label, each in findings.first.items():
        for side, verdicts in zip(("clean", "adversarial"), each.fgsm.sides, strict=True):
            cells = []
            for definition in DEFINITIONS.values():
                values = definition.values(verdicts)
                low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)) if len(values) else [np.nan] * 3
                cells.append(f"{middle:.3f} ({low:.3f} to {high:.3f})")
            rows.append((label, side, *cells, f"{reliability(verdicts).error:.3f}"))
    return Table(
        "Confidence by five definitions: median (quartiles)",
        ("Training", "Clouds", *(definition.title for definition in DEFINITIONS.values()), "Calibration error"),
        rows,
        " ".join(f"{definition.title}: {definition.help}" for definition in DEFINITIONS.values())
        + " Calibration error: expected, over 15 bins of the confidence in the predicted class.",
    )


def areas(findings: Findings) -> Table:
    epsilons = findings.measured[0].sweep.epsilons
    rows = [
        (
            label,
            f"{np.mean([each.sweep.area for each in group]):.4f}",
            *(percent(float(np.mean([each.sweep.correct[k].mean() for each in group]))) for k in range(len(epsilons))),
        )
        for label, group in findings.groups.items()
    ]
    return Table(
        f"FGSM {findings.attack.direction} over epsilon (accuracy, %)",
        ("Training", "Area", *(f"{epsilon:g}" for epsilon in epsilons)),
        rows,
        f"Area is the mean accuracy over budgets from {epsilons[0]:g} to {epsilons[-1]:g}, 0 to 1.",
    )


def separations(findings: Findings) -> Table:
    attack, pgd = findings.attack, findings.pgd
    sides = (
        "clean",
        f"FGSM {attack.direction} {attack.epsilon:g}",
        f"PGD-{pgd.steps} {pgd.epsilon:g}",
    )
    rows: list[Sequence[Cell]] = []
    for label, group in findings.groups.items():
        latent = np.mean([each.separations for each in group], axis=0)
        rows += [(label, "latent", side, *numbers) for side, numbers in zip(sides, _decimals(latent), strict=True)]
        if label in findings.maps:
            numbers = _decimals(findings.maps[label].separations)
            rows += [(label, "t-SNE map", side, *pair) for side, pair in zip(sides[:2], numbers, strict=True)]
    return Table(
        "How well classes keep apart (Figs 8 and 9 in numbers)",
        ("Training", "Space", "Clouds", "Silhouette", "Purity"),
        rows,
        f"Of {findings.shown:,} test clouds, drawn evenly from the classes; adversarial ones are made anew for each "
        "model, by PGD with all its steps. Latent: the space of the model's latents, mean over seeds; t-SNE map: the "
        "plane of the figure, one seed. Silhouette: -1 to 1, intra-class compactness against the distance of other "
        "classes. Purity: share of the ten nearest neighbours that are of the same class; what it lacks of 1 is "
        "overlap.",
    )


def _decimals(table: NDArray[np.float64]) -> list[tuple[str, ...]]:
    return [tuple(f"{value:.3f}" for value in line) for line in table]


def discriminators(findings: Findings) -> Table:
    rows: list[Sequence[Cell]] = []
    for label, group in findings.groups.items():
        updates = group[0].entry.options.updates
        for mode, title in MODES.items():
            seen_in_training = mode == ("concatenated" if updates == "concatenated" else "separate")
            trained = [each.history[-1][OWN] for each in group if OWN in each.history[-1]] if seen_in_training else []
            low, high = group[0].probe[mode].interval
            fresh = float(np.mean([each.probe[mode].value for each in group]))
            own = percent(float(np.mean(trained))) if trained else None
            rows.append((label, title, own, percent(fresh), f"[{percent(low)}, {percent(high)}]"))
    return Table(
        "Can a discriminator tell latents of clean clouds from adversarial ones? (accuracy, %)",
        ("Training", "Latents taken in", "Its own, last epoch", "A fresh one", "Interval of the first seed"),
        rows,
        "50 % is what a coin has. The fresh discriminator, of the same two layers, is fitted on latents of training "
        "clouds and measured on test clouds, each time in the mode named: it tells a discriminator that died from "
        "latents that agree. In eval mode batch norm uses its running statistics, as when the model is used; in train "
        "mode those of the batch, of clean or of adversarial clouds alone, or of both together. A training's own "
        "discriminator stands beside the mode in which it saw latents (mean over the last epoch); only numbers of one "
        "line can be compared. The model is that of the best epoch.",
    )


def work(findings: Findings) -> Table:
    rows = []
    for each in findings.measured:
        options = each.entry.options
        seconds = sum(line["seconds"] for line in each.history)
        clouds = round(sum(line["seconds"] * line["clouds_per_second"] for line in each.history) / len(each.history))
        gradients = options.attack.steps if REGIMES[options.regime].robust else 0
        rows.append(
            (
                each.entry.name,
                f"{clouds:,}",
                len(each.history),
                f"{options.points:,}",
                f"{each.steps:,}",
                gradients,
                f"{seconds / 60:.1f}",
                each.model.card.epochs,
                "found" if each.entry.found else "trained here",
            )
        )
    return Table(
        "Work: what every training had",
        (
            "Run",
            "Clouds an epoch",
            "Epochs",
            "Points",
            "Gradient steps",
            "Attack steps a batch",
            "Minutes",
            "Best epoch",
            "Origin",
        ),
        rows,
        "Regimes that learn from clean and adversarial batches in turn make twice the gradient steps of the others on "
        "the same clouds. The best epoch is that of the highest validation accuracy; a tenth of "
        "the training clouds is kept aside for it, test clouds play no part. " + differences(findings),
    )


def _values(options: TrainOptions) -> dict[str, Any]:
    return options.model_dump() | {"attack_steps": options.attack.steps}  # if not given, the regime's own


def differences(findings: Findings) -> str:
    """One sentence for each run whose options differ from the first's in more than regime and seed."""
    first = findings.measured[0].entry.options
    sentences = []
    for each in findings.measured:
        own = each.entry.options
        usual = _values(first.model_copy(update={"regime": own.regime, "seed": own.seed}))
        unlike = [
            f"{name} {value} in place of {usual[name]}" for name, value in _values(own).items() if value != usual[name]
        ]
        if unlike:
            sentences.append(f"{each.entry.name} was trained with {', '.join(unlike)}.")
    return " ".join(sentences) or "All had the same options but regime and seed."
