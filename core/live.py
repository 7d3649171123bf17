"""One cloud under one attack, with the predictions of several models: what the studio shows, as frozen values.

The window calls these functions from a worker thread; the command line and the tests call them directly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.attacks import Attack, State, evaluate
from core.clouds import Cloud, Distances, distances
from core.datasets import Card
from core.evaluation.provenance import measurement_provenance
from core.events import Cancel, Done, Event, Step
from core.models import eval_view, require_finite
from core.models.checkpoints import LoadedModel
from core.models.port import draws_anew
from core.models.predict import device_of
from core.models.typical import UNLIKE
from core.runtime.threads import run_concurrently

Array = NDArray[np.float32]

_OUTCOME_BATCH = 4  # clouds in a forward pass: few, so that a cancelled curve frees the worker quickly


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything that determines a scene except the step and, in ``attack``, epsilon."""

    models: tuple[LoadedModel, ...]
    """All models whose predictions are shown; they share one list of classes."""
    primary: int
    """Index of the model whose gradients the attack follows."""
    attack: Attack
    cloud: Cloud
    target: int | None = None
    """Index of the class that a targeted attack moves towards."""
    seed: int = 0
    """Source of random restarts."""
    gradients: bool = False
    """Whether scenes tell the gradient at every point, which takes one more backward pass of the attacked model."""

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.models[self.primary].card.classes)

    def same_attack(self, other: "Setup | None") -> bool:
        """Whether both attacks have the same states; the models that are shown but not attacked may differ."""
        return (
            other is not None
            and self.models[self.primary] is other.models[other.primary]
            and (self.attack, self.target, self.seed) == (other.attack, other.target, other.seed)
            and self.cloud.label == other.cloud.label
            and np.array_equal(self.cloud.points, other.cloud.points)
        )


