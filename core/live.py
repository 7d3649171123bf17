"""One cloud, one attack, several models: what the studio shows at this moment, as frozen values.

The window calls these functions from a worker thread; the command line and the tests call them directly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.attacks import Attack, State
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
    """Everything that determines a scene except the step; epsilon is the attack's unless another is given."""

    models: tuple[LoadedModel, ...]
    """All models whose predictions are shown; they share one list of classes."""
    primary: int
    """Index of the model whose gradients the attack follows."""
    attack: Attack
    cloud: Cloud
    target: int | None = None
    """The wanted class of a targeted attack."""
    seed: int = 0
    """Source of random restarts."""

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.models[self.primary].card.classes)

    def same_attack(self, other: "Setup | None") -> bool:
        """Whether the states of both attacks are the same, whichever models give their verdicts beside."""
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
    """For each model, whether the clean cloud is unlike its training data; None where its file does not tell."""

    @property
    def epsilon(self) -> float:
        return self.state.epsilon

    @property
    def step(self) -> int:
        return self.state.step

    @property
    def exact(self) -> bool:
        """Whether the attack itself gives this cloud at this epsilon; else it was rescaled from another."""
        return self.state.evaluation is not None or self.setup.attack.linear_in_epsilon

    @property
    def origin(self) -> Array:
        """(N, 3) where each point of the adversarial cloud comes from: the clean cloud, lengthened if that is."""
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
        """What a picture of both clouds shows."""
        setup = self.setup
        return (
            f"{setup.cloud.name}, {len(setup.cloud.points):,} points, clean and adversarial; "
            f"{setup.attack.at(self.epsilon).caption}, seed {setup.seed}, made on "
            f"{setup.models[setup.primary].name}; after step {self.step}"
        )

    def provenance(self, dataset: Card | None = None, **options: Any) -> dict[str, Any]:
        """What made the adversarial cloud; ``options`` are further facts, such as the file of the clean one."""
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
        """For each model, a note on its verdict on the clean cloud: that it is unlike the training data, or none."""
        return tuple(UNLIKE if unlike else "" for unlike in self.unlike)

    def fooled(self) -> tuple[bool, ...]:
        """For each model, whether it predicts another class than ``label`` for the adversarial cloud."""
        return tuple(bool(answer != self.label) for answer in self.adversarial.argmax(1))


