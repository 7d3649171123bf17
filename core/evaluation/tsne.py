"""Two-dimensional t-SNE maps of latents, and the place of a new latent in a map that is already made.

To see clean and adversarial clouds in one map, stack their latents and fit them jointly: two maps fitted apart
share neither axes nor distances. scikit-learn and openTSNE are imported inside functions, for they take two seconds
and a window can open without them.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import model_validator

from core.events import Cancel, Done, Event, Note, Progress, Step
from core.options import Options, option

Floats = NDArray[np.float32]

FRAME_ITERATIONS = 25
SKLEARN_EARLY_ITERATIONS = 250
PLACER_NEIGHBOURS = 9
PURITY_NEIGHBOURS = 10


class TsneOptions(Options):
    """How a map is made (van der Maaten & Hinton 2008; the learning rate is that of Belkina et al. 2019)."""

    perplexity: float = option(
        30.0, help="Effective number of neighbours each point keeps; below a third of the points.", low=2, high=500
    )
    components: int = option(
        50, help="Principal components kept before the fit; 0 keeps the latents whole.", low=0, high=1024
    )
    metric: Literal["euclidean", "cosine"] = option(
        "euclidean", help="Distance between latents; cosine scales each to unit length first, so only directions count."
    )
    seed: int = option(0, help="Seed of the principal components and of the initial positions.", low=0, high=2**31 - 1)
    implementation: Literal["opentsne", "scikit-learn"] = option(
        "opentsne", help="openTSNE shows the map as it forms and can be stopped; scikit-learn returns only at its end."
    )
    initialisation: Literal["pca", "random"] = option(
        "pca", help="Where points start: pca keeps the latents' coarse arrangement, random does not.", advanced=True
    )
    early_iterations: int = option(
        SKLEARN_EARLY_ITERATIONS, help="Iterations with early exaggeration.", low=0, high=10_000, advanced=True
    )
    iterations: int = option(500, help="Iterations after the early ones.", low=1, high=100_000, advanced=True)
    exaggeration: float = option(
        12.0, help="Factor on all attractions during the early iterations.", low=1, high=100, advanced=True
    )
    learning_rate: float = option(
        0.0, help="Step of the gradient descent; 0 takes it from the number of points.", low=0, high=1e5, advanced=True
    )

    @model_validator(mode="after")
    def _early_iterations_of_sklearn(self) -> Self:
        if self.implementation == "scikit-learn" and self.early_iterations != SKLEARN_EARLY_ITERATIONS:
            raise ValueError(
                f"scikit-learn always makes {SKLEARN_EARLY_ITERATIONS} early iterations, not {self.early_iterations}; "
                "choose opentsne to change them"
            )
        return self


@dataclass(frozen=True, eq=False)
class Map:
    """A t-SNE map: finished, or as it stood after some iterations.

    Attributes
    ----------
    xy : (n, 2) float32
        Positions, without unit.
    kl : float
        Kullback-Leibler divergence of the map from the latents' affinities, in nats; NaN before the first iteration.
    iterations : int
        Iterations made.
    options : TsneOptions
    mean, basis : (d,) and (k, d) float32, or None
        Principal components the latents were reduced to, if any.
    complete : bool
        False for a map on its way, or stopped on it.
    """

    xy: Floats
    kl: float
    iterations: int
    options: TsneOptions
    mean: Floats | None
    basis: Floats | None
    complete: bool

    def features(self, latents: ArrayLike) -> Floats:
        """What the map was fitted on: latents (m, d) scaled if the metric is cosine, on the basis (m, k)."""
        points = _scaled(np.asarray(latents, dtype=np.float32), self.options.metric)
        if self.mean is None or self.basis is None:
            return points
        return np.asarray((points - self.mean) @ self.basis.T, dtype=np.float32)


def tsne(latents: ArrayLike, options: TsneOptions | None = None, cancel: Cancel | None = None) -> Iterator[Event]:
    """Fit a map of ``latents``, showing it as it forms.

    The result depends on ``latents`` and ``options`` alone: everything runs on one thread, and watching the map
    changes nothing in it. openTSNE's Barnes-Hut gradient is used below 10,000 points, its interpolation above.

    Parameters
    ----------
    latents : (n, d)
        One row per cloud; n > 3 x perplexity.
    options : TsneOptions, optional
    cancel : Cancel, optional
        Ends the fit within ``FRAME_ITERATIONS`` iterations and keeps the map it has reached. scikit-learn's fit
        cannot be ended.

    Yields
    ------
    Event
        ``Progress`` before each phase, ``Step`` with a ``Map`` every ``FRAME_ITERATIONS`` iterations (openTSNE), and
        last ``Done`` with the ``Map``.

    Raises
    ------
    ValueError
        If the latents are not a finite (n, d) table, are all equal, or are too few for the perplexity.
    """
    options = options or TsneOptions()
    points = _scaled(_checked(latents, options.perplexity), options.metric)
    total = options.early_iterations + options.iterations
    mean = basis = None
    if 0 < options.components < min(points.shape):
        yield Progress(0, total, f"reducing {points.shape[1]} dimensions to {options.components}")
        points, mean, basis = _principal_components(points, options)
    fit = _fit_opentsne if options.implementation == "opentsne" else _fit_sklearn
    yield from fit(points, Map(np.zeros((len(points), 2), np.float32), np.nan, 0, options, mean, basis, False), cancel)


def _fit_opentsne(points: Floats, start: Map, cancel: Cancel | None) -> Iterator[Event]:
    """Run openTSNE's own two phases, a few iterations at a time; positions equal those of ``openTSNE.TSNE.fit``."""
    import openTSNE

    options = start.options
    total = options.early_iterations + options.iterations
    yield Progress(0, total, f"finding the neighbours of {len(points)} points")
    estimator = openTSNE.TSNE(
        perplexity=options.perplexity,
        initialization=options.initialisation,
        learning_rate=options.learning_rate or "auto",
        neighbors="exact",  # faster than the approximate index up to 20,000 points of 50 dimensions, and reproducible
        n_jobs=1,
        random_state=options.seed,
    )
    with one_thread():
        embedding = estimator.prepare_initial(points)
    affinities = embedding.affinities.P.data
    unscaled = affinities.copy()
    done = 0
    while done < total and not (cancel and cancel.requested):
        early = done < options.early_iterations
        count = min(FRAME_ITERATIONS, (options.early_iterations if early else total) - done)
        if early:
            affinities[:] = unscaled  # openTSNE multiplies and divides them in place: undo what rounding changed
        embedding.optimize(count, inplace=True, exaggeration=options.exaggeration if early else None)
        done += count
        yield Step(done, total, _map(start, embedding, embedding.kl_divergence, done, complete=done == total))
    kl = np.nan if embedding.kl_divergence is None else embedding.kl_divergence
    yield Done(_map(start, embedding, kl, done, complete=done == total), complete=done == total)


