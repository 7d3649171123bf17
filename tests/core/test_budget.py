"""What a budget allows in every distance: never exceeded, and reached."""

import math
from dataclasses import asdict
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.attacks.budget import largest_distances
from core.attacks.constraint import PROJECTIONS, TANGENT, ConstraintName
from core.attacks.geometric.neighbours import tangential
from core.attacks.scale import DEGREES, POINTS, RADII, EpsilonScale
from core.clouds import distances

BOUNDING = [name for name in get_args(ConstraintName) if name != "none"]


def measured(delta: np.ndarray) -> dict[str, float]:
    """The four distances of a perturbation (N, 3)."""
    found = asdict(distances(np.zeros_like(delta), delta))
    return {name: found[name] for name in ("linf", "per_point_l2", "l2", "rmse")}


@pytest.mark.parametrize("constraint", BOUNDING)
@given(data=st.data(), epsilon=st.floats(1e-3, 2.0), points=st.integers(1, 40), seed=st.integers(0, 99))
def test_no_perturbation_of_a_budget_exceeds_what_it_allows(
    constraint: ConstraintName, data: st.DataObject, epsilon: float, points: int, seed: int
) -> None:
    wild = data.draw(arrays(np.float64, (points, 3), elements=st.floats(-5, 5)))
    moves = torch.from_numpy(wild)[None]
    if constraint in TANGENT:
        normals = torch.randn(moves.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        moves = tangential(moves, normals / normals.norm(dim=2, keepdim=True))
    inside = epsilon * PROJECTIONS[constraint](moves)[0].numpy()
    allowed = largest_distances(constraint, points)
    assert allowed is not None
    for name, value in measured(inside).items():
        assert value <= epsilon * allowed[name] * (1 + 1e-9), name


@pytest.mark.parametrize("constraint", BOUNDING)
@given(epsilon=st.floats(1e-3, 2.0), points=st.integers(1, 40))
def test_each_largest_distance_is_reached_by_some_perturbation(
    constraint: ConstraintName, epsilon: float, points: int
) -> None:
    """By every coordinate at once, all points along one axis, or one coordinate alone, each as far as it may."""
    everywhere, along, alone = (np.zeros((points, 3)) for _ in range(3))
    everywhere[:], along[:, 0], alone[0, 0] = 1, 1, 1
    best = dict.fromkeys(("linf", "per_point_l2", "l2", "rmse"), 0.0)
    for direction in (everywhere, along, alone):
        far = 10.0 * math.sqrt(3 * points) * torch.from_numpy(direction)[None]
        inside = epsilon * PROJECTIONS[constraint](far)[0].numpy()
        best = {name: max(best[name], value) for name, value in measured(inside).items()}
    allowed = largest_distances(constraint, points)
    assert allowed is not None
    assert best == pytest.approx({name: epsilon * value for name, value in allowed.items()})


def test_what_bounds_nothing_has_no_largest_distance() -> None:
    assert largest_distances("none", 100) is None


@pytest.mark.parametrize(
    ("scale", "epsilon", "text"),
    [
        (RADII, 0.1, "0.100 r"),
        (RADII, 0.0, "0.000 r"),
        (RADII, 0.00123, "0.00123 r"),
        (RADII, 1e-5, "1e-05 r"),
        (RADII, 0.12345, "0.123 r"),
        (POINTS, 5.0, "5.0 %"),
        (DEGREES, 15.0, "15 °"),
        (DEGREES, 1.25, "1.25 °"),
    ],
)
def test_an_epsilon_is_written_with_the_decimals_of_its_steps(scale: EpsilonScale, epsilon: float, text: str) -> None:
    assert scale.text(epsilon) == text
