"""Up axes and right-angled turns of clouds."""

import itertools

import numpy as np
import pytest

from core.clouds import Cloud
from core.clouds.frames import AXES, Orientation, frame_record, right_angled, rotated, turned

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(50, 3)).astype(np.float32)


def axis(name: str) -> np.ndarray:
    vector = np.zeros(3)
    vector["xyz".index(name[-1])] = -1 if name.startswith("-") else 1
    return vector


@pytest.mark.parametrize(("up", "expected"), list(itertools.product(AXES, AXES)))
def test_the_up_axis_of_the_file_becomes_the_expected_one(up: str, expected: str) -> None:
    for turn in (0, 90, -90, 180, 37.5):
        rotation = Orientation(up, turn).rotation(expected)  # type: ignore[arg-type]
        assert rotation @ axis(up) == pytest.approx(axis(expected))
        assert rotation @ rotation.T == pytest.approx(np.eye(3))
        assert np.linalg.det(rotation) == pytest.approx(1)


def test_y_up_goes_to_z_up_as_the_docstring_says() -> None:
    x, y, z = POINTS.T
    assert np.array_equal(rotated(POINTS, Orientation("y").rotation("z")), np.stack([x, -z, y], axis=1))


def test_a_turn_is_counter_clockwise_seen_from_above() -> None:
    front = np.array([[1, 0, 0]], np.float32)
    assert rotated(front, Orientation(None, 90).rotation("z")).tolist() == [[0, 1, 0]]
    assert rotated(front, Orientation("-z", 0).rotation("-z")).tolist() == [[1, 0, 0]]
    assert rotated(front, Orientation("-z", 90).rotation("-z")).tolist() == [[0, -1, 0]]
    assert rotated(front, Orientation(None, 30).rotation("z"))[0] == pytest.approx([np.sqrt(3) / 2, 0.5, 0])


@pytest.mark.parametrize("expected", ["x", "y", "z", "-y"])
def test_the_24_right_angled_turns_are_all_of_them_and_exact_there_and_back(expected: str) -> None:
    turns = right_angled(expected)  # type: ignore[arg-type]
    rotations = [turn.rotation(expected) for turn in turns]  # type: ignore[arg-type]
    assert np.array_equal(rotations[0], np.eye(3))
    assert len({rotation.astype(int).tobytes() for rotation in rotations}) == 24
    for rotation in rotations:
        assert sorted(np.abs(rotation).ravel()) == [0] * 6 + [1] * 3
        assert round(np.linalg.det(rotation)) == 1
        there = rotated(POINTS, rotation)
        assert not np.array_equal(there, POINTS) or rotation is rotations[0]
        assert np.array_equal(rotated(there, rotation.T), POINTS)
    together = {(one @ other).astype(int).tobytes() for one, other in itertools.product(rotations, rotations)}
    assert len(together) == 24, "a turn after a turn is one of them"


def test_a_turned_cloud_remembers_the_turned_frame_of_its_file() -> None:
    cloud = Cloud(POINTS, "a", centre=np.array([1.0, 2.0, 3.0]), radius=2.0)
    rotation = Orientation("y", 90).rotation("z")
    other = turned(cloud, rotation)
    original, mine = (each.points * each.radius + each.centre for each in (cloud, other))
    assert mine == pytest.approx(original @ rotation.T, abs=1e-5)
    assert (other.name, other.radius) == ("a", 2.0)


def test_a_turn_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="number of degrees"):
        Orientation("y", float("nan")).rotation("z")


@pytest.mark.parametrize(
    ("orientation", "options"),
    [(Orientation(), ""), (Orientation("-x"), "--up -x"), (Orientation("y", 90.0), "--up y --turn 90")],
)
def test_an_orientation_is_said_as_options(orientation: Orientation, options: str) -> None:
    assert orientation.words() == options
    assert orientation.given == bool(options)


@pytest.mark.parametrize(
    ("record", "sentence", "given"),
    [
        (frame_record("z", "file", Orientation("y")), "model expects z up; file given as y up, turned", "y"),
        (frame_record("z", "file"), "model expects z up; file taken as it is", None),
        (frame_record("z", "file", Orientation("z")), "model expects z up; file given as z up", "z"),
        (
            frame_record("z", "file", Orientation("y", 90), found=True),
            "model expects z up; file found to be y up, turned, then by 90° about it (--up y --turn 90)",
            "y",
        ),
        (frame_record("z", "modelnet16", known="z"), "model expects z up; modelnet16 is z up", "z"),
        (
            frame_record("z", "shapenetpart", known="y"),
            "model expects z up; shapenetpart is y up, not turned: --up says so and turns it",
            "y",
        ),
        (
            frame_record("unknown", "folder", known="unknown"),
            "model does not say which axis it expects up; folder taken as it is",
            None,
        ),
    ],
)
def test_a_result_says_which_frame_was_expected_and_which_given(
    record: dict[str, object], sentence: str, given: str | None
) -> None:
    assert record["frame"] == sentence
    assert record["given_up"] == given
