"""Figures: what a reader of the paper would check on the page."""

from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.legend import Legend
from matplotlib.text import Text

from core.evaluation.tsne import Map, TsneOptions
from core.figures import (
    COLUMN,
    PAGE,
    class_style,
    contact_sheet,
    curves,
    save,
    settle,
    tsne_pair,
)
from core.results.records import provenance
from tests.figure_metadata import figure_metadata

CLASSES = [
    "airplane", "bag", "cap", "car", "chair", "earphone", "guitar", "knife",
    "lamp", "laptop", "motorbike", "mug", "pistol", "rocket", "skateboard", "table",
]  # fmt: skip


def chart(seed: int = 0, width: float = PAGE) -> Figure:
    """A map of sixteen classes: tight and apart when clean, blurred when adversarial."""
    random = np.random.default_rng(seed)
    centres = np.stack(np.meshgrid(np.arange(4), np.arange(4)), axis=-1).reshape(16, 2) * 12.0
    labels = np.tile(np.arange(16), 40)
    adversarial = np.arange(640) >= 320
    xy = centres[labels] + random.normal(size=(640, 2)) * np.where(adversarial, 6, 1.5)[:, None]
    fitted = Map(xy.astype(np.float32), 1.0, 750, TsneOptions(), None, None, True)
    return tsne_pair(fitted, labels, adversarial, CLASSES, titles=("Clean", "FGSM, ε = 0.1"), width=width)


