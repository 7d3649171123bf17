"""The parameters for how clouds stand in their files: which axis points up, given or found by trying."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from core.clouds import Points
from core.clouds.frames import AS_IT_IS, Axis, Orientation, axis_named
from core.commands.console import UsageError, follow, note
from core.evaluation.orientation import TurnSearch, expected_up, search_turn
from core.models.checkpoints import LoadedModel

UpAxis = Literal[Axis, "auto"]
Turn = Annotated[float, Parameter(validator=validators.Number(gte=-360, lte=360))]


@Parameter(name="*")
@dataclass(frozen=True)
class GivenOrientation:
    """How clouds stand in the files of a training set.

    Parameters
    ----------
    up
        Axis of the files that points up; the clouds are turned to have z up, as the built-in data.
    turn
        Degrees about the up axis by which they are turned after that, counter-clockwise seen from above.
    """

    up: Annotated[Axis | None, Parameter(allow_leading_hyphen=True)] = None
    turn: Turn = 0.0

    @property
    def value(self) -> Orientation:
        return Orientation(self.up, self.turn)


NOT_GIVEN = GivenOrientation()


@Parameter(name="*")
@dataclass(frozen=True)
class OrientationChoice:
    """How clouds stand in the files that a model classifies.

    Parameters
    ----------
    up
        Axis of the files that points up; the clouds are turned into the frame that the model expects. "auto" tries the
        24 right-angled turns and takes the one after which the predictions are most like those for the training data.
    turn
        Degrees about the up axis by which they are turned after that, counter-clockwise seen from above.
    """

    up: Annotated[UpAxis | None, Parameter(allow_leading_hyphen=True)] = None
    turn: Turn = 0.0

    @property
    def automatic(self) -> bool:
        return self.up == "auto"

    @property
    def may_have_hint(self) -> bool:
        """Whether a person has not said, or asked for, all of it: there may be another axis up, or a further turn."""
        return not (self.automatic or self.turn)

    def given_orientation(self) -> Orientation | None:
        """The orientation; None with ``--up auto``, when it has to be found.

        Raises
        ------
        UsageError
            If a turn is given with ``--up auto``.
        """
        if self.up != "auto":
            return Orientation(self.up, self.turn)
        if self.turn:
            raise UsageError("--up auto finds the turn too: leave --turn out, or say which axis is up.")
        return None

    def resolve(self, model: LoadedModel, clouds: Callable[[], Sequence[Points]]) -> Orientation:
        """The orientation; with ``--up auto``, the one that the model knows best, of ``clouds`` as their files are.

        Raises
        ------
        UsageError
            If a turn is given with ``--up auto``.
        ValueError
            If the model's card does not say which axis it expects up.
        """
        given = self.given_orientation()
        if given is None or given.given:
            expected_up(model.card)
        if given is not None:
            return given
        tried = clouds()
        search: TurnSearch | None = follow(lambda cancel: search_turn(model, tried, cancel), "finding what is up")[0]
        if search is None:
            raise KeyboardInterrupt
        note(str(search))
        return search.best


AS_SUPPLIED = OrientationChoice()


def look_for_turn(model: LoadedModel, what: str, clouds: Sequence[Points], given: Orientation = AS_IT_IS) -> str | None:
    """Look whether the model knows clouds much better after a turn, and say so in a note.

    Parameters
    ----------
    what
        The clouds in words, as the beginning of the note: "The file".
    clouds
        As they are in their files.
    given
        Their orientation, if a person gave one; then it is about a further turn.

    Returns
    -------
    str or None
        The options that turn them; None if no turn is much better, or the model cannot tell.
    """
    if model.typical is None or axis_named(model.card.up_axis) is None:
        return None
    search: TurnSearch | None = follow(lambda cancel: search_turn(model, clouds, cancel), "looking how it stands")[0]
    if search is None:
        raise KeyboardInterrupt
    if (turn := search.hint(given)) is None:
        return None
    if given.given:
        note(f"{what} with {turn.up} up faces another way to {model.name}: try {turn.words()}.")
        return turn.words()
    note(f"{what} looks {turn.up} up to {model.name}, which expects {model.card.up_axis} up: try {turn.words()}.")
    return turn.words()
