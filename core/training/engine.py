"""The training loop of all regimes: a generator that can be cancelled or killed at any moment, and resumed."""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from core.attacks.scale import DIAMETER
from core.datasets import Dataset, Split
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.judge import evaluate_accuracy
from core.events import Cancel, Done, Epoch, Event, Note, Progress, forward
from core.images import ImageFormat
from core.models import ARCHITECTURES, IMAGE_ARCHITECTURES, NonFiniteError, build
from core.models.cards import MOST_CLASSES
from core.models.checkpoints import BEST
from core.models.discriminator import build_discriminator
from core.models.port import give_value_range
from core.runtime.devices import seeded
from core.runtime.files import readable
from core.runtime.locks import locked_folder
from core.training.batches import batches
from core.training.initial import initial_model
from core.training.learner import Learner
from core.training.options import FOR_CLOUDS, TrainOptions
from core.training.record import read_run
from core.training.regimes import REGIMES
from core.training.runs import Run
from core.training.shares import connect, describe_processes, leads, naming_lost_process, require_shares, totals
from core.training.typical import add_typical, training_rows

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def train(
    dataset: Dataset,
    options: TrainOptions,
    folder: Path,
    cancel: Cancel | None = None,
    *,
    resume: bool = False,
    data_root: Path | None = None,
) -> Iterator[Event]:
    """Train a classifier on the train split, without the part of it that is kept for validation; test is not used.

    ``cancel`` ends it after the current batch and keeps the weights of the finished epochs; closing the generator does
    the same, without a result. In both cases the run can be resumed. A resumed run ends with the same weights and
    metrics, bit for bit, as an uninterrupted one on the same CPU and with the same number of threads.

    Several processes that ``fabric run`` or ``torchrun`` has started, all with the same arguments, train together
    (``core.training.shares``): the weights are those of one process with the same ``batch_size``, up to rounding. The
    ``cancel`` of any of them ends all.

    Parameters
    ----------
    folder : Path
        Folder of the run; new or empty, or that of the run to resume.
    resume : bool
        Continue after the last finished epoch. Options that are not set are those of the run; only ``epochs`` may
        differ.
    data_root : Path, optional
        Where the dataset was found; stored in the run's record, so that an evaluation can open it again.

    Yields
    ------
    Note, then for each epoch Progress (in clouds, over the whole run) and Epoch with its metrics: losses in nats,
    accuracies in 0..1, learning rate, training time in seconds, and clouds per second. At last Done with ``RunResult``.

    Raises
    ------
    ValueError
        If the folder, the options or the dataset do not fit, another process is training the run, the training
        diverges (the loss or an output of the model is no longer finite), or a process that trains with this is lost.
    """
    if resume:
        chosen = read_run(folder).options  # raises if there is no run; the lock would create the folder
    else:
        _check(dataset, options)
        chosen = options
    fabric = connect(chosen.device, chosen.precision)  # nothing is written before all processes have checked
    with locked_folder(folder) if leads() else nullcontext(), naming_lost_process():
        try:
            yield from _train(fabric, dataset, options, folder, cancel, resume, data_root)
        except NonFiniteError:
            raise ValueError(
                "The training diverged, its numbers are no longer finite: lower the learning rate. "
                f"{readable(folder)} keeps the epochs before."
            ) from None


