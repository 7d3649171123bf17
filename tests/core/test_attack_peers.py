"""The same attacks by three established libraries, on the same PointNet."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.attacks import NORMS, GradientAttack, preset
from core.datasets.modelnet40 import MODELNET16
from core.models import eval_view
from core.models.checkpoints import builtin_models, load_model
from tests.core.test_datasets import shared
from tests.core.toys import attacked, modelnet16_split, settled_pointnet, shipped_pointnet, toy_batch

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

N = 20
EPSILON, STEP, STEPS = 0.1, 0.03, 5
PGD = GradientAttack(epsilon=EPSILON, step_size=STEP, steps=STEPS)
MI = preset("mi", epsilon=EPSILON, step_size=STEP, steps=STEPS)


class LogitsOf(nn.Module):
    """What peers expect of a model: inputs to logits alone; of those who have a box, [0, 1] is [-reach, reach]."""

    def __init__(self, model: nn.Module, *, reach: float | None = None) -> None:
        super().__init__()
        self.model = model
        self.reach = reach
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x if self.reach is None else self.reach * (2 * x.flatten(0, -3) - 1)).logits
        return logits


def case() -> tuple[nn.Module, Tensor, Tensor]:
    x, y = toy_batch(6, N)
    return settled_pointnet(N), x.double(), y


def test_foolbox() -> None:
    import foolbox

    model, x, y = case()
    peer = foolbox.PyTorchModel(LogitsOf(model), bounds=(-2, 2), device="cpu")
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
    peer, image = LogitsOf(model, reach=2), (x + 2) / 4
    theirs = 4 * torchattacks.FGSM(peer, eps=EPSILON / 4)(image, y) - 2
    torch.testing.assert_close(theirs, attacked(preset("fgsm", epsilon=EPSILON), model, x, y).adversarial)
    pgd = torchattacks.PGD(peer, eps=EPSILON / 4, alpha=STEP / 4, steps=STEPS, random_start=False)
    torch.testing.assert_close(4 * pgd(image, y) - 2, attacked(PGD, model, x, y).current)
    mi = torchattacks.MIFGSM(peer, eps=EPSILON / 4, alpha=STEP / 4, steps=STEPS, decay=1.0)
    torch.testing.assert_close(4 * mi(image[:, None], y)[:, 0] - 2, attacked(MI, model, x, y).current)


SHIPPED = ("pointnet-simple", "pointnet-pgd")
FAR = 50.0
"""Half the width of a box that none of the attacks gets to."""


def searched(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """A PointNet, clouds and its predictions for them."""
    if name in SHIPPED:
        return shipped_pointnet(name, points=48, count=5)
    model, x, _ = case()
    return model, x, model(x).logits.argmax(1)


def distances(model: nn.Module, x: Tensor, y: Tensor, found: Tensor, norm: str) -> Tensor:
    """(B,), how far the clouds are that were found; 0 where they do not fool the model."""
    return NORMS[norm](found - x) * (model(found).logits.argmax(1) != y)  # type: ignore[index]


@pytest.mark.parametrize("name", ["settled", *(pytest.param(name, marks=pytest.mark.long) for name in SHIPPED)])
def test_deepfool(name: str) -> None:
    """Foolbox steps 0.0001 farther than to a boundary, which only very near clouds show; torchattacks is the same."""
    import foolbox
    import torchattacks

    model, x, y = searched(name)
    classes = model(x).logits.shape[1]
    image = torchattacks.DeepFool(LogitsOf(model, reach=FAR), steps=30, overshoot=0.02)((x / FAR + 1) / 2, y)
    ours = attacked(preset("deepfool", constraint="none", steps=30, candidates=classes - 1), model, x, y)
    torch.testing.assert_close(FAR * (2 * image - 1), ours.adversarial, rtol=1e-6, atol=1e-6)
    peer = foolbox.PyTorchModel(LogitsOf(model), bounds=(-FAR, FAR), device="cpu")
    for norm, kind in (("l2", foolbox.attacks.L2DeepFoolAttack), ("linf", foolbox.attacks.LinfDeepFoolAttack)):
        theirs = distances(model, x, y, kind(steps=30, candidates=10).run(peer, x, y), norm)
        ours = attacked(preset("deepfool", norm=norm, constraint="none", steps=30), model, x, y)
        mine = distances(model, x, y, ours.adversarial, norm)
        assert torch.equal(mine > 0, theirs > 0)
        assert mine.mean().item() == pytest.approx(theirs.mean().item(), rel=0.02)
        torch.testing.assert_close(mine, theirs, rtol=0.05, atol=3e-4)


@pytest.mark.parametrize("name", ["settled", pytest.param(SHIPPED[0], marks=pytest.mark.long), SHIPPED[1]])
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_fab(name: str, norm: str) -> None:
    """Torchattacks takes the gradient where the search goes back to, ours where the model was asked last."""
    import torchattacks

    model, x, y = searched(name)
    ours = attacked(preset("fab", norm=norm.lower(), constraint="none", steps=30, restarts=0), model, x, y)
    mine = distances(model, x, y, ours.adversarial, norm.lower())
    peer = torchattacks.FAB(
        LogitsOf(model.float(), reach=FAR), norm=norm, eps=1e3, steps=30, multi_targeted=True, n_classes=2
    )
    found = FAR * (2 * peer((x.float() / FAR + 1) / 2, y) - 1)
    theirs = distances(model, x.float(), y, found, norm.lower())
    assert torch.equal(mine > 0, theirs > 0)
    assert mine.mean().item() == pytest.approx(theirs.mean().item(), rel=0.02)


def test_auto_pgd() -> None:
    """As many real clouds stay right, or fewer.

    Torchattacks begins at a random point, ours at the clean cloud; it rounds the places of the checkpoints down, ours
    up; and it halves a step also where exactly three quarters of the steps went up, and never at the first checkpoint
    for want of a new best. With their rounding and their three quarters ours took as many clouds (50 steps, 3 seeds);
    the random point alone changed that, by one or two from seed to seed.
    """
    import torchattacks

    loaded = load_model(builtin_models()["modelnet16-pgd"])
    split, model, epsilon = modelnet16_split(shared("modelnet40_1024.npz"), 32, 256), loaded.module.eval(), 0.05
    assert loaded.card.classes == MODELNET16
    x, y = torch.from_numpy(split.points), torch.from_numpy(split.labels)
    with eval_view(model) as fast:
        peer = torchattacks.APGD(LogitsOf(fast, reach=2), eps=epsilon / 4, steps=40, loss="ce")
        theirs = 4 * peer((x / 2 + 1)[:, None] / 2, y)[:, 0] - 2
    attack = preset("apgd-ce", epsilon=epsilon, steps=40)
    (ours,) = attack.finish(model, attack.start(model, x, y))
    right = [model(clouds).logits.argmax(1) == y for clouds in (x, theirs, ours.state.adversarial)]
    clean, beside_theirs, beside_ours = (int(side.sum()) for side in right)
    assert beside_ours <= beside_theirs < clean - 5
    assert beside_ours > 5


@pytest.mark.long
@pytest.mark.parametrize("name", SHIPPED)
def test_carlini_wagner(name: str) -> None:
    """Theirs have Adam's steps all of one length, and with them find very near clouds too far away."""
    import foolbox
    import torchattacks

    model, x, y = searched(name)
    box = 1000.0  # so wide that tanh is a straight line where the clouds are
    peer = foolbox.PyTorchModel(LogitsOf(model), bounds=(-box, box), device="cpu")
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=6, steps=60, stepsize=0.01 / box, initial_const=0.1, abort_early=False
    )
    theirs = distances(model, x, y, attack.run(peer, x, y), "l2")
    ours = attacked(preset("cw", constraint="none", steps=60, restarts=5), model, x, y)
    mine = distances(model, x, y, ours.adversarial, "l2")
    assert torch.equal(mine > 0, theirs > 0)
    assert mine.mean() <= 1.02 * theirs.mean()
    weight, once = 16.0, LogitsOf(model, reach=FAR)
    image = torchattacks.CW(once, c=weight / (2 * FAR) ** 2, steps=60, lr=0.01 / FAR)((x / FAR + 1) / 2, y)
    theirs = distances(model, x, y, FAR * (2 * image - 1), "l2")
    ours = attacked(preset("cw", constraint="none", steps=60, restarts=0, first_weight=weight), model, x, y)
    mine = distances(model, x, y, ours.adversarial, "l2")
    assert torch.equal(mine > 0, theirs > 0)
    assert mine.mean() <= 1.02 * theirs.mean()


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "norm", "size"),
    [
        ("pointnet-simple", "Linf", 0.04),
        ("pointnet-pgd", "Linf", 0.1),
        ("pointnet-simple", "L2", 0.02),
        ("pointnet-pgd", "L2", 0.05),
    ],
)
def test_square(name: str, norm: str, size: float) -> None:
    """The squares of an image of 8 x 8 points are no neighbours in the cloud, and its stripes no common shift.

    ``size`` is the L-infinity norm of a perturbation, or its RMSE.
    """
    import torchattacks

    model, x, y = shipped_pointnet(name, points=64, count=12)
    model, x = model.float(), x.float()

    class Picture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = LogitsOf(model, reach=2)
            self.eval()

        def forward(self, image: Tensor) -> Tensor:
            logits: Tensor = self.inner(image.flatten(2).mT)
            return logits

    epsilon = size if norm == "Linf" else size * math.sqrt(3 * 64)
    image = ((x / 2 + 1) / 2).mT.contiguous().unflatten(2, (8, 8))
    attack = preset("square", constraint=norm.lower(), epsilon=epsilon, steps=200)
    theirs, ours = 0, 0
    for seed in (0, 1):
        torch.manual_seed(seed)
        peer = torchattacks.Square(Picture(), norm=norm, eps=epsilon / 4, n_queries=200, seed=seed)
        found = 4 * peer(image, y).flatten(2).mT - 2
        theirs += int((model(found).logits.argmax(1) != y).sum())
        ends = attack.finish(
            model, attack.start(model, x, y, torch.Generator().manual_seed(seed)), stop_on_success=True
        )
        ours += sum(int((end.state.best.prediction != end.state.label).sum()) for end in ends)
    assert ours >= theirs > 0
    assert ours < 2 * len(y)
