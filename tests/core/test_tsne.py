"""t-SNE maps and the placing of new latents, on classes known to be apart."""

import numpy as np
import openTSNE
import pytest
from pydantic import ValidationError
from threadpoolctl import threadpool_limits

from core.evaluation.latents import LatentMap
from core.evaluation.placement import Placer
from core.evaluation.separation import separation
from core.evaluation.tsne import FRAME_ITERATIONS, Map, TsneOptions, tsne
from core.events import Cancel, Done, Note, Progress, Step, result

CLASSES = 4
QUICK = TsneOptions(perplexity=10, components=10, early_iterations=60, iterations=90)
SKLEARN = TsneOptions(perplexity=10, components=10, implementation="scikit-learn", iterations=50)


def sample(count: int, seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Latents (count, 32) of four classes about centres that are always the same."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    centres = np.random.default_rng(0).normal(size=(CLASSES, 32)) * 3
    return (centres[labels] + spread * random.normal(size=(count, 32))).astype(np.float32), labels


@pytest.fixture(scope="module")
def latents() -> np.ndarray:
    return sample(120, 1)[0]


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return sample(120, 1)[1]


@pytest.fixture(scope="module")
def map_(latents: np.ndarray) -> Map:
    return result(tsne(latents, QUICK))


def test_the_map_forms_in_view_and_its_divergence_falls(latents: np.ndarray) -> None:
    events = list(tsne(latents, QUICK))
    steps = [event for event in events if isinstance(event, Step)]
    assert isinstance(events[0], Progress)
    assert [step.index for step in steps] == [25, 50, 60, 85, 110, 135, 150]
    assert {step.total for step in steps} == {150}
    assert steps[-1].value.kl < steps[0].value.kl / 2
    last = events[-1]
    assert isinstance(last, Done)
    assert last.complete
    assert last.value.complete
    assert last.value.xy.shape == (120, 2)
    assert last.value.xy.dtype == np.float32
    assert last.value.kl == steps[-1].value.kl
    assert not np.array_equal(steps[0].value.xy, steps[-1].value.xy)  # frames are copies, not views


def test_classes_that_are_apart_are_apart_in_the_map(map_: Map, labels: np.ndarray) -> None:
    clear = separation(map_.xy, labels)
    assert clear.silhouette > 0.6
    assert clear.purity > 0.95


def test_a_fit_in_view_equals_an_unbroken_run_of_opentsne(latents: np.ndarray) -> None:
    ours = result(tsne(latents, QUICK.changed(components=0)))
    peer = openTSNE.TSNE(
        perplexity=10, early_exaggeration_iter=60, n_iter=90, neighbors="exact", random_state=0, n_jobs=1
    ).fit(latents)
    np.testing.assert_array_equal(ours.xy, np.asarray(peer, dtype=np.float32))
    assert ours.kl == pytest.approx(peer.kl_divergence, abs=1e-12)


@pytest.mark.parametrize("options", [QUICK, QUICK.changed(initialisation="random"), SKLEARN])
def test_the_same_seed_gives_the_same_map(latents: np.ndarray, options: TsneOptions) -> None:
    first, second = result(tsne(latents, options)), result(tsne(latents, options))
    np.testing.assert_array_equal(first.xy, second.xy)


def test_the_map_does_not_depend_on_the_threads_there_are(latents: np.ndarray) -> None:
    options = TsneOptions(perplexity=5, early_iterations=5, iterations=5)
    maps = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            maps.append(result(tsne(np.repeat(latents, 4, axis=1), options)).xy)
    np.testing.assert_array_equal(*maps)


def test_another_seed_gives_another_map(latents: np.ndarray) -> None:
    options = QUICK.changed(initialisation="random")
    assert not np.array_equal(result(tsne(latents, options)).xy, result(tsne(latents, options.changed(seed=1))).xy)


def test_a_stopped_fit_keeps_the_map_it_has_reached(latents: np.ndarray) -> None:
    cancel, frames = Cancel(), []
    for event in tsne(latents, QUICK, cancel):
        if isinstance(event, Step):
            frames.append(event.value)
            if len(frames) == 2:
                cancel.request()
    assert len(frames) == 2
    assert isinstance(event, Done)
    assert not event.complete
    assert not event.value.complete
    assert event.value.iterations == 2 * FRAME_ITERATIONS
    np.testing.assert_array_equal(event.value.xy, frames[-1].xy)


def test_a_fit_stopped_before_it_began_gives_the_initial_positions(latents: np.ndarray) -> None:
    cancel = Cancel()
    cancel.request()
    start = result(tsne(latents, QUICK, cancel))
    assert start.iterations == 0
    assert np.isnan(start.kl)
    assert np.isfinite(start.xy).all()


def test_scikit_learn_says_that_it_is_silent_and_separates_as_well(latents: np.ndarray, labels: np.ndarray) -> None:
    events = list(tsne(latents, SKLEARN))
    assert any(isinstance(event, Note) and "no progress" in event.text for event in events)
    assert not any(isinstance(event, Step) for event in events)
    assert events[-1].complete
    assert events[-1].value.kl > 0
    assert separation(events[-1].value.xy, labels).silhouette > 0.6


def test_scikit_learn_refuses_early_iterations_it_would_ignore() -> None:
    with pytest.raises(ValidationError, match="scikit-learn always makes 250 early iterations, not 60"):
        TsneOptions(implementation="scikit-learn", early_iterations=60)


def test_the_cosine_metric_ignores_the_length_of_latents(latents: np.ndarray) -> None:
    options = QUICK.changed(metric="cosine", components=0)
    lengths = 2.0 ** np.random.default_rng(3).integers(-3, 4, (120, 1))  # powers of two: no rounding
    plain, scaled = result(tsne(latents, options)), result(tsne(latents * lengths.astype(np.float32), options))
    np.testing.assert_array_equal(plain.xy, scaled.xy)


@pytest.mark.parametrize("components", [0, 10])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_new_latents_are_placed_among_their_class(
    latents: np.ndarray, labels: np.ndarray, components: int, metric: str
) -> None:
    fitted = result(tsne(latents, QUICK.changed(components=components, metric=metric)))
    fresh, truth = sample(40, 2)
    places = Placer(latents, fitted).place(fresh)
    nearest = np.argmin(((places[:, None] - fitted.xy) ** 2).sum(axis=2), axis=1)
    assert (labels[nearest] == truth).mean() >= 0.95


def test_a_latent_of_the_map_is_placed_on_its_own_point(latents: np.ndarray, map_: Map) -> None:
    np.testing.assert_array_equal(Placer(latents, map_).place(latents), map_.xy)


def test_latents_are_placed_alike_alone_and_together(latents: np.ndarray, map_: Map) -> None:
    placer, fresh = Placer(latents, map_), sample(16, 5)[0]
    alone = np.concatenate([placer.place(fresh[i : i + 1]) for i in range(16)])
    np.testing.assert_allclose(placer.place(fresh), alone, atol=1e-5)


def test_a_placer_refuses_latents_of_another_map(latents: np.ndarray, map_: Map) -> None:
    with pytest.raises(ValueError, match="The map has 120 points, but 119 latents were given"):
        Placer(latents[:-1], map_)


def test_overlapping_classes_separate_less() -> None:
    (apart, labels), (mixed, _) = sample(120, 1), sample(120, 1, spread=8)
    clear, blurred = separation(apart, labels), separation(mixed, labels)
    assert clear.silhouette > blurred.silhouette + 0.3
    assert clear.purity == 1
    assert blurred.purity < 0.9


def test_separation_of_a_single_class_has_no_silhouette(latents: np.ndarray) -> None:
    alone = separation(latents, np.zeros(120, int))
    assert np.isnan(alone.silhouette)
    assert alone.purity == 1
    with pytest.raises(ValueError, match="more than 10 points, and there are 8"):
        separation(latents[:8], np.zeros(8, int))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            np.zeros((60, 8)),
            "30 needs at least 91 points, and there are 60: choose a perplexity of at most 19.7",
        ),
        (np.zeros((3, 8)), "there are 3: choose more points"),
        (np.zeros(100), r"table \(points, dimensions\), not an array of shape \(100,\)"),
        (np.ones((100, 8)), "All 100 latents are equal"),
        (np.where(np.arange(800).reshape(100, 8) == 24, np.nan, 1.0), r"Latent 3 .* not finite \(1 of 100"),
    ],
)
def test_latents_that_give_no_map_are_refused_in_one_sentence(bad: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(tsne(bad))


def test_neighbours_are_the_nearest_other_latents_and_no_more_than_there_are() -> None:
    points = np.array([[0.0], [10.0], [1.0], [4.0]], np.float32)
    half = np.array([False, False, True, True])
    empty = Map(np.zeros((4, 2), np.float32), 0.0, 1, QUICK, None, None, True)
    found = LatentMap(empty, points, np.zeros(4, np.int64), half, np.arange(4), np.zeros(4, np.int64))
    indices, distances = found.neighbours(2, 2)
    assert indices.tolist() == [0, 3]
    assert distances.tolist() == [1.0, 3.0]
    assert found.neighbours(1, 9)[0].tolist() == [3, 2, 0]
