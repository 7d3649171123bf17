"""What a transfer experiment is: which models and attacks, matched how, on which samples."""

from typing import Literal

from core.options import Options, option

Protocol = Literal["equal-loss", "rmse-term", "equal-rmse", "steps"]
AT_A_LOSS: tuple[Protocol, ...] = ("equal-loss", "rmse-term")
"""Protocols whose attacks end at a loss, the same in both."""


class TransferOptions(Options):
    """A matrix of surrogates, attacks and victims under one protocol of the second paper."""

    protocol: Protocol = option(
        "equal-loss",
        "What the attacks have in common: the surrogate's loss (section 3.1), that loss with an RMSE term (3.2), the "
        "RMSE (3.3), or the number of steps.",
    )
    samples: int = option(200, "Test samples, spread evenly over the test split.", unit="samples", low=1)
    points: int = option(512, "Points of each cloud: the first so many.", unit="points", low=1, high=100_000)
    epsilon: float = option(
        0.1,
        "L-infinity budget of every attack, in the unit of the samples; in commands 0.3 for digits and 16 for images.",
        unit="r",
        low=0.001,
        high=300.0,
    )
    variant: Literal["paper", "code"] = option(
        "code", "Optimisers as the second paper describes them, or as its authors' code has them.", advanced=True
    )
    loss: float | None = option(
        None,
        "Loss of the surrogate at which attacks end; empty takes the largest that enough held-out samples reach.",
        unit="nats",
        low=0.0,
        advanced=True,
    )
    reached: float = option(
        0.95, "Share of held-out samples that every attack must bring to that loss.", low=0.5, high=1.0, advanced=True
    )
    rmse_weight: float | None = option(
        None,
        "What an RMSE of epsilon is worth beside the loss (gamma); empty is 3.2 times the loss at which attacks end, "
        "as in the paper.",
        unit="nats",
        low=0.0,
        advanced=True,
    )
    rmse: float = option(0.5, "RMSE that all attacks have in common.", unit="ε", low=0.01, high=1.0, advanced=True)
    tuning: int = option(
        1,
        "First steps that are tried for each attack on held-out samples, by factors of four around the usual one.",
        low=1,
        high=15,
        advanced=True,
    )
    held_out: int = option(
        32, "Held-out samples, of the validation split, for calibration and tuning.", low=4, advanced=True
    )
    seed: int = option(0, "Source of all random numbers.", low=0, high=2**31 - 1)
    batch_size: int = option(32, "Samples in one pass.", unit="samples", low=1, high=4096, advanced=True)