@dataclass(frozen=True, eq=False)
class AttackResult:
    """A whole attack: every state from the clean one on, and the scene at the last."""

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
        mine, other = self.scene, scene
        return (
            mine.attack_key == other.attack_key
            and np.array_equal(mine.setup.cloud.points, other.setup.cloud.points)
            and (self.exact or torch.equal(mine.state.best_unit_delta, other.state.best_unit_delta))
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
    clean, latents, apart = _predict_all(setup, x, x)
    true = int(clean[setup.primary].argmax()) if setup.cloud.label is None else setup.cloud.label
    if setup.attack.goal == "targeted" and setup.target is None:
        raise ValueError("A targeted attack needs a target class: choose one, or switch to untargeted.")
    label = setup.target if setup.attack.goal == "targeted" else true
    y, generator = torch.tensor([label], device=x.device), torch.Generator().manual_seed(setup.seed)
    state = setup.attack.start(primary.module, x, y, generator)
    loss = float(state.evaluation.loss) if state.evaluation is not None else float("nan")
    latent = latents[setup.primary]
    unlike = tuple(
        bool(model.typical.unlike(row.max()[None], own[None])[0]) if model.typical else None
        for model, row, own in zip(setup.models, clean, latents, strict=True)
    )
    return Scene(setup, state, clean, clean, latent, latent, _points(state.clean), apart, loss, unlike)


def advance(scene: Scene) -> Scene:
    """One attack step further."""
    setup = scene.setup
    return show(scene, setup.attack.step(setup.models[setup.primary].module, scene.state))


def refit(scene: Scene, epsilon: float, state: State | None = None) -> Scene:
    """The perturbation of ``state`` (default: the scene's) rescaled to another epsilon: one forward pass a model."""
    return show(scene, scene.setup.attack.refit(state or scene.state, epsilon))


def attack(setup: Setup, epsilon: float, cancel: Cancel | None = None, states: Sequence[State] = ()) -> Iterator[Event]:
    """Run the attack at this epsilon, from the start or on from ``states``.

    Yields a ``Step`` with each new ``State``, then ``Done`` with an ``AttackResult``; the models that are not
    attacked predict the last state only, ``show`` gives their predictions for any other.
    """
    changed = setup.attack.at(epsilon)
    scene = begin(replace(setup, attack=changed))
    module, made = setup.models[setup.primary].module, list(states) or [scene.state]
    while not (changed.over(made[-1]) or (cancel and cancel.requested)):
        made.append(changed.step(module, made[-1]))
        yield Step(len(made) - 1, changed.total_steps, made[-1])
    yield Done(AttackResult(tuple(made), show(scene, made[-1])), complete=changed.over(made[-1]))


def outcome(scene: Scene, epsilons: Sequence[float], cancel: Cancel | None = None) -> Iterator[Event]:
    """The scene's perturbation rescaled to every epsilon of a grid: ``Step``s, then ``Done`` with an ``Outcome``."""
    grid = np.asarray(epsilons, np.float32)
    state, refit = scene.state, scene.setup.attack.refit
    answers: list[list[Array]] = [[] for _ in scene.setup.models]
    done, total = 0, len(grid) * len(scene.setup.models)
    for model, mine in zip(scene.setup.models, answers, strict=True):
        for start in range(0, len(grid), _OUTCOME_BATCH):
            part = grid[start : start + _OUTCOME_BATCH].tolist()
            mine.append(_predict(model, torch.cat([refit(state, epsilon).adversarial for epsilon in part]))[0])
            done += len(part)
            yield Step(done, total)
            if cancel and cancel.requested:
                yield Done(None, complete=False)
                return
    every = np.stack([np.concatenate(mine) for mine in answers])
    yield Done(_outcome(scene, scene.setup.attack.linear_in_epsilon, grid, every))


def attacked_outcome(
    scene: Scene, epsilons: Sequence[float], cancel: Cancel | None = None, answers: list[Array] | None = None
) -> Iterator[Event]:
    """Run the scene's attack at every epsilon of a grid: a ``Step`` each, then ``Done`` with an ``Outcome``.

    ``answers`` collects the results; with the list of a cancelled call it continues from there.
    """
    grid, answers = np.asarray(epsilons, np.float32), [] if answers is None else answers
    for epsilon in map(float, grid[len(answers) :]):
        clouds = _attacked_at(scene, epsilon, cancel)
        if clouds is None:
            yield Done(None, complete=False)
            return
        answers.append(np.stack([_predict(model, clouds)[0][0] for model in scene.setup.models]))
        yield Step(len(answers), len(grid))
    yield Done(_outcome(scene, True, grid, np.stack(answers, axis=1)))


def _attacked_at(scene: Scene, epsilon: float, cancel: Cancel | None) -> torch.Tensor | None:
    """The scene's cloud (1, N, 3) attacked at another epsilon; None if that was cancelled."""
    clean, attack = _clean(scene.setup), scene.setup.attack.at(epsilon)
    if epsilon == 0:
        return clean
    module = scene.setup.models[scene.setup.primary].module
    first = replace(attack.start(module, clean, scene.state.label), seed=scene.state.seed)
    ended = list(attack.finish(module, first, cancel=cancel))
    return ended[-1].state.adversarial if ended else None


def _outcome(scene: Scene, exact: bool, epsilons: Array, answers: Array) -> Outcome:
    """``answers`` are confidences (M, E, K)."""
    return Outcome(scene, exact, epsilons, answers[:, :, scene.label], answers.argmax(2) != scene.label)


def show(before: Scene, state: State) -> Scene:
    """The scene of another state of the same attack on the same cloud.

    It shows the current iterate while the attack runs and, at its end, the best iterate, which is its result.
    """
    setup = before.setup
    finished = setup.attack.over(state)
    adversarial, evaluation = (state.adversarial, state.best) if finished else (state.current, state.evaluation)
    answers, latents, apart = _predict_all(setup, adversarial, state.clean)
    confidence = answers[setup.primary, int(state.label)]
    if evaluation is None or draws_anew(setup.models[setup.primary].module):  # the attack's own is of another draw
        loss = float(-np.log(max(confidence, 1e-38)))
    else:
        loss = float(evaluation.loss)
    return replace(
        before,
        state=state,
        adversarial=answers,
        latent=latents[setup.primary],
        points=_points(adversarial),
        distances=apart,
        loss=loss,
    )


def _clean(setup: Setup) -> torch.Tensor:
    """The clean cloud (1, N, 3) on the device of the attacked model."""
    return torch.from_numpy(setup.cloud.points)[None].to(device_of(setup.models[setup.primary].module))


def _points(clouds: torch.Tensor) -> Array:
    """(N, 3), the one cloud of a batch (1, N, 3)."""
    return clouds[0].cpu().numpy()


def _predict_all(setup: Setup, x: torch.Tensor, clean: torch.Tensor) -> tuple[Array, list[Array], Distances]:
    """All models' confidences (M, K) in x (1, N, 3), the latent (D,) of each, and the distances from ``clean``."""
    apart, *answers = run_concurrently(
        [
            partial(distances, _points(clean), _points(x)),
            *(partial(_predict, model, x) for model in setup.models),
        ]
    )
    confidences = np.stack([confidence[0] for confidence, _ in answers])
    return confidences, [latent[0] for _, latent in answers], apart


@torch.no_grad()
def _predict(model: LoadedModel, x: torch.Tensor) -> tuple[Array, Array]:
    """Confidences (B, K) and latents (B, D) of a model on clouds x (B, N, 3)."""
    with eval_view(model.module) as ask:
        output = ask(x.to(device_of(model.module)))
    logits = require_finite(model.module, output.logits.cpu())
    return logits.softmax(1).numpy(), output.latent.cpu().numpy()