def _train(
    fabric: "Fabric",
    dataset: Dataset,
    options: TrainOptions,
    folder: Path,
    cancel: Cancel | None,
    resume: bool,
    data_root: Path | None,
) -> Iterator[Event]:
    device, card, image = fabric.device, dataset.card, dataset.card.image
    run = Run.resume(folder, options, card) if resume else Run.create(folder, options, card, data_root, device)
    options, initial = run.options, run.initial()
    fabric.barrier()  # before the first process changes what the others read
    with seeded(options.seed, device):
        regime, model = REGIMES[options.regime], build(options.model, len(dataset.card.classes), options.model_options)
        if initial is not None:
            model.load_state_dict(initial.module.state_dict())
        if image is not None:
            give_value_range(model, image.value_range)
        discriminator = build_discriminator(model, options.discriminator_width, image) if regime.discriminator else None
        learner = Learner(fabric, model, discriminator, options)
    if repair := run.restore(learner):
        yield Note(repair)

    train_split = dataset.split("train")
    training, validation = training_rows(dataset, options)
    validation_split = Split(
        train_split.points[validation], train_split.labels[validation], [train_split.names[row] for row in validation]
    )
    require_shares(len(training) // math.ceil(len(training) / options.batch_size))
    points = options.points if image else min(options.points, train_split.points.shape[1])
    evaluation = EvaluationOptions(points=points, batch_size=options.batch_size, stop_on_success=True)
    yield Note(
        f"{regime.title} of {options.model} on {dataset.card.name}: {len(training):,} {dataset.card.modality} to learn "
        f"from, {len(validation):,} to validate, {image or f'{options.points:,} points each'}. "
        f"{describe_processes(device)}."
    )

    total = options.epochs * (len(training) + len(validation))
    while len(run.history) < options.epochs and not run.out_of_patience:
        epoch = len(run.history) + 1
        text = f"epoch {epoch}/{options.epochs}"
        done = (epoch - 1) * (len(training) + len(validation))
        learner.begin_epoch(epoch)
        seconds, start = 0.0, time.perf_counter()
        for batch in batches(train_split.points, train_split.labels, training, dataset.card.up_axis, options, epoch):
            learner.progress = done / total
            with seeded(batch.seed, device):
                regime.learn(learner, *learner.take(batch))
            if not math.isfinite(sum(learner.metrics.values())):
                raise NonFiniteError("The loss is no longer finite.")
            done += len(batch.label)
            seconds += time.perf_counter() - start  # without the caller's time between two events
            yield Progress(done, total, text)
            start = time.perf_counter()
            if _cancelled(fabric, cancel):
                yield Done(run.finish(learner, complete=False), complete=False)
                return
        with seeded(batch.seed, device):
            learner.reestimate_batch_norm()
        hits = 0.0, 0.0
        if run.writes:  # one process alone, so that the random starts are those of one
            validated = yield from forward(
                evaluate_accuracy(learner.evaluated_model, validation_split, options.attack_of_validation, evaluation),
                before=done,
                weight=len(validation),
                total=total,
                text=f"{text}, validation",
            )
            hits = tuple(side.accuracy.hits for side in validated.value.sides)
        clean, adversarial = totals(fabric, *hits)
        metrics = {
            **learner.metrics,
            "validation_clean": clean / len(validation),
            "validation_adversarial": adversarial / len(validation),
            "learning_rate": options.learning_rate_at(epoch),
            "seconds": seconds,
            "clouds_per_second": len(training) / seconds,
        }
        run.commit(learner, metrics)
        yield Epoch(epoch, options.epochs, metrics)
        if _cancelled(fabric, cancel):
            break
    complete = len(run.history) >= options.epochs or run.out_of_patience
    if complete and run.writes:
        for event in add_typical(folder / BEST, dataset, options, str(device), cancel):
            match event:
                case Progress(text=text):
                    yield Progress(total, total, text)
                case Note():
                    yield event
    yield Done(run.finish(learner, complete=complete), complete=complete)


def _cancelled(fabric: "Fabric", cancel: Cancel | None) -> bool:
    """Whether the training is to end, of all processes at the same point."""
    return sum(totals(fabric, float(cancel is not None and cancel.requested))) > 0


def _check(dataset: Dataset, options: TrainOptions) -> None:
    """Raise a ValueError if the dataset can't be used for a training with these options."""
    card = dataset.card
    fitting = IMAGE_ARCHITECTURES if card.image else ARCHITECTURES
    if options.model not in fitting:
        raise ValueError(
            f"model: {card.name} has {card.modality}, which {options.model} does not take; choose one of "
            f"{', '.join(fitting)}."
        )
    stored = dataset.split("train").points.shape[1]
    if card.image is not None:
        _check_images(card.name, card.image, options)
    elif options.epsilon > DIAMETER:
        raise ValueError(f"epsilon: of clouds it is at most {DIAMETER:g} unit-sphere radii.")
    elif options.points > stored and not options.replacement:
        raise ValueError(
            f"points: {card.name} stores {stored} points of each cloud, so {options.points} different ones can't be "
            f"drawn; choose at most {stored}, or draw with replacement."
        )
    elif options.rotation and card.up_axis not in ("x", "y", "z"):
        raise ValueError(f"rotation: {card.name} does not say which axis points up; train with rotation 0.")
    if len(card.classes) > MOST_CLASSES:
        raise ValueError(f"{card.name} has {len(card.classes):,} classes; a model knows at most {MOST_CLASSES:,}.")
    if len(card.classes) < 2:
        raise ValueError(f"{card.name} has one class alone, {card.classes[0]}; a classifier needs at least 2.")
    initial_model(options, dataset.card)
    training, validation = dataset.validation(options.validation, options.seed)
    if len(training) < 2 or not len(validation):
        raise ValueError(
            f"{card.name} has too few training clouds: {len(training)} are left to learn from and {len(validation)} to "
            "validate, and 2 and 1 are needed; of classes with one cloud each none is kept for validation."
        )


def _check_images(name: str, image: ImageFormat, options: TrainOptions) -> None:
    """Raise a ValueError if such images can't be learned with these options."""
    usual = TrainOptions()
    for field in FOR_CLOUDS:
        if getattr(options, field) != getattr(usual, field):
            raise ValueError(f"{field}: {name} has images, and this is for clouds; leave it out.")
    if (channels := options.model_options["channels"]) != image.shape[0]:
        raise ValueError(
            f"model_options: {name} has images of {image.shape[0]} channels, and {options.model} is for {channels}; "
            f"set its channels to {image.shape[0]}."
        )
