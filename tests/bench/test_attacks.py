"""Attacks beside three libraries', which attack the plain port with the same weights."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.attacks import GradientAttack
from core.training import TrainOptions
from core.training.regimes import perturbed
from tests.bench.conftest import Compare
from tests.bench.record import GPU
from tests.bench.subjects import CLASSES, POINTS, Logits, clouds, twins
from tests.core.toys import attacked

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

EPSILON, STEP, STEPS = 1 / 8, 1 / 64, 20  # on the grid of ``clouds``
SHARE = "share of coordinates within 1e-6 of ours in single precision (in double precision all)"

Contenders = dict[str, Callable[[], Tensor]]
Ours = Callable[[nn.Module, Tensor, Tensor], Tensor]
Theirs = Callable[[nn.Module, Tensor, Tensor], Contenders]


def peers(torchattack: Any, foolbox_attack: Any, art_attack: Any, plain: nn.Module, x: Tensor, y: Tensor) -> Contenders:
    """Calls that give the adversarial clouds (B, N, 3); the first and last attack are made for a model.

    foolbox is called as its documentation does, and then without its check, one more forward pass, of what was fooled.
    """
    import foolbox
    from art.estimators.classification import PyTorchClassifier

    image, one_hot = ((x + 2) / 4)[:, None], np.eye(CLASSES, dtype=np.float32)[y.numpy()]
    first = torchattack(Logits(plain, image=True).eval())
    model = foolbox.PyTorchModel(Logits(plain).eval(), bounds=(-2, 2), device="cpu")
    estimator = PyTorchClassifier(
        Logits(plain).eval(), nn.CrossEntropyLoss(), (POINTS, 3), CLASSES, clip_values=(-2, 2), device_type="cpu"
    )
    last = art_attack(estimator)
    return {
        "torchattacks": lambda: 4 * first(image, y)[:, 0] - 2,
        "foolbox": lambda: foolbox_attack(model, x, y, epsilons=EPSILON)[0],
        "foolbox, no check": lambda: foolbox_attack.run(model, x, y, epsilon=EPSILON),
        "ART": lambda: torch.from_numpy(last.generate(x.numpy(), one_hot)),
    }


def fgsm_peers(plain: nn.Module, x: Tensor, y: Tensor) -> Contenders:
    import foolbox
    import torchattacks
    from art.attacks.evasion import FastGradientMethod

    return peers(
        lambda model: torchattacks.FGSM(model, eps=EPSILON / 4),
        foolbox.attacks.LinfFastGradientAttack(),
        lambda estimator: FastGradientMethod(estimator, eps=EPSILON),
        plain, x, y,
    )  # fmt: skip


def pgd_peers(plain: nn.Module, x: Tensor, y: Tensor) -> Contenders:
    import foolbox
    import torchattacks
    from art.attacks.evasion import ProjectedGradientDescentPyTorch

    return peers(
        lambda model: torchattacks.PGD(model, eps=EPSILON / 4, alpha=STEP / 4, steps=STEPS, random_start=False),
        foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=STEPS, random_start=False),
        lambda estimator: ProjectedGradientDescentPyTorch(
            estimator, eps=EPSILON, eps_step=STEP, max_iter=STEPS, num_random_init=0, verbose=False
        ),
        plain, x, y,
    )  # fmt: skip


def mi_peers(plain: nn.Module, x: Tensor, y: Tensor) -> Contenders:
    """foolbox sums gradients as they are, not at one length each: other perturbations for the same work."""
    import foolbox
    import torchattacks
    from art.attacks.evasion import MomentumIterativeMethod

    return peers(
        lambda model: torchattacks.MIFGSM(model, eps=EPSILON / 4, alpha=STEP / 4, steps=STEPS, decay=1.0),
        foolbox.attacks.LinfMomentumIterativeFastGradientMethod(momentum=1.0, abs_stepsize=STEP, steps=STEPS),
        lambda estimator: MomentumIterativeMethod(
            estimator, eps=EPSILON, eps_step=STEP, decay=1.0, max_iter=STEPS, verbose=False
        ),
        plain, x, y,
    )  # fmt: skip


def shares(found: dict[str, Tensor], reference: str) -> dict[str, float]:
    """Of the coordinates in which each of the others is within 1e-6 of the reference."""
    rest = {name: adversarial for name, adversarial in found.items() if name != reference}
    return {name: float((other - found[reference]).abs().le(1e-6).double().mean()) for name, other in rest.items()}


def check_in_double_precision(ours: Ours, theirs: Theirs, *names: str) -> None:
    """That ours and the named peers' agree in every coordinate.

    In single precision rounding decides which of two nearly equal points a channel sees, and a sign may flip.
    """
    x, y = clouds(2)
    pair = twins()
    for model in pair:
        model.double()
    calls = theirs(pair.plain, x.double(), y)
    found = {"ours": ours(pair.ours, x.double(), y)} | {name: calls[name]() for name in names}
    assert shares(found, "ours") == dict.fromkeys(names, 1.0)


def on_gpu(ours: Ours, model: nn.Module, x: Tensor, y: Tensor, gpu: torch.device | None) -> Contenders:
    """Ours on a GPU, from clouds there to adversarial clouds here; nothing where there is none."""
    if gpu is None:
        return {}
    there, x, y = deepcopy(model).to(gpu), x.to(gpu), y.to(gpu)
    return {GPU: lambda: ours(there, x, y).cpu()}


def test_new_fgsm(compare: Compare, gpu: torch.device | None) -> None:
    options = TrainOptions(epsilon=EPSILON)

    def ours(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return perturbed(model, x, y, options.attack)

    check_in_double_precision(ours, fgsm_peers, "torchattacks", "foolbox")  # ART has single precision only
    x, y = clouds(1)
    pair = twins()
    contenders = {"ours": lambda: ours(pair.ours, x, y), **fgsm_peers(pair.plain, x, y)}
    same = shares({name: call() for name, call in contenders.items()}, "ours")
    assert min(same.values()) >= 0.99
    bars = {"torchattacks": "≥ 3", "foolbox": "≥ 5", "foolbox, no check": "≥ 5", "ART": "≥ 4"}
    contenders |= on_gpu(ours, pair.ours, x, y, gpu)
    compare("new FGSM on one cloud", contenders, rounds=30, bars=bars)[SHARE] = same


@pytest.mark.parametrize(
    ("name", "optimiser", "peers", "equal"),
    [("PGD", "gd", pgd_peers, ("torchattacks", "foolbox")), ("MI", "mi", mi_peers, ("torchattacks",))],
)
def test_iterated(
    compare: Compare,
    gpu: torch.device | None,
    name: str,
    optimiser: str,
    peers: Theirs,
    equal: tuple[str, ...],
) -> None:
    attack = GradientAttack(epsilon=EPSILON, step_size=STEP, steps=STEPS, optimiser=optimiser)

    def ours(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return attacked(attack, model, x, y).current

    check_in_double_precision(ours, peers, *equal)
    x, y = clouds(8)
    pair = twins()
    contenders = {"ours": lambda: ours(pair.ours, x, y), **peers(pair.plain, x, y)}
    found = {contender: contenders[contender]() for contender in ("ours", "ART", *equal)}
    same = shares(found, "ours")
    del found["ours"]
    assert min(shares(found, "ART").values()) >= 0.99  # which stands for what was checked in double precision
    bars = {"torchattacks": "≥ 3.5", "foolbox": "≥ 5", "foolbox, no check": "≥ 5", "ART": "≥ 6"}
    contenders |= on_gpu(ours, pair.ours, x, y, gpu)
    compare(f"{name}-{STEPS} on {len(x)} clouds", contenders, rounds=5, warmup=0, bars=bars)[SHARE] = same
