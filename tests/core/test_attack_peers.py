"""The same attacks by three established libraries, on the same PointNet."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.attacks import GradientAttack, preset
from tests.core.toys import attacked, settled_pointnet, toy_batch

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

N = 20
EPSILON, STEP, STEPS = 0.1, 0.03, 5
PGD = GradientAttack(epsilon=EPSILON, step_size=STEP, steps=STEPS)
MI = preset("mi", epsilon=EPSILON, step_size=STEP, steps=STEPS)


class LogitsOf(nn.Module):
    """What peers expect of a model: inputs to logits alone; ``image`` maps [0, 1] to [-2, 2]."""

    def __init__(self, model: nn.Module, *, image: bool = False) -> None:
        super().__init__()
        self.model = model
        self.image = image

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(4 * x.flatten(0, -3) - 2 if self.image else x).logits
        return logits


def case() -> tuple[nn.Module, Tensor, Tensor]:
    x, y = toy_batch(6, N)
    return settled_pointnet(N), x.double(), y


def test_foolbox() -> None:
    import foolbox

    model, x, y = case()
    peer = foolbox.PyTorchModel(LogitsOf(model).eval(), bounds=(-2, 2), device="cpu")
    fgsm = foolbox.attacks.LinfFastGradientAttack()
    l2 = foolbox.attacks.L2FastGradientAttack()
    pgd = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=STEPS, random_start=False)
    ours = attacked(preset("fgsm", epsilon=EPSILON), model, x, y)
    torch.testing.assert_close(fgsm.run(peer, x, y, epsilon=EPSILON), ours.adversarial)
    ours = attacked(preset("fgsm", direction="l2", epsilon=EPSILON), model, x, y)
    torch.testing.assert_close(l2.run(peer, x, y, epsilon=EPSILON * math.sqrt(3 * N)), ours.adversarial)
    ours = attacked(PGD, model, x, y)
    torch.testing.assert_close(pgd.run(peer, x, y, epsilon=EPSILON), ours.current)


def test_the_adversarial_robustness_toolbox() -> None:
    from art.attacks.evasion import (
        FastGradientMethod,
        MomentumIterativeMethod,
        ProjectedGradientDescentPyTorch,
    )
    from art.estimators.classification import PyTorchClassifier

    model, x, y = case()
    model, x = model.float(), x.float()
    peer = PyTorchClassifier(LogitsOf(model), nn.CrossEntropyLoss(), (N, 3), 3, clip_values=(-2, 2), device_type="cpu")
    labels = np.eye(3, dtype=np.float32)[y.numpy()]
    for norm, direction, epsilon in ((np.inf, "sign", EPSILON), (2, "l2", EPSILON * math.sqrt(3 * N))):
        theirs = FastGradientMethod(peer, norm=norm, eps=epsilon).generate(x.numpy(), labels)
        ours = attacked(preset("fgsm", direction=direction, epsilon=EPSILON), model, x, y)
        np.testing.assert_allclose(theirs, ours.adversarial, atol=1e-5)
    pgd = ProjectedGradientDescentPyTorch(
        peer, eps=EPSILON, eps_step=STEP, max_iter=STEPS, num_random_init=0, verbose=False
    )
    np.testing.assert_allclose(pgd.generate(x.numpy(), labels), attacked(PGD, model, x, y).current, atol=1e-5)
    mi = MomentumIterativeMethod(peer, eps=EPSILON, eps_step=STEP, decay=1.0, max_iter=STEPS, verbose=False)
    np.testing.assert_allclose(mi.generate(x.numpy(), labels), attacked(MI, model, x, y).current, atol=1e-5)


def test_torchattacks() -> None:
    import torchattacks

    model, x, y = case()
    peer, image = LogitsOf(model, image=True), (x + 2) / 4
    theirs = 4 * torchattacks.FGSM(peer, eps=EPSILON / 4)(image, y) - 2
    torch.testing.assert_close(theirs, attacked(preset("fgsm", epsilon=EPSILON), model, x, y).adversarial)
    pgd = torchattacks.PGD(peer, eps=EPSILON / 4, alpha=STEP / 4, steps=STEPS, random_start=False)
    torch.testing.assert_close(4 * pgd(image, y) - 2, attacked(PGD, model, x, y).current)
    mi = torchattacks.MIFGSM(peer, eps=EPSILON / 4, alpha=STEP / 4, steps=STEPS, decay=1.0)
    torch.testing.assert_close(4 * mi(image[:, None], y)[:, 0] - 2, attacked(MI, model, x, y).current)
