"""Figures of an evaluation: what a reader of the paper would check on the page."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import font_manager, ft2font
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from core.figures import (
    COLUMN,
    ParetoPoint,
    class_counts,
    confidence_boxes,
    confusion_pair,
    front,
    pareto,
    reliability,
    sample_bars,
    top_k,
    verdicts,
)
from core.figures.style import ADVERSARIAL, CLEAN
from tests.core.test_figures import CLASSES, ball

MODELS = ["PointNet", "Adversarial training", "Defense-PointNet", "TRADES", "MART", "Clean + noise"]
CLOUDS = np.stack([ball(), ball(1)])
LONG = [f"{CLASSES[index % 16]}_{index}" for index in range(40)]


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def shares(models: int = 3) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Top-k accuracies of some models, k = 1..5."""
    clean, adversarial = np.array([0.9, 0.95, 0.98, 0.99, 1]), np.array([0.1, 0.3, 0.5, 0.7, 0.8])
    return {name: (clean - 0.01 * index, adversarial - 0.02 * index) for index, name in enumerate(MODELS[:models])}


def boxes(models: int = 3, **options: Any) -> Figure:
    sides = [{name: random().beta(5, power, 200) for name in MODELS[:models]} for power in (1, 5)]
    return confidence_boxes(*sides, "Confidence in the true class", **options)


def bars(models: int = 3) -> Figure:
    confidences = random().dirichlet(np.full(16, 0.2), size=(models, 2))
    return sample_bars(CLOUDS, confidences, MODELS[:models], CLASSES, 11, "z")


def said(models: int = 3, **options: Any) -> Figure:
    verdict = ("mug", 0.991, True), ("skateboard", 0.6149, False)
    return verdicts(CLOUDS, [(name, *verdict) for name in MODELS[:models]], "z", **options)


def confused(number: int, scale: int = 100, **options: Any) -> Figure:
    matrices = random().multinomial(scale, np.eye(number) * 0.5 + 0.5 / number, size=(2, number))
    return confusion_pair(*matrices, LONG[:number], **options)


def calibrated(models: int = 3) -> Figure:
    centres = (np.arange(10) + 0.5) / 10
    side = {name: (centres, centres**2, np.arange(10)) for name in MODELS[:models]}
    return reliability(side, side)


def point(name: str, clean: float, robust: float) -> ParetoPoint:
    return ParetoPoint(name, clean, robust, (clean - 0.01, clean + 0.005), (robust - 0.02, robust + 0.03))


def traded(models: int = 3, **options: Any) -> Figure:
    return pareto(
        [point(name, 0.98 - 0.01 * i, 0.5 - 0.3 / (i + 1)) for i, name in enumerate(MODELS[:models])], **options
    )


