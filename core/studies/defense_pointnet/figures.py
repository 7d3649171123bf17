"""The figures of the report, under the numbers they have in the paper."""

from collections.abc import Iterator

import numpy as np
import torch

from core import figures
from core.attacks import Attack
from core.evaluation.confidence import DEFINITIONS, reliability
from core.evaluation.tsne import Map, TsneOptions
from core.events import result
from core.models.predict import predict
from core.studies.defense_pointnet.findings import Findings
from core.studies.defense_pointnet.measure import Measured
from core.studies.defense_pointnet.options import PAPER
from core.studies.report import Plate

SAMPLES = {"figure-1": "airplane", "figure-6": "car", "figure-7": "table"}
"""The class of the sample cloud in each figure of the paper that shows one."""

MAPS = {"simple": 8, "defense": 9}
"""The number of the figure that maps a regime's latents."""


def plates(findings: Findings) -> Iterator[Plate]:
    """All figures: those of the paper in its order, then further ones."""
    samples = dict(_samples(findings))
    yield from (samples[name] for name in samples if name == "figure-1")
    yield _classes(findings)
    yield _top_k(findings)
    yield from _confidences(findings)
    yield from (samples[name] for name in samples if name != "figure-1")
    yield from _maps(findings)
    yield _sweep(findings)
    yield _pareto(findings)
    yield from _confusions(findings)
    yield from _trainings(findings)


def made_with(findings: Findings) -> str:
    """The part of a caption on how adversarial clouds and models were made."""
    seeds = sorted({each.entry.options.seed for each in findings.first.values()})
    return (
        f"FGSM {findings.attack.direction}, epsilon {findings.attack.epsilon:g}, made on each model; "
        f"{len(findings.measured[0].fgsm.row):,} clouds of {findings.evaluation.points:,} points; training seed "
        f"{', '.join(map(str, seeds))}"
    )


def _classes(findings: Findings) -> Plate:
    labels, classes = findings.dataset.split("train").labels, findings.dataset.card.classes
    counts = dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
    title = f"{findings.dataset.card.title}: {len(labels):,} training clouds"
    return Plate("figure-3", figures.class_counts(counts, title), "Fig. 3. The classes of the training set.")


def _top_k(findings: Findings) -> Plate:
    tops = {label: each.fgsm.top_k() for label, each in findings.first.items()}
    curves = {label: (clean, moved) for label, (clean, moved) in tops.items()}
    caption = f"Fig. 4. Top-k accuracy on clean and on adversarial test clouds ({made_with(findings)})."
    clouds = len(findings.measured[0].fgsm.row)
    return Plate("figure-4", figures.top_k(curves, clouds), caption)


def _confidences(findings: Findings) -> Iterator[Plate]:
    sides = {label: each.fgsm.sides for label, each in findings.first.items()}
    for name, definition in DEFINITIONS.items():
        clean, moved = ({label: definition.values(pair[side]) for label, pair in sides.items()} for side in (0, 1))
        yield Plate(
            f"figure-5-{name}",
            figures.confidence_boxes(clean, moved, definition.title),
            f"Fig. 5, by the definition “{name}” ({made_with(findings)}). {definition.help}"
            + (" This one fits the range of the paper's figure best." if name == "correct" else ""),
        )
    found = [{label: reliability(pair[side]) for label, pair in sides.items()} for side in (0, 1)]
    first, second = ({label: (r.confidence, r.accuracy, r.count) for label, r in side.items()} for side in found)
    yield Plate(
        "figure-5-calibration",
        figures.reliability(first, second),
        f"Fig. 5, by the definition “calibration” ({made_with(findings)}). How often verdicts of a confidence are "
        "right; on the diagonal a model is as often right as it says.",
    )


def _samples(findings: Findings) -> Iterator[tuple[str, Plate]]:
    shown: dict[str, Measured] = {label: each for label, each in findings.first.items() if label in PAPER}
    if "simple" not in shown:
        return
    taken: set[int] = set()
    for name, wanted in SAMPLES.items():
        present = [int(k) for k in np.unique(shown["simple"].fgsm.clean.label) if k not in taken]
        if not present:
            return  # fewer classes than figures
        classes = findings.dataset.card.classes
        truth = classes.index(wanted) if wanted in classes and classes.index(wanted) in present else present[0]
        row, sentence = _sample(findings, shown, truth)
        taken.add(truth)
        yield name, _sample_plate(findings, shown, name, row, sentence)


def _sample(findings: Findings, shown: dict[str, Measured], truth: int) -> tuple[int, str]:
    """The row of the cloud of class ``truth`` to show, and how it was chosen.

    As in the paper's figure, it is the first cloud that all models get right and that, when the simple model is
    attacked, fools only the simple model. If there is none: the first that fools the simple model, then the first that
    all get right, then the first.
    """
    name, of_class = findings.dataset.card.classes[truth], shown["simple"].fgsm.clean.label == truth
    known = np.all([each.fgsm.clean.correct for each in shown.values()], axis=0)
    fooled = ~shown["simple"].fgsm.sides[1].correct
    others = [each.transfer.sides[1].correct for each in shown.values() if each.transfer is not None]
    alone = of_class & known & fooled & np.all([np.ones_like(fooled), *others], axis=0)
    for candidates in (alone, of_class & known & fooled, of_class & known, of_class):
        if candidates.any():
            place = int(candidates.argmax())
            break
    sentence = (
        f"Of {of_class.sum()} test clouds of the class {name}, {alone.sum()} are as in the paper: known to "
        "all models when clean, and lost to simple training alone when attacked on it. The first such cloud is shown"
        + ("." if alone.any() else "; there being none, the first of the class that comes closest.")
    )
    return int(shown["simple"].fgsm.row[place]), sentence