def _fit_sklearn(points: Floats, start: Map, _: Cancel | None) -> Iterator[Event]:
    from sklearn.manifold import TSNE

    options = start.options
    total = options.early_iterations + options.iterations
    yield Note("scikit-learn's t-SNE reports no progress and can't be stopped before its end.")
    yield Progress(0, total, f"fitting {len(points)} points")
    estimator = TSNE(
        perplexity=options.perplexity,
        early_exaggeration=options.exaggeration,
        learning_rate=options.learning_rate or "auto",
        max_iter=total,
        init=options.initialisation,
        random_state=options.seed,
        n_jobs=1,
    )
    with one_thread():
        xy = estimator.fit_transform(points)
    yield Done(_map(start, xy, estimator.kl_divergence_, estimator.n_iter_ + 1, complete=True))


def _map(start: Map, xy: ArrayLike, kl: float, iterations: int, complete: bool) -> Map:
    positions = np.array(xy, dtype=np.float32)  # a copy: the optimiser goes on writing in its own
    return Map(positions, float(kl), iterations, start.options, start.mean, start.basis, complete)


def one_thread() -> AbstractContextManager[None]:
    """For sums whose order, and so whose last digits, would depend on the number of threads. Not across a yield."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[None] = threadpool_limits(1)
    return limits


def _checked(latents: ArrayLike, perplexity: float) -> Floats:
    points = np.asarray(latents, dtype=np.float32)
    if points.ndim != 2 or not points.shape[1]:
        raise ValueError(f"Latents must be a table (points, dimensions), not an array of shape {points.shape}.")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if bad.size:
        raise ValueError(f"Latent {bad[0]} holds a value that is not finite ({bad.size} of {len(points)} do).")
    needed = int(np.ceil(3 * perplexity)) + 1
    if len(points) < needed:
        advice = f"a perplexity of at most {(len(points) - 1) / 3:.3g} or " if len(points) > 6 else ""
        raise ValueError(
            f"A perplexity of {perplexity:g} needs at least {needed} points, and there are {len(points)}: "
            f"choose {advice}more points."
        )
    if not np.ptp(points, axis=0).any():
        raise ValueError(f"All {len(points)} latents are equal, so there is nothing to arrange.")
    return points


def _scaled(points: Floats, metric: str) -> Floats:
    if metric == "euclidean":
        return points
    # the squared Euclidean distance of unit vectors is 2 (1 - cosine): one distance serves every later stage
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.maximum(length, 1e-12), dtype=np.float32)


def _principal_components(points: Floats, options: TsneOptions) -> tuple[Floats, Floats, Floats]:
    from sklearn.decomposition import PCA

    with one_thread():
        pca = PCA(options.components, random_state=options.seed).fit(points)
    mean, basis = pca.mean_.astype(np.float32), pca.components_.astype(np.float32)
    return (points - mean) @ basis.T, mean, basis


class Placer:
    """Place new latents in a fixed map; the map is not refitted.

    A latent goes to the weighted median of its nearest fitted latents' positions, with weights 1 / squared distance:
    a latent of the map lands on its own point, and unlike a mean the median seldom lands in the void between clusters.
    It follows a slider: 16 latents among 2,874 take less than a millisecond, openTSNE's ``transform`` twenty times as
    long (``make bench``).

    Parameters
    ----------
    latents : (n, d)
        The latents ``map`` was fitted on, in its order.
    map : Map

    Raises
    ------
    ValueError
        If there is not one latent for each point of the map.
    """

    def __init__(self, latents: ArrayLike, map: Map) -> None:
        self._map = map
        self._features = map.features(latents)
        if len(self._features) != len(map.xy):
            raise ValueError(f"The map has {len(map.xy)} points, but {len(self._features)} latents were given.")
        self._half_squares = np.einsum("nk,nk->n", self._features, self._features) / 2
        self._neighbours = min(PLACER_NEIGHBOURS, len(map.xy))

    def place(self, latents: ArrayLike) -> Floats:
        """Positions (m, 2) in the map of latents (m, d)."""
        points = self._map.features(latents)
        # smaller for nearer, without the term that is the same for every candidate
        ranks = self._half_squares - points @ self._features.T
        nearest = np.argpartition(ranks, self._neighbours - 1, axis=1)[:, : self._neighbours]
        squares = np.square(self._features[nearest] - points[:, None]).sum(axis=2)
        weights = 1 / np.maximum(squares, 1e-12)
        return np.stack([_weighted_median(self._map.xy[nearest, axis], weights) for axis in (0, 1)], axis=1)


def _weighted_median(values: Floats, weights: Floats) -> Floats:
    """Per row of ``values`` (m, k): the smallest value at which the weights of those up to it reach half of all."""
    order = np.argsort(values, axis=1)
    running = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = np.argmax(running >= running[:, -1:] / 2, axis=1)
    chosen: Floats = np.take_along_axis(values, order, axis=1)[np.arange(len(values)), middle]
    return chosen


@dataclass(frozen=True)
class Separation:
    """How well classes keep apart.

    Attributes
    ----------
    silhouette : float
        Mean silhouette (Rousseeuw 1987), -1 to 1; NaN where fewer than two classes are present.
    purity : float
        Mean share of a point's ten nearest neighbours that are of its own class, 0 to 1.
    """

    silhouette: float
    purity: float


def separation(points: ArrayLike, labels: ArrayLike) -> Separation:
    """Separation of the classes ``labels`` (n,) among ``points`` (n, d): latents, or positions in a map.

    Call it once for the clean and once for the adversarial points of a map to compare them, as Figs 8 and 9 of the
    Defense-PointNet paper do by eye.

    Raises
    ------
    ValueError
        If there are not more than ten points, or not as many labels as points.
    """
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import NearestNeighbors

    points, labels = np.asarray(points), np.asarray(labels)
    if len(points) != len(labels):
        raise ValueError(f"There are {len(points)} points but {len(labels)} labels.")
    if len(points) <= PURITY_NEIGHBOURS:
        raise ValueError(f"Separation needs more than {PURITY_NEIGHBOURS} points, and there are {len(points)}.")
    nearest = NearestNeighbors(n_neighbors=PURITY_NEIGHBOURS).fit(points).kneighbors(return_distance=False)
    classes = len(np.unique(labels))
    silhouette = silhouette_score(points, labels) if 1 < classes < len(points) else np.nan
    return Separation(float(silhouette), float((labels[nearest] == labels[:, None]).mean()))