FIGURES: dict[str, Callable[[], Figure]] = {
    **{f"top-k, {models} models": lambda models=models: top_k(shares(models), 400) for models in (1, 3, 6)},
    "top-k in a column": lambda: top_k(shares(), 400, width=COLUMN),
    **{f"boxes, {models} models": lambda models=models: boxes(models) for models in (1, 3, 6)},
    "boxes in a column": lambda: boxes(width=COLUMN),
    **{f"bars, {models} models": lambda models=models: bars(models) for models in (1, 6)},
    **{f"verdicts, {models} models": lambda models=models: said(models) for models in (1, 6)},
    "verdicts in a column": lambda: said(width=COLUMN),
    **{f"counts of {n}": lambda n=n: class_counts(dict.fromkeys(LONG[:n], 4614), "Training set") for n in (2, 16, 40)},
    **{f"confusion of {n}": lambda n=n: confused(n) for n in (2, 12, 40)},
    "confusion in a column": lambda: confused(16, width=COLUMN),
    **{f"pareto of {models}": lambda models=models: traded(models) for models in (1, 3, 6)},
    "pareto in a column": lambda: traded(width=COLUMN),
    **{f"reliability of {models}": lambda models=models: calibrated(models) for models in (1, 6)},
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_legible_and_nothing_runs_off_the_page_or_into_each_other(name: str) -> None:
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    assert min(text.get_fontsize() for text in figure.findobj(Text)) >= 7
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= -0.01
    assert drawn.y0 >= -0.01
    assert drawn.x1 <= width + 0.01
    assert drawn.y1 <= height + 0.01
    assert figure.get_facecolor() == (1, 1, 1, 1)
    for legend in figure.findobj(Legend):
        assert not any(legend.get_window_extent().overlaps(axes.bbox) for axes in figure.axes)
    words = [axes.title for axes in figure.axes] + figure.texts  # no title runs into the next
    extents = [word.get_window_extent() for word in words if word.get_text()]
    assert not any(one.overlaps(other) for one, other in combinations(extents, 2))


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def tinted(image: np.ndarray) -> tuple[int, int]:
    """Number of bluish and of orange pixels."""
    red, blue = image[..., 0], image[..., 2]
    return int((blue > red + 0.2).sum()), int((red > blue + 0.2).sum())


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def test_top_k_shows_percent_over_whole_k_and_a_model_looks_the_same_on_both_sides() -> None:
    given_rates = shares(6)
    figure = top_k(given_rates, 400)
    clean, adversarial = figure.axes
    assert (clean.get_title(), adversarial.get_title()) == ("Clean", "Adversarial")
    assert clean.get_ylim() == adversarial.get_ylim()
    assert list(clean.get_xticks()) == [1, 2, 3, 4, 5]
    looks = set()
    for name, left, right in zip(MODELS, clean.lines, adversarial.lines, strict=True):
        for line, rates in zip((left, right), given_rates[name], strict=True):
            np.testing.assert_allclose(line.get_xydata(), np.stack([np.arange(1, 6), 100 * rates], axis=1))
        look, other = ((line.get_color(), line.get_linestyle(), line.get_marker()) for line in (left, right))
        assert look == other
        assert to_rgb(look[0]) not in (CLEAN, ADVERSARIAL)  # not even for "Adversarial training"
        looks.add(look)
    assert len(looks) == 6
    assert len({marker for _, _, marker in looks}) == 6
    assert figure.legends[0].get_title().get_text() == "n = 400 clouds"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == MODELS


def test_boxes_have_whiskers_of_one_and_a_half_iqr_and_say_so_and_how_many_clouds_there_are() -> None:
    values = np.concatenate([np.linspace(0.4, 0.6, 101), [0.05, 0.31, 0.95]])
    figure = confidence_boxes({"a": values, "b": values}, {"a": values, "b": []}, "Confidence")
    low, high = np.quantile(values, [0.25, 0.75])
    inside = values[(values >= low - 1.5 * (high - low)) & (values <= high + 1.5 * (high - low))]
    clean, adversarial = figure.axes
    box, (lower, upper) = clean.patches[0], clean.lines[:2]
    np.testing.assert_allclose(np.unique(box.get_path().vertices[:5, 1]), [low, high])
    np.testing.assert_allclose(lower.get_ydata(), [low, inside.min()])
    np.testing.assert_allclose(upper.get_ydata(), [high, inside.max()])
    outliers = next(line for line in clean.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(np.sort(outliers.get_ydata()), [0.05, 0.95])
    assert {"a\nn = 104", "b\nn = 104", "b\nn = 0"} <= set(words(figure))
    assert sum(np.isfinite(box.get_path().vertices[:4]).all() for box in adversarial.patches) == 1
    assert any("within 1.5 IQR" in text and "outliers" in text for text in words(figure))
    assert clean.get_ylabel() == "Confidence"


def test_boxes_refuse_nan_and_sides_of_different_models() -> None:
    with pytest.raises(ValueError, match="Adversarial confidences of a hold a value that is not a finite number"):
        confidence_boxes({"a": [0.5]}, {"a": [np.nan, 0.5]}, "Confidence")
    with pytest.raises(ValueError, match="Both sides are of the same models, but here are a; a, b"):
        confidence_boxes({"a": [0.5]}, {"a": [0.5], "b": [0.5]}, "Confidence")


def test_bars_of_a_sample_are_as_long_as_confidences_and_the_true_class_is_bold_in_both_rows() -> None:
    confidences = np.zeros((2, 2, 16))
    confidences[:, 0, 4], confidences[:, 1, 15], confidences[1, 1, 15] = 1, 0.75, 0.5
    figure = sample_bars(CLOUDS, confidences, ["simple", "defense"], CLASSES, 15, "z")
    charts, pictures = figure.axes[:4], figure.axes[4:]
    for axes, expected in zip(charts, ([1, 0], [1, 0], [0, 0.75], [0, 0.5]), strict=True):
        assert [bar.get_width() for bar in axes.containers[0]][:2] == expected
    for axes in charts[::2]:
        labels = axes.get_yticklabels()
        assert [label.get_text() for label in labels][:2] == ["chair", "table (true)"]
        assert [label.get_fontweight() for label in labels][:2] == ["normal", "bold"]
    assert [axes.get_title() for axes in charts] == ["simple", "defense", "", ""]
    assert [len(axes.collections[0].get_offsets()) for axes in pictures] == [200, 200]
    assert pictures[0].get_xlim() == pictures[1].get_xlim()
    image = pixels(figure)
    upper, lower = tinted(image[: len(image) // 2]), tinted(image[len(image) // 2 :])
    assert upper[0] > 20 * upper[1]  # the clean cloud and its bars are blue
    assert lower[1] > 20 * lower[0]
    with pytest.raises(ValueError, match=r"must be of shape \(3, 2, 16\).*not \(2, 2, 16\)"):
        sample_bars(CLOUDS, confidences, MODELS[:3], CLASSES, 15, "z")


def test_the_true_class_of_a_sample_is_shown_however_unlikely() -> None:
    confidences = np.linspace(1, 0, 16) * np.ones((1, 2, 1))
    labels = sample_bars(CLOUDS, confidences, ["simple"], CLASSES, 15, "z").axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == [*CLASSES[:5], "table (true)"]


def test_of_a_sample_of_unknown_class_nothing_is_called_true() -> None:
    confidences = np.linspace(1, 0, 16) * np.ones((1, 2, 1))
    labels = sample_bars(CLOUDS, confidences, ["simple"], CLASSES, None, "z").axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == list(CLASSES[:6])


def test_verdicts_stand_beside_their_cloud_and_are_marked_right_or_wrong_in_the_font_at_hand() -> None:
    figure = verdicts(CLOUDS, [("simple", ("mug", 0.991, True), ("car", 0.6149, False))], "z")
    texts = {text.get_text(): text for text in figure.texts}
    assert set(texts) == {"Clean", "Adversarial", "simple", "✓ mug", "99.1 %", "✗ car", "61.5 %"}
    assert texts["✗ car"].get_fontweight() == "bold"
    assert texts["✓ mug"].get_fontweight() == "normal"
    clean, adversarial = (axes.get_position() for axes in figure.axes)
    assert clean.y0 < texts["✓ mug"].get_position()[1] < clean.y1
    assert adversarial.y0 < texts["✗ car"].get_position()[1] < adversarial.y1 < clean.y0
    assert texts["simple"].get_position()[0] >= clean.x1
    for weight in ("normal", "bold"):
        font = ft2font.FT2Font(font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight)))
        assert all(font.get_char_index(ord(mark)) for mark in "✓✗")
    image = pixels(figure)
    upper, lower = tinted(image[: len(image) // 2]), tinted(image[len(image) // 2 :])
    assert upper[0] > 1000 > 20 * upper[1]
    assert lower[1] > 1000 > 20 * lower[0]


def test_class_counts_has_a_bar_as_high_as_each_number_with_the_number_on_it() -> None:
    counts = dict(zip(CLASSES, range(0, 4800, 300), strict=True))
    axes = class_counts(counts, "ShapeNet, training set", ylabel="Shapes").axes[0]
    assert [bar.get_height() for bar in axes.patches] == list(counts.values())
    assert [text.get_text() for text in axes.texts] == [f"{number:,}" for number in counts.values()]
    assert [label.get_text() for label in axes.get_xticklabels()] == CLASSES
    assert (axes.get_title(), axes.get_ylabel()) == ("ShapeNet, training set", "Shapes")


def test_numbers_on_many_bars_do_not_run_into_each_other() -> None:
    figure = class_counts(dict.fromkeys(LONG, 4614), "Training set")
    figure.draw_without_rendering()
    extents = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(one.overlaps(other) for one, other in combinations(extents, 2))


def test_confusion_shows_shares_of_the_true_class_and_counts_but_no_zeros() -> None:
    clean, adversarial = np.array([[8, 2, 0], [0, 4, 0], [0, 0, 0]]), np.array([[0, 0, 10], [1, 3, 0], [0, 0, 0]])
    figure = confusion_pair(clean, adversarial, CLASSES[:3])
    left, right, bar = figure.axes
    np.testing.assert_allclose(left.images[0].get_array(), [[80, 20, 0], [0, 100, 0], [0, 0, 0]])
    np.testing.assert_allclose(right.images[0].get_array(), [[0, 0, 100], [25, 75, 0], [0, 0, 0]])
    assert {text.get_position(): text.get_text() for text in left.texts} == {(0, 0): "8", (1, 0): "2", (1, 1): "4"}
    assert {text.get_position(): text.get_text() for text in right.texts} == {(2, 0): "10", (0, 1): "1", (1, 1): "3"}
    assert bar.get_ylabel() == "Share of the true class (%)"
    assert (left.get_title(), right.get_title()) == ("Clean, n = 14", "Adversarial, n = 14")
    assert [axes.images[0].get_clim() for axes in (left, right)] == [(0, 100)] * 2
    assert [label.get_text() for label in left.get_yticklabels() + left.get_xticklabels()] == 2 * CLASSES[:3]
    assert (left.get_ylabel(), left.get_xlabel()) == ("True class", "Predicted class")
    image = pixels(figure)
    height = len(image)

    def shade(row: float, column: float) -> float:
        x, y = left.transData.transform((column - 0.4, row - 0.4))  # beside the number
        return float(image[height - int(y), int(x)].mean())

    assert shade(1, 1) < shade(0, 0) < shade(0, 1) < shade(0, 2)
    assert shade(0, 2) == shade(2, 2) > 0.95
    with pytest.raises(ValueError, match=r"3 classes need .* of shape \(3, 3\), not \(3, 3\) and \(2, 2\)"):
        confusion_pair(clean, adversarial[:2, :2], CLASSES[:3])


@pytest.mark.parametrize(("number", "scale", "written"), [(2, 10**6, True), (20, 900, True),
                                                          (20, 10**6, False), (40, 9, False)])  # fmt: skip
def test_counts_are_written_in_cells_only_where_they_fit(number: int, scale: int, written: bool) -> None:
    figure = confused(number, scale)
    figure.draw_without_rendering()
    for axes in figure.axes[:2]:
        assert bool(axes.texts) == written
        cell = axes.bbox.width / number
        assert all(text.get_window_extent().width <= 1.02 * cell for text in axes.texts)


def dominates(one: ParetoPoint, other: ParetoPoint) -> bool:
    as_good = one.clean >= other.clean and one.robust >= other.robust
    return as_good and (one.clean > other.clean or one.robust > other.robust)


rates = st.one_of(st.floats(0, 1), st.sampled_from([0, 0.5, 1]))  # ties as well


@given(st.lists(st.builds(point, st.just("m"), rates, rates), max_size=12))
def test_the_front_is_what_nothing_dominates_by_clean_accuracy(points: list[ParetoPoint]) -> None:
    optimal = front(points)
    assert sorted(map(id, optimal)) == sorted(
        id(one) for one in points if not any(dominates(two, one) for two in points)
    )
    assert all(any(dominates(best, one) for best in optimal) for one in points if one not in optimal)
    assert [one.clean for one in optimal] == sorted(one.clean for one in optimal)
    assert [one.robust for one in optimal] == sorted((one.robust for one in optimal), reverse=True)


def test_pareto_shows_percent_with_error_bars_and_joins_the_optimal_by_steps() -> None:
    points = [point("strong", 0.9, 0.5), point("weak", 0.85, 0.3), point("plain", 0.98, 0.02)]
    figure = pareto(points)
    axes = figure.axes[0]
    steps = next(line for line in axes.lines if line.get_drawstyle() == "steps-pre")
    np.testing.assert_allclose(steps.get_xydata(), [[90, 50], [98, 2]])
    for one, container in zip(points, axes.containers, strict=True):
        centre, _, (across, upward) = container.lines
        np.testing.assert_allclose(centre.get_xydata(), [[100 * one.clean, 100 * one.robust]])
        np.testing.assert_allclose(across.get_segments()[0][:, 0], 100 * np.array(one.clean_interval))
        np.testing.assert_allclose(upward.get_segments()[0][:, 1], 100 * np.array(one.robust_interval))
    fills = [to_rgb(container.lines[0].get_markerfacecolor()) for container in axes.containers]
    assert fills[0] == fills[2] != fills[1] == (1, 1, 1)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Pareto-optimal", "dominated"]
    assert [text.get_text() for text in pareto(points[:1]).legends[0].get_texts()] == ["Pareto-optimal"]


def test_names_of_points_in_a_crowd_stay_apart_near_their_points_and_on_the_panel() -> None:
    crowd = [point(f"Defense-PointNet {index}", *(0.9 + 0.005 * random().random(2))) for index in range(10)]
    figure = pareto([*crowd, point("PointNet", 0.99, 0.01)])
    figure.draw_without_rendering()
    axes = figure.axes[0]
    extents = [text.get_window_extent() for text in axes.texts]
    assert len(extents) == 11
    assert not any(one.overlaps(other) for one, other in combinations(extents, 2))
    for extent, one in zip(extents, [*crowd, point("PointNet", 0.99, 0.01)], strict=True):
        assert axes.bbox.x0 <= extent.x0 <= extent.x1 <= axes.bbox.x1
        assert axes.bbox.y0 <= extent.y0 <= extent.y1 <= axes.bbox.y1
        spot = axes.transData.transform((100 * one.clean, 100 * one.robust))
        nearest = np.clip(spot, [extent.x0, extent.y0], [extent.x1, extent.y1])
        assert np.hypot(*(nearest - spot)) < 0.7 * figure.dpi  # inches


def test_reliability_leaves_out_empty_bins_and_areas_follow_counts() -> None:
    bins = ([np.nan, 0.5, 0.9], [np.nan, 0.4, 0.8], [0, 10, 30])
    figure = reliability({"a": bins, "b": bins}, {"a": bins, "b": bins})
    for axes in figure.axes:
        diagonal, *lines = axes.lines
        assert diagonal.get_slope() == 1
        for line, markers in zip(lines, axes.collections, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), [[0.5, 0.4], [0.9, 0.8]])
            np.testing.assert_array_equal(markers.get_offsets(), line.get_xydata())
            small, large = markers.get_sizes()
            assert np.isclose(large, 3 * small)
        assert lines[0].get_color() != lines[1].get_color()
        assert axes.get_xlim() == axes.get_ylim() == (0, 1)
    assert "Area of a marker: share of the model's clouds" in words(figure)
    with pytest.raises(ValueError, match="Both sides are of the same models"):
        reliability({"a": bins}, {"b": bins})
