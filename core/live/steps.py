"""An attack on one cloud, step by step or as a whole: each function returns the scene of a state of the attack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from core.attacks import State
from core.evaluation.critical_points import critical_channels
from core.events import Cancel, Done, Event, Step
from core.live.predictions import Array, clean_batch, gradient_lengths, judging, predict_all
from core.live.scene import Scene, Setup
from core.models import Classifier
from core.models.port import draws_anew, reseeded

_STRIDE = 7919  # between the seeds of two steps, so that those of neighbouring seeds do not meet them


@dataclass(frozen=True, eq=False)
class AttackResult:
    """All states of an attack, the first being the clean cloud, and the scene of the last state."""

    states: tuple[State, ...]
    scene: Scene


def begin(setup: Setup) -> Scene:
    """The scene before the first step of the attack, with the clean cloud.

    Raises
    ------
    ValueError
        If the models do not share one list of classes, or a targeted attack has no target.
    """
    if any(tuple(model.card.classes) != setup.classes for model in setup.models):
        raise ValueError("Models that were trained on different classes cannot be compared on one cloud.")
    x = clean_batch(setup)
    confidences, latents, distance = predict_all(setup, x, x)
    if setup.attack.goal == "targeted" and setup.target is None:
        raise ValueError("A targeted attack needs a target class: choose one, or switch to untargeted.")
    label = setup.target if setup.attack.goal == "targeted" else setup.cloud.label
    if label is None:  # an untargeted attack on a cloud of unknown class moves away from the predicted one
        label = int(confidences[setup.primary].argmax())
    state = started(setup, torch.tensor([label], device=x.device))
    loss = float(state.evaluation.loss) if state.evaluation is not None else float("nan")
    unlike_training = tuple(
        bool(model.typical.unlike(confidence.max()[None], latent[None])[0]) if model.typical else None
        for model, confidence, latent in zip(setup.models, confidences, latents, strict=True)
    )
    scene = Scene(
        setup=setup,
        state=state,
        clean_confidence=confidences,
        adversarial_confidence=confidences,
        clean_latent=latents[setup.primary],
        adversarial_latent=latents[setup.primary],
        points=state.clean[0].numpy(force=True),
        distances=distance,
        loss=loss,
        unlike_training=unlike_training,
    )
    return _with_colours(scene, state.clean)


def advance(scene: Scene) -> Scene:
    """The scene after one more step of the attack."""
    setup, state = scene.setup, scene.state
    return show(scene, stepped(setup, state))


def refit(scene: Scene, epsilon: float, state: State | None = None) -> Scene:
    """Rescale the perturbation of ``state`` (default: the scene's) to another epsilon; one forward pass per model."""
    return show(scene, scene.setup.attack.refit(state or scene.state, epsilon))


def attack(setup: Setup, epsilon: float, cancel: Cancel | None = None, states: Sequence[State] = ()) -> Iterator[Event]:
    """Run the attack at this epsilon, from the start or from the last of ``states``.

    Only the last state has the predictions of all models; ``show`` computes those of another state.

    Yields
    ------
    A ``Step`` with each new ``State``, then ``Done`` with an ``AttackResult``.
    """
    setup = replace(setup, attack=setup.attack.at(epsilon))
    scene = begin(setup)
    history = list(states) or [scene.state]
    while not (setup.attack.over(history[-1]) or (cancel and cancel.requested)):
        history.append(stepped(setup, history[-1]))
        yield Step(len(history) - 1, setup.attack.total_steps, history[-1])
    last = history[-1]
    yield Done(AttackResult(tuple(history), show(scene, last)), complete=setup.attack.over(last))


def started(setup: Setup, label: torch.Tensor) -> State:
    """The state before the first step, with ``label`` (1,): the class to move away from or, if targeted, towards."""
    generator = torch.Generator().manual_seed(setup.seed)
    return setup.attack.start(_model_for_step(setup, 0), clean_batch(setup), label, generator)


def stepped(setup: Setup, state: State) -> State:
    """The state after one more step."""
    return setup.attack.step(_model_for_step(setup, state.step + 1), state)


def _model_for_step(setup: Setup, step: int) -> Classifier:
    """The attacked model for a step of the attack, from 1; 0 is for its start.

    A model that draws does so by the seed and the step, so that an attack can be repeated, also one that was continued.
    """
    return reseeded(setup.models[setup.primary].module, setup.seed + _STRIDE * step)


def show(scene: Scene, state: State) -> Scene:
    """The scene of another state of the same attack on the same cloud.

    Its adversarial cloud is the current iterate while the attack runs, and the best iterate once the attack is over.
    """
    setup = scene.setup
    finished = setup.attack.over(state)
    adversarial, evaluation = (state.adversarial, state.best) if finished else (state.current, state.evaluation)
    confidences, latents, distance = predict_all(setup, adversarial, state.clean)
    confidence = confidences[setup.primary, int(state.label)]
    # the loss in the state of a random model is that of another draw than the confidences
    if evaluation is None or draws_anew(setup.models[setup.primary].module):
        loss = float(-np.log(max(confidence, 1e-38)))
    else:
        loss = float(evaluation.loss)
    scene = replace(
        scene,
        state=state,
        adversarial_confidence=confidences,
        adversarial_latent=latents[setup.primary],
        points=adversarial[0].numpy(force=True),
        distances=distance,
        loss=loss,
    )
    return _with_colours(scene, adversarial)


def _with_colours(scene: Scene, adversarial: torch.Tensor) -> Scene:
    """The scene with what its setup wants for the colours of points; adversarial (1, N, 3) is its cloud."""
    setup, gradient, critical, clean_critical = scene.setup, None, None, scene.clean_critical
    model = judging(setup.models[setup.primary], setup.seed)
    if setup.colouring == "gradient":
        gradient = gradient_lengths(setup, adversarial, scene.state.label)
    if setup.colouring == "critical":
        critical = critical_channels(model, adversarial)
        if critical is not None and clean_critical is None:
            clean_critical = critical_channels(model, clean_batch(setup))
    return replace(scene, gradient=gradient, critical=critical, clean_critical=clean_critical)


def traces(states: Sequence[State]) -> tuple[Array, Array]:
    """Loss and size of the perturbation at each of the T states of an attack on one cloud.

    Returns
    -------
    loss : (T,) cross-entropy of the attacked model to the label, in nats; NaN at states without an evaluation.
    rmse : (T,) root mean square of the perturbation over the 3N coordinates, in unit-sphere radii.
    """
    loss = [float("nan") if state.evaluation is None else float(state.evaluation.loss) for state in states]
    rmse = [float(state.epsilon * state.unit_delta.pow(2).mean().sqrt()) for state in states]
    return np.array(loss, np.float32), np.array(rmse, np.float32)