def _sample_plate(findings: Findings, shown: dict[str, Measured], name: str, row: int, sentence: str) -> Plate:
    dataset, classes = findings.dataset, findings.dataset.card.classes
    cloud = dataset.cloud("test", row, findings.evaluation.points)
    assert cloud.label is not None
    pair = np.stack([cloud.points, _attack_cloud(shown["simple"], cloud.points, cloud.label, findings.attack)])
    confidences = np.stack([predict(each.model.module, pair).probabilities for each in shown.values()])
    how = (
        f"{sentence} The adversarial cloud is made on simple training (FGSM {findings.attack.direction}, epsilon "
        f"{findings.attack.epsilon:g}) and given to all."
    )
    up, both = dataset.card.drawn_up, list(pair)
    if name == "figure-1":
        rows = []
        for label, table in zip(shown, confidences, strict=True):
            clean, adversarial = (
                (classes[k], float(line[k]), k == cloud.label) for line in table for k in [line.argmax()]
            )
            rows.append((label, clean, adversarial))
        figure = figures.verdicts(both, rows, up)
        return Plate(name, figure, f"Fig. 1. A clean cloud, its adversarial counterpart, and what models see. {how}")
    figure = figures.sample_bars(both, confidences, list(shown), classes, cloud.label, up)
    number = name.removeprefix("figure-")
    return Plate(name, figure, f"Fig. {number}. Confidences for a clean {cloud.class_name} and its adversarial. {how}")


def _attack_cloud(each: Measured, points: np.ndarray, label: int, attack: Attack) -> np.ndarray:
    """The adversarial cloud (N, 3) of a clean cloud (N, 3)."""
    state = result(attack.run(each.model.module, torch.from_numpy(points[None]), torch.tensor([label])))
    return np.asarray(state.adversarial[0].numpy())


def _maps(findings: Findings) -> Iterator[Plate]:
    for label, made in findings.maps.items():
        number, each, options = MAPS[label], findings.first[label], TsneOptions(perplexity=made.perplexity)
        map = Map(made.xy, made.kl, 0, options, None, None, complete=True)
        figure = figures.tsne_pair(map, made.labels, made.adversarial, findings.dataset.card.classes)
        latent, flat = (
            f"{table[0, 0]:.2f} of clean and {table[1, 0]:.2f} of adversarial clouds"
            for table in (each.separations, made.separations)
        )
        yield Plate(
            f"figure-{number}",
            figure,
            f"Fig. {number}. One t-SNE map of the latents of {len(made.labels) // 2} clean and as many adversarial "
            f"test clouds, {label} training (seed {each.entry.options.seed}; FGSM {findings.attack.direction}, epsilon "
            f"{findings.attack.epsilon:g}; t-SNE with perplexity {made.perplexity:g}, seed {options.seed}, KL "
            f"{made.kl:.2f} nats). Silhouette of the classes in the latent space: {latent}; in this map: {flat}.",
        )


def _sweep(findings: Findings) -> Plate:
    lines = {
        label: np.mean([each.sweep.correct.mean(axis=1) for each in group], axis=0)
        for label, group in findings.groups.items()
    }
    first = findings.measured[0]
    figure = figures.robustness_curves(first.sweep.epsilons, lines, len(first.fgsm.row))
    most = max(len(group) for group in findings.groups.values())
    return Plate(
        "sweep",
        figure,
        f"Accuracy under FGSM {findings.attack.direction}, made on each model, over the budget; "
        f"{len(first.fgsm.row):,} clouds of {findings.evaluation.points:,} points"
        + (f", means over up to {most} training seeds." if most > 1 else "."),
    )


def _pareto(findings: Findings) -> Plate:
    points = []
    for label in findings.groups:
        clean, strong = findings.clean(label), findings.strong(label)
        intervals = (clean.low, clean.high), (strong.low, strong.high)
        points.append(figures.ParetoPoint(label, clean.value, strong.value, *intervals))
    return Plate(
        "pareto",
        figures.pareto(points),
        f"What robustness costs: clean accuracy against accuracy under PGD-{findings.pgd.steps} at "
        f"{findings.pgd.epsilon:g}, with 95 % intervals. No model is better in both than those on the line.",
    )


def _confusions(findings: Findings) -> Iterator[Plate]:
    for label, each in findings.first.items():
        clean, adversarial = (verdicts.confusion() for verdicts in each.fgsm.sides)
        figure = figures.confusion_pair(clean, adversarial, findings.dataset.card.classes)
        yield Plate(
            f"confusion-{label}", figure, f"What {label} training takes each class for ({made_with(findings)})."
        )


def _trainings(findings: Findings) -> Iterator[Plate]:
    for label, each in findings.first.items():
        panels = {
            "Loss (nat)": {"clean": "loss_clean", "adversarial": "loss_adversarial"},
            "Validation accuracy (%)": {"clean": "validation_clean", "adversarial": "validation_adversarial"},
            "Discriminator (%)": {"discriminator accuracy": "discriminator_accuracy"},
        }
        epochs = np.array([int(line["epoch"]) for line in each.history])
        drawn = {
            title: {
                name: [line[key] * (100 if "%" in title else 1) for line in each.history]
                for name, key in lines.items()
                if key in each.history[0]
            }
            for title, lines in panels.items()
        }
        figure = figures.curves(epochs, {title: lines for title, lines in drawn.items() if lines})
        yield Plate(f"training-{label}", figure, f"The training of {label}, epoch by epoch.")
