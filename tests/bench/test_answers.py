"""Logits and latents without gradient: of many clouds, and of one cloud by several models."""

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state

from core.models import eval_view
from core.models.predict import predict
from tests.bench.conftest import Compare
from tests.bench.record import GPU
from tests.bench.subjects import clouds, twins

BATCH, MODELS = 32, 3


def test_many_clouds(compare: Compare, gpu: torch.device | None) -> None:
    pair = twins()
    pair.plain.eval()
    points = clouds(BATCH)[0].numpy()

    def plain() -> list[np.ndarray]:
        with torch.inference_mode():
            return [part.numpy() for part in pair.plain(torch.from_numpy(points))]

    answers = predict(pair.ours, points)
    for mine, theirs in zip((answers.logits, answers.latent), plain(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)
    contenders = {"ours": lambda: predict(pair.ours, points), "plain port": plain}
    if gpu is not None:
        there = deepcopy(pair.ours).to(gpu)
        np.testing.assert_allclose(predict(there, points).logits, answers.logits, rtol=1e-3, atol=1e-3)
        contenders[GPU] = lambda: predict(there, points)
    compare(f"logits and latents of {BATCH} clouds", contenders, rounds=15, bars={"plain port": "≥ 5"})


def test_three_models(compare: Compare) -> None:
    """Why the studio asks models in turn: their weights stacked in one ``vmap`` are no faster."""
    pairs = [twins(seed) for seed in range(MODELS)]
    models, plains = [pair.ours.eval() for pair in pairs], [pair.plain.eval() for pair in pairs]
    state, skeleton = stack_module_state(models), deepcopy(models[0]).to("meta")
    x, _ = clouds(1)

    @torch.no_grad()
    def in_turn() -> Tensor:
        logits = []
        for model in models:
            with eval_view(model) as ask:
                logits.append(ask(x).logits)
        return torch.stack(logits)

    @torch.no_grad()
    def plain() -> Tensor:
        return torch.stack([model(x)[0] for model in plains])

    @torch.no_grad()
    def stacked() -> Tensor:
        return torch.vmap(lambda *tensors: functional_call(skeleton, tensors, (x,)).logits)(*state)

    contenders = {"ours": in_turn, "plain port": plain, "ours, stacked": stacked}
    for logits in (plain(), stacked()):
        torch.testing.assert_close(in_turn(), logits, rtol=1e-3, atol=1e-4)
    compare(f"{MODELS} models on one cloud", contenders, rounds=30)