@dataclass(frozen=True, eq=False)
class Scene:
    """A clean and an adversarial cloud, and the predictions of every model for both."""

    setup: Setup
    state: State
    clean: Array
    """(M, K) confidences of the M models on the clean cloud."""
    adversarial: Array
    """(M, K) confidences on the adversarial cloud."""
    latent_clean: Array
    """(D,) latent of the primary model."""
    latent: Array
    """(D,) latent of the primary model at the adversarial cloud."""
    points: Array
    """(N, 3) adversarial cloud; longer than the clean one where points were added."""
    distances: Distances
    loss: float
    """Cross-entropy of the primary model to the attacked label at the adversarial cloud, in nats."""
    unlike: tuple[bool | None, ...]
    """For each model, whether the clean cloud is unlike its training data; None if its file does not tell."""
    gradient: Array | None = None
    """(N,) length of the gradient of ``loss`` at each point of the adversarial cloud, in nats per unit-sphere radius.

    It is 0 at points that no maximum over points selects: a PointNet sees its critical points alone.
    """

    @property
    def epsilon(self) -> float:
        return self.state.epsilon

    @property
    def step(self) -> int:
        return self.state.step

    @property
    def exact(self) -> bool:
        """Whether the attack gives this cloud at this epsilon; otherwise it was rescaled from another epsilon."""
        return self.state.evaluation is not None or self.setup.attack.linear_in_epsilon

    @property
    def origin(self) -> Array:
        """(N, 3) where each adversarial point was before the attack; added points have a copied clean point."""
        return _points(self.state.clean)

    @property
    def displacement(self) -> Array:
        """(N,) how far each point moved, in unit-sphere radii."""
        return np.linalg.norm(self.points - self.origin, axis=1)

    @property
    def label(self) -> int:
        """The class the attack moves away from: the true one or, if that is unknown, the primary model's prediction."""
        known = self.setup.cloud.label
        return int(self.clean[self.setup.primary].argmax()) if known is None else known

    @property
    def attack_key(self) -> tuple[object, ...]:
        """Models, attack (at epsilon 0), target, seed and label: equal for scenes of one attack and the same models."""
        setup = self.setup
        return setup.models, setup.primary, setup.attack.at(0), setup.target, setup.seed, self.label

    @property
    def caption(self) -> str:
        """Caption for a picture of both clouds."""
        setup = self.setup
        return (
            f"{setup.cloud.name}, {len(setup.cloud.points):,} points, clean and adversarial; "
            f"{setup.attack.at(self.epsilon).caption}, seed {setup.seed}, made on "
            f"{setup.models[setup.primary].name}; after step {self.step}"
        )

    def provenance(self, dataset: Card | None = None, **options: Any) -> dict[str, Any]:
        """How the adversarial cloud was made; ``options`` are added, such as the file of the clean cloud."""
        setup = self.setup
        return measurement_provenance(
            setup.models,
            dataset,
            setup.attack.at(self.epsilon),
            seed=setup.seed,
            complete=setup.attack.over(self.state),
            cloud=setup.cloud.name,
            points=len(setup.cloud.points),
            attacked=setup.models[setup.primary].name,
            label=setup.classes[self.label],
            target=None if setup.target is None else setup.classes[setup.target],
            step=self.step,
            rescaled_from_another_epsilon=not self.exact,
            **options,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """For each model, a note if the clean cloud is unlike its training data, otherwise an empty text."""
        return tuple(UNLIKE if unlike else "" for unlike in self.unlike)

    def fooled(self) -> tuple[bool, ...]:
        """For each model, whether it predicts another class than ``label`` for the adversarial cloud."""
        return tuple(bool(predicted != self.label) for predicted in self.adversarial.argmax(1))


@dataclass(frozen=True, eq=False)
class AttackResult:
    """The states of an attack, from the clean one on, and the scene at the last state."""

    states: tuple[State, ...]
    scene: Scene


@dataclass(frozen=True, eq=False)
class Outcome:
    """The predictions of every model for an attack, over epsilon."""

    scene: Scene
    """The attack at one epsilon."""
    exact: bool
    """Whether the attack itself was run at every epsilon; else the scene's perturbation was rescaled."""
    epsilons: Array
    """(E,)"""
    confidence: Array
    """(M, E) confidence in the scene's label."""
    wrong: NDArray[np.bool_]
    """(M, E) whether another class than the label is predicted; it may be the label again at a larger epsilon."""

    def holds_for(self, scene: Scene) -> bool:
        """Whether it is valid for ``scene`` too: the same attack and, if rescaled, the same perturbation."""
        own, other = self.scene, scene
        return (
            own.attack_key == other.attack_key
            and np.array_equal(own.setup.cloud.points, other.setup.cloud.points)
            and (self.exact or torch.equal(own.state.best_unit_delta, other.state.best_unit_delta))
        )


def begin(setup: Setup) -> Scene:
    """The clean scene, step 0.

    Raises
    ------
    ValueError
        If the models do not share one list of classes, or a targeted attack has no target.
    """
    if any(tuple(model.card.classes) != setup.classes for model in setup.models):
        raise ValueError("Models that were trained on different classes cannot be compared on one cloud.")
    primary = setup.models[setup.primary]
    x = _clean(setup)
    clean, latents, distance = _predict_all(setup, x, x)
    true = int(clean[setup.primary].argmax()) if setup.cloud.label is None else setup.cloud.label
    if setup.attack.goal == "targeted" and setup.target is None:
        raise ValueError("A targeted attack needs a target class: choose one, or switch to untargeted.")
    label = setup.target if setup.attack.goal == "targeted" else true
    y, generator = torch.tensor([label], device=x.device), torch.Generator().manual_seed(setup.seed)
    state = setup.attack.start(primary.module, x, y, generator)
    loss = float(state.evaluation.loss) if state.evaluation is not None else float("nan")
    latent = latents[setup.primary]
    gradient = _gradient_lengths(setup, x, y) if setup.gradients else None
    unlike = tuple(
        bool(model.typical.unlike(row.max()[None], own[None])[0]) if model.typical else None
        for model, row, own in zip(setup.models, clean, latents, strict=True)
    )
    return Scene(setup, state, clean, clean, latent, latent, _points(state.clean), distance, loss, unlike, gradient)


def advance(scene: Scene) -> Scene:
    """One attack step further."""
    setup = scene.setup
    return show(scene, setup.attack.step(setup.models[setup.primary].module, scene.state))


def refit(scene: Scene, epsilon: float, state: State | None = None) -> Scene:
    """Rescale the perturbation of ``state`` (default: the scene's) to another epsilon; one forward pass per model."""
    return show(scene, scene.setup.attack.refit(state or scene.state, epsilon))


def attack(setup: Setup, epsilon: float, cancel: Cancel | None = None, states: Sequence[State] = ()) -> Iterator[Event]:
    """Run the attack at this epsilon, from the start or from the last of ``states``.

    Yields a ``Step`` with each new ``State``, then ``Done`` with an ``AttackResult``. All models predict the last
    state only; ``show`` gives their predictions for another state.
    """
    changed = setup.attack.at(epsilon)
    scene = begin(replace(setup, attack=changed))
    module, history = setup.models[setup.primary].module, list(states) or [scene.state]
    while not (changed.over(history[-1]) or (cancel and cancel.requested)):
        history.append(changed.step(module, history[-1]))
        yield Step(len(history) - 1, changed.total_steps, history[-1])
    yield Done(AttackResult(tuple(history), show(scene, history[-1])), complete=changed.over(history[-1]))


def outcome(scene: Scene, epsilons: Sequence[float], cancel: Cancel | None = None) -> Iterator[Event]:
    """Rescale the scene's perturbation to every epsilon of a grid: ``Step``s, then ``Done`` with an ``Outcome``."""
    grid = np.asarray(epsilons, np.float32)
    state, refit = scene.state, scene.setup.attack.refit
    confidences: list[list[Array]] = [[] for _ in scene.setup.models]
    done, total = 0, len(grid) * len(scene.setup.models)
    for model, own in zip(scene.setup.models, confidences, strict=True):
        for start in range(0, len(grid), _OUTCOME_BATCH):
            part = grid[start : start + _OUTCOME_BATCH].tolist()
            own.append(_predict(model, torch.cat([refit(state, epsilon).adversarial for epsilon in part]))[0])
            done += len(part)
            yield Step(done, total)
            if cancel and cancel.requested:
                yield Done(None, complete=False)
                return
    stacked = np.stack([np.concatenate(own) for own in confidences])
    yield Done(_outcome(scene, scene.setup.attack.linear_in_epsilon, grid, stacked))


def attacked_outcome(
    scene: Scene, epsilons: Sequence[float], cancel: Cancel | None = None, confidences: list[Array] | None = None
) -> Iterator[Event]:
    """Run the scene's attack at every epsilon of a grid: a ``Step`` each, then ``Done`` with an ``Outcome``.

    ``confidences`` collects those of the models, (M, K) for each epsilon; with the list of a cancelled call, the
    computation continues where that call ended.
    """
    grid, confidences = np.asarray(epsilons, np.float32), [] if confidences is None else confidences
    for epsilon in map(float, grid[len(confidences) :]):
        clouds = _attacked_at(scene, epsilon, cancel)
        if clouds is None:
            yield Done(None, complete=False)
            return
        confidences.append(np.stack([_predict(model, clouds)[0][0] for model in scene.setup.models]))
        yield Step(len(confidences), len(grid))
    yield Done(_outcome(scene, True, grid, np.stack(confidences, axis=1)))


def _attacked_at(scene: Scene, epsilon: float, cancel: Cancel | None) -> torch.Tensor | None:
    """Attack the scene's cloud at another epsilon: (1, N, 3); None if that was cancelled."""
    clean, attack = _clean(scene.setup), scene.setup.attack.at(epsilon)
    if epsilon == 0:
        return clean
    module = scene.setup.models[scene.setup.primary].module
    first = replace(attack.start(module, clean, scene.state.label), seed=scene.state.seed)
    finished = list(attack.finish(module, first, cancel=cancel))
    return finished[-1].state.adversarial if finished else None


def _outcome(scene: Scene, exact: bool, epsilons: Array, confidences: Array) -> Outcome:
    """The outcome of M models whose confidences at E epsilons are (M, E, K)."""
    return Outcome(scene, exact, epsilons, confidences[:, :, scene.label], confidences.argmax(2) != scene.label)


def show(before: Scene, state: State) -> Scene:
    """The scene of another state of the same attack on the same cloud.

    It shows the current iterate while the attack runs and, at its end, the best iterate, which is its result.
    """
    setup = before.setup
    finished = setup.attack.over(state)
    adversarial, evaluation = (state.adversarial, state.best) if finished else (state.current, state.evaluation)
    confidences, latents, distance = _predict_all(setup, adversarial, state.clean)
    confidence = confidences[setup.primary, int(state.label)]
    if evaluation is None or draws_anew(setup.models[setup.primary].module):  # the attack's own loss is of another draw
        loss = float(-np.log(max(confidence, 1e-38)))
    else:
        loss = float(evaluation.loss)
    return replace(
        before,
        state=state,
        adversarial=confidences,
        latent=latents[setup.primary],
        points=_points(adversarial),
        distances=distance,
        loss=loss,
        gradient=_gradient_lengths(setup, adversarial, state.label) if setup.gradients else None,
    )


def traces(states: Sequence[State]) -> tuple[Array, Array]:
    """The course of an attack on one cloud, over its T states.

    Returns
    -------
    loss : (T,) cross-entropy of the attacked model to the label, in nats; NaN at states that it was not asked at.
    rmse : (T,) root mean square of the perturbation over the 3N coordinates, in unit-sphere radii.
    """
    loss = [float("nan") if state.evaluation is None else float(state.evaluation.loss) for state in states]
    rmse = [float(state.epsilon * state.unit_delta.pow(2).mean().sqrt()) for state in states]
    return np.array(loss, np.float32), np.array(rmse, np.float32)


def _clean(setup: Setup) -> torch.Tensor:
    """The clean cloud (1, N, 3) on the device of the attacked model."""
    return torch.from_numpy(setup.cloud.points)[None].to(device_of(setup.models[setup.primary].module))


def _points(clouds: torch.Tensor) -> Array:
    """The points (N, 3) of a batch of one cloud (1, N, 3)."""
    return clouds[0].cpu().numpy()


def _predict_all(setup: Setup, x: torch.Tensor, clean: torch.Tensor) -> tuple[Array, list[Array], Distances]:
    """All models' confidences (M, K) for x (1, N, 3), the latent (D,) of each, and the distances from ``clean``."""
    distance, *predictions = run_concurrently(
        [
            partial(distances, _points(clean), _points(x)),
            *(partial(_predict, model, x) for model in setup.models),
        ]
    )
    confidences = np.stack([confidence[0] for confidence, _ in predictions])
    return confidences, [latent[0] for _, latent in predictions], distance


def _gradient_lengths(setup: Setup, x: torch.Tensor, label: torch.Tensor) -> Array:
    """(N,) length of the gradient of the cross-entropy to ``label`` (1,) at each point of x (1, N, 3)."""
    gradient = evaluate(setup.models[setup.primary].module, x, label, gradient=True).gradient
    assert gradient is not None
    return gradient[0].norm(dim=1).cpu().numpy()


@torch.no_grad()
def _predict(model: LoadedModel, x: torch.Tensor) -> tuple[Array, Array]:
    """Confidences (B, K) and latents (B, D) of a model on clouds x (B, N, 3)."""
    with eval_view(model.module) as classify:
        output = classify(x.to(device_of(model.module)))
    logits = require_finite(model.module, output.logits.cpu())
    return logits.softmax(1).numpy(), output.latent.cpu().numpy()
