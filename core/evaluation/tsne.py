"""Two-dimensional t-SNE maps of latents.

To compare clean and adversarial clouds, fit one map of both: two separate maps have different axes and distances.
scikit-learn and openTSNE are imported inside functions, because their import takes two seconds and the window opens
without them.
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
"""Iterations between two maps that are shown."""
SKLEARN_EARLY_ITERATIONS = 250
"""Iterations with early exaggeration that scikit-learn always makes."""


class TsneOptions(Options):
    """Options of t-SNE (van der Maaten & Hinton 2008; the learning rate is that of Belkina et al. 2019)."""

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
    """A t-SNE map, finished or after some of the iterations.

    Attributes
    ----------
    xy : (n, 2) float32
        Positions, without unit.
    kl : float
        Kullback-Leibler divergence of the map from the latents' affinities, in nats; NaN before the first iteration.
    iterations : int
        Number of iterations.
    options : TsneOptions
    mean, basis : (d,) and (k, d) float32, or None
        Mean and principal components to which the latents were reduced; None if they were not.
    complete : bool
        False if the fit is not finished, or was cancelled.
    """

    xy: Floats
    kl: float
    iterations: int
    options: TsneOptions
    mean: Floats | None
    basis: Floats | None
    complete: bool

    def features(self, latents: ArrayLike) -> Floats:
        """The input of the fit (m, k) for latents (m, d): scaled if the metric is cosine, and reduced to ``basis``."""
        points = _scaled(np.asarray(latents, dtype=np.float32), self.options.metric)
        if self.mean is None or self.basis is None:
            return points
        # with any number of threads: to limit them takes milliseconds, which a position that follows a slider has not
        return np.asarray((points - self.mean) @ self.basis.T, dtype=np.float32)


def tsne(latents: ArrayLike, options: TsneOptions | None = None, cancel: Cancel | None = None) -> Iterator[Event]:
    """Fit a map of ``latents``, and show it after every ``FRAME_ITERATIONS`` iterations.

    The result depends only on ``latents`` and ``options``, because everything runs on one thread. openTSNE uses the
    Barnes-Hut gradient below 10,000 points, and interpolation above.

    Parameters
    ----------
    latents : (n, d)
        A row for each cloud; n > 3 x perplexity.
    options : TsneOptions, optional
    cancel : Cancel, optional
        Ends the fit within ``FRAME_ITERATIONS`` iterations and keeps the present map. It does not end scikit-learn's
        fit.

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
    """Run the two phases of ``openTSNE.TSNE.fit`` with the same result, ``FRAME_ITERATIONS`` iterations at a time."""
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
            affinities[:] = unscaled  # openTSNE scales them in place and back, with rounding errors
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
    positions = np.array(xy, dtype=np.float32)  # a copy, because the optimiser changes its array in place
    return Map(positions, float(kl), iterations, start.options, start.mean, start.basis, complete)


def one_thread() -> AbstractContextManager[None]:
    """A context with one thread: the order of sums, and so the last digits, would depend on the number of threads.

    It must not contain a ``yield``, because the limit holds for the whole process.
    """
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
    # the squared Euclidean distance of unit vectors is 2 (1 - cosine), so everything else can use Euclidean distances
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.maximum(length, 1e-12), dtype=np.float32)


def _principal_components(points: Floats, options: TsneOptions) -> tuple[Floats, Floats, Floats]:
    from sklearn.decomposition import PCA

    with one_thread():
        pca = PCA(options.components, random_state=options.seed).fit(points)
        mean, basis = pca.mean_.astype(np.float32), pca.components_.astype(np.float32)
        return (points - mean) @ basis.T, mean, basis
