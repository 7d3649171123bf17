"""`make pictures` shows every workspace of the rail, in every state."""

from app.workspaces.registry import WORKSPACES
from tests.pictures.states import EVERY, STATES, in_order


def test_that_every_workspace_has_its_three_states() -> None:
    assert list(STATES) == [info.key for info in WORKSPACES]
    for key, states in STATES.items():
        assert set(EVERY) <= states.keys(), key


def test_that_what_is_empty_comes_before_what_fills_it() -> None:
    names = list(in_order())
    assert len(names) == sum(map(len, STATES.values()))
    first_full = next(place for place, name in enumerate(names) if not name.endswith(("-empty", "-busy")))
    assert all(name.endswith("-empty") for name in names[: len(STATES)])
    assert not any(name.endswith(("-empty", "-busy")) for name in names[first_full:])
