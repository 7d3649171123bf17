"""t-SNE: a whole map, and the live marker in one; everything on one thread."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from core.evaluation.placement import Placer
from core.evaluation.tsne import TsneOptions, tsne
from core.events import result
from tests.bench.conftest import Compare

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

CLASSES, DIMENSIONS = 16, 1024
PERPLEXITY = 30

Floats = NDArray[np.float32]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """scikit-learn's gradient takes every core, whatever its ``n_jobs``."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def latents(count: int, seed: int = 0) -> Floats:
    """Clusters around random centres, most of whose spread is in a few directions, as that of latents is."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(CLASSES, DIMENSIONS))
    basis = np.random.default_rng(2).normal(size=(20, DIMENSIONS)) / 2
    label = np.arange(count) % CLASSES
    spread = rng.normal(size=(count, 20)) @ basis + rng.normal(size=(count, DIMENSIONS)) / 4
    return (centres[label] + spread).astype(np.float32)


def divergence(points: Floats, xy: Floats) -> float:
    """KL divergence in nats of a map from the affinities of all dimensions; the sum over pairs is exact."""
    from openTSNE.affinity import PerplexityBasedNN
    from scipy.spatial.distance import pdist, squareform

    affinities = PerplexityBasedNN(points, PERPLEXITY, method="exact", n_jobs=1).P.tocoo()
    closeness = 1 / (1 + squareform(pdist(xy, "sqeuclidean")))
    total = closeness.sum() - len(xy)
    p, q = affinities.data, closeness[affinities.row, affinities.col] / total
    return float((p * np.log(p / q)).sum())


def test_map(compare: Compare) -> None:
    import openTSNE
    from sklearn.manifold import TSNE

    points, maps = latents(1500), {}
    fits = {
        "ours": lambda: result(tsne(points)).xy,
        "scikit-learn": lambda: TSNE(random_state=0, n_jobs=1).fit_transform(points),
        "openTSNE": lambda: np.asarray(openTSNE.TSNE(random_state=0, n_jobs=1).fit(points)),
    }

    def keeping(name: str) -> Callable[[], None]:
        return lambda: maps.update({name: fits[name]()})

    contenders = {name: keeping(name) for name in fits}
    notes = compare("t-SNE of 1,500 latents, each library's defaults", contenders, rounds=1, warmup=0)
    notes["KL divergence in nats"] = {name: divergence(points, maps[name]) for name in fits}


def test_live_marker(compare: Compare) -> None:
    import openTSNE

    fitted, new = latents(2874), latents(16, seed=3)
    map = result(tsne(fitted, TsneOptions(early_iterations=100, iterations=100)))
    placer = Placer(fitted, map)
    np.testing.assert_allclose(placer.place(fitted[:16]), map.xy[:16])
    affinities = openTSNE.affinity.PerplexityBasedNN(map.features(fitted), PERPLEXITY, n_jobs=1, random_state=0)

    def transform(gradient: str) -> Callable[[], Floats]:
        embedding = openTSNE.TSNEEmbedding(
            map.xy.astype(np.float64), affinities, random_state=0, n_jobs=1, negative_gradient_method=gradient
        )
        return lambda: embedding.transform(map.features(new))

    contenders = {
        "ours": lambda: placer.place(new),
        "openTSNE's transform": transform("auto"),
        "openTSNE's transform, interpolated": transform("fft"),
    }
    what = f"placing {len(new)} latents in a map of {len(fitted):,}"
    compare(what, contenders, rounds=20, bars={"ours": "≤ 2 ms"})
