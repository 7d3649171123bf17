from typing import Any

import numpy as np
import pytest
import torch

from core.training.batches import augmented, batches
from tests.core.toys import toy_batch, toy_options, toy_split

TIMES = {"seconds", "clouds_per_second"}


def all_of(epoch: int = 1, rows: int = 33, **changes: Any) -> list[Any]:
    split = toy_split(40)
    return list(batches(split.points, split.labels, np.arange(rows), "z", toy_options(**changes), epoch))


def test_every_cloud_comes_once_an_epoch_in_batches_of_nearly_equal_size() -> None:
    found = all_of(jitter=0, points=64)
    assert [len(batch.label) for batch in found] == [11, 11, 11]
    clouds = torch.cat([batch.clouds for batch in found]).numpy()
    assert sorted(map(bytes, clouds)) == sorted(map(bytes, toy_split(40).points[:33]))


def test_depend_on_seed_and_epoch_and_on_nothing_else() -> None:
    torch.manual_seed(1)
    first = all_of(rotation=30.0, scaling=0.1)
    torch.manual_seed(2)
    again = all_of(rotation=30.0, scaling=0.1)
    assert all(torch.equal(a.clouds, b.clouds) and a.seed == b.seed for a, b in zip(first, again, strict=True))
    for other in (all_of(epoch=2), all_of(seed=1)):
        assert not torch.equal(first[0].clouds, other[0].clouds)
        assert first[0].seed != other[0].seed


def test_points_are_drawn_without_repetition_unless_asked() -> None:
    for cloud in torch.cat([batch.clouds for batch in all_of(jitter=0, points=63)]):
        assert len(cloud.unique(dim=0)) == 63
    repeated = torch.cat([batch.clouds for batch in all_of(jitter=0, points=100, replacement=True)])
    assert repeated.shape == (33, 100, 3)
    assert all(len(cloud.unique(dim=0)) < 64 for cloud in repeated)


@pytest.mark.parametrize(("up", "axis"), [("x", 0), ("y", 1), ("z", 2)])
def test_rotation_turns_about_the_up_axis_by_at_most_its_limit(up: str, axis: int) -> None:
    x, _ = toy_batch(64, 20)
    turned = augmented(x, up, toy_options(rotation=30.0, jitter=0), torch.Generator().manual_seed(0))
    torch.testing.assert_close(turned[..., axis], x[..., axis])
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    rest = [i for i in range(3) if i != axis]
    a, b = (torch.view_as_complex(c[..., rest].contiguous()) for c in (x, turned))
    angles = (b[:, 0] / a[:, 0]).angle().rad2deg()
    assert 20 < angles.abs().max() <= 30.01
    assert angles.min() < 0 < angles.max()


def test_jitter_is_clipped_and_scaling_keeps_shape() -> None:
    x, _ = toy_batch(16, 50)
    noise = augmented(x, "z", toy_options(jitter=0.02, jitter_clip=0.03), torch.Generator().manual_seed(0)) - x
    assert noise.abs().max() <= 0.03 + 1e-6
    assert 0.015 < noise.std() < 0.02
    scaled = augmented(x, "z", toy_options(jitter=0, scaling=0.2), torch.Generator().manual_seed(0))
    factor = (scaled / x).flatten(1)
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor), rtol=1e-3, atol=1e-4)
    assert 0.8 <= factor.min() < 0.95 < 1.05 < factor.max() <= 1.2