def ball(seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(200, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return {
        "map": chart(),
        "map in a column": chart(width=COLUMN),
        "sheet": contact_sheet([ball(seed) for seed in range(5)], CLASSES[:5], 3),
        "curves": curves([1, 2, 3], {"Loss (nats)": {"train": [3, 2, 1]}, "Accuracy": {"train": [0.1, 0.5, 0.9]}}),
    }


def test_settled_it_is_laid_out_as_any_other_and_not_again(tmp_path: Path) -> None:
    figure, other = chart(), chart()
    settle(figure)
    save(other, tmp_path / "other.pdf")
    places = [axes.get_position().bounds for axes in figure.axes]
    np.testing.assert_allclose(places, [axes.get_position().bounds for axes in other.axes], atol=2e-3)
    figure.axes[0].set_title("a title\nof two lines")
    save(figure, tmp_path / "settled.svg")
    assert [axes.get_position().bounds for axes in figure.axes] == places


@pytest.mark.parametrize("name", ["map", "map in a column", "sheet", "curves"])
def test_every_figure_is_legible_and_nothing_runs_off_the_page(figures: dict[str, Figure], name: str) -> None:
    figure = figures[name]
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


def test_figures_come_back_as_png_of_the_right_size_pdf_and_svg_with_the_class_names(tmp_path: Path) -> None:
    figure = chart()
    for suffix in ("png", "svg", "pdf"):
        save(figure, tmp_path / f"map.{suffix}")
    height, width, _ = imread(tmp_path / "map.png").shape
    assert (width, height) == tuple(np.int64(figure.get_size_inches() * 300))
    assert (tmp_path / "map.pdf").read_bytes().startswith(b"%PDF")
    drawing = ElementTree.parse(tmp_path / "map.svg")
    words = [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert set(CLASSES) <= set(words)
    assert words.count("mug") == 3  # in two panels and the legend


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_figure_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        save(curves([1, 2], {"Loss": {"train": [2, 1]}}), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_caption_and_provenance_are_in_the_file_and_the_picture_is_the_same(tmp_path: Path, suffix: str) -> None:
    made_with = provenance({"name": "\\ (x) é ∞ \x1b[31m"}, seed=7, dataset="ab12", weights={"simple": "cd34"})
    plain, described = tmp_path / f"plain.{suffix}", tmp_path / f"described.{suffix}"
    figure = curves([1, 2], {"Loss": {"train": [2, 1]}})
    settle(figure)
    save(figure, plain)
    save(figure, described, made_with, "Loss of (one) run, ε = 0.1; \x1b[31m")
    caption, found = figure_metadata(described)
    assert caption == "Loss of (one) run, ε = 0.1;  [31m", "a control character would make an SVG unreadable"
    assert found == made_with
    if suffix == "png":
        np.testing.assert_array_equal(imread(plain), imread(described))


def test_a_caption_is_drawn_under_the_map_and_nothing_runs_off_the_page() -> None:
    text = "One t-SNE map of the latents of 320 clean test clouds and their adversarial versions. " * 4
    map = Map(
        np.random.default_rng(0).normal(size=(640, 2)).astype(np.float32), 1.0, 750, TsneOptions(), None, None, True
    )
    for width in (PAGE, COLUMN):
        figure = tsne_pair(map, np.tile(np.arange(16), 40), np.arange(640) >= 320, CLASSES, width=width, caption=text)
        figure.draw_without_rendering()
        title = figure.legends[0].get_title()
        assert " ".join(title.get_text().split()) == text.strip()
        box, page = title.get_window_extent(), figure.bbox
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0
        assert box.y1 <= min(axes.get_window_extent().y0 for axes in figure.axes)


def test_an_unknown_format_is_refused_in_one_sentence_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"map\.bmp: figures are saved as \.png, \.svg or \.pdf, not as '\.bmp'"):
        save(chart(), tmp_path / "map.bmp")
    assert not list(tmp_path.iterdir())


def test_matplotlibs_own_settings_are_left_alone() -> None:
    names = ("font.size", "text.color", "svg.fonttype", "pdf.fonttype")
    before = [mpl.rcParams[name] for name in names]
    curves([1, 2], {"Loss": {"train": [2, 1]}})
    assert [mpl.rcParams[name] for name in names] == before


def test_both_panels_of_a_map_have_the_same_limits_and_show_their_own_points() -> None:
    clean, adversarial = chart().axes
    assert clean.get_xlim() == adversarial.get_xlim()
    assert clean.get_ylim() == adversarial.get_ylim()
    for axes in (clean, adversarial):
        points = np.concatenate([collection.get_offsets() for collection in axes.collections])
        assert len(points) == 320
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert (points > [left, bottom]).all()
        assert (points < [right, top]).all()
    assert (clean.get_title(), adversarial.get_title()) == ("Clean", "FGSM, ε = 0.1")


def test_each_class_is_named_once_near_its_points_and_names_do_not_overlap() -> None:
    figure = chart()
    figure.draw_without_rendering()
    for axes in figure.axes:
        names = axes.texts
        assert sorted(name.get_text() for name in names) == CLASSES
        boxes = [name.get_window_extent() for name in names]
        assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
        for name in names:
            points = axes.collections[CLASSES.index(name.get_text())].get_offsets()
            gaps = axes.transData.transform(points) - axes.transData.transform(name.get_position())
            assert np.hypot(*gaps.T).min() < 0.5 * figure.dpi  # half an inch


def test_no_two_of_forty_classes_look_the_same() -> None:
    assert len({class_style(index) for index in range(40)}) == 40


def test_a_map_refuses_labels_of_other_points_and_labels_without_a_name() -> None:
    fitted = Map(np.eye(2, dtype=np.float32), 1.0, 750, TsneOptions(), None, None, True)
    with pytest.raises(ValueError, match="2 points, but there are 3 labels, 2 flags"):
        tsne_pair(fitted, [0, 0, 0], [True, False], CLASSES)
    with pytest.raises(ValueError, match="Label 16 has no name: there are 16 classes"):
        tsne_pair(fitted, [0, 16], [True, False], CLASSES)


def test_a_sheet_shows_every_cloud_above_its_name() -> None:
    axes = contact_sheet([ball(seed) for seed in range(5)], CLASSES[:5], 3).axes[0]
    assert [text.get_text() for text in axes.texts] == CLASSES[:5]
    for cloud, name in zip(axes.collections, axes.texts, strict=True):
        points = np.asarray(cloud.get_offsets())
        x, y = name.get_position()
        assert len(points) == 200
        assert np.isclose(points[:, 0].min() + points[:, 0].max(), 2 * x, atol=1e-6)
        assert points[:, 1].min() > y


def test_a_tall_cloud_stands_upright_whichever_axis_is_up() -> None:
    tall = ball() * [0.2, 0.2, 1]
    for up, cloud in (("z", tall), ("y", tall[:, [1, 2, 0]])):
        points = np.asarray(contact_sheet([cloud], ["tall"], 1, up=up).axes[0].collections[0].get_offsets())
        wide, high = np.ptp(points, axis=0)
        assert high > 2 * wide


def test_curves_leave_gaps_at_nan_and_a_name_looks_the_same_in_every_panel() -> None:
    values = [1.0, np.nan, 0.5]
    figure = curves([1, 2, 3], {"Loss": {"train": values, "adversarial": values}, "Accuracy": {"adversarial": values}})
    loss, accuracy = figure.axes
    train, adversarial = loss.lines
    np.testing.assert_array_equal(train.get_ydata(), values)
    assert accuracy.lines[0].get_color() == adversarial.get_color() != train.get_color()
    assert accuracy.lines[0].get_linestyle() == adversarial.get_linestyle() != train.get_linestyle()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "adversarial"]
