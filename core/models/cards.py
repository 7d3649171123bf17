"""The model card: what a person must know of a model to use it."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, FiniteFloat

from core.images import ImageFormat
from core.models.framed import Frame
from core.models.typical import Limits
from core.runtime.text import sentence

Text = Annotated[str, Field(max_length=2000)]
MOST_CLASSES = 10_000
MOST_CARD_BYTES = 1 << 20

Kind = Literal["weights", "torchscript", "export", "python"]
"""Kind of a foreign model's file: state dict, TorchScript archive, archive of torch.export, or Python code."""
CloudLayout = Literal["B3N", "BN3", "dict"]
"""How a foreign model takes clouds: (B, 3, N), (B, N, 3), or as the entries ``pos`` (B, N, 3) and ``x`` (B, 3, N)."""
Layout = CloudLayout | Literal["BCHW"]
"""The same, or images (B, C, H, W)."""
Answer = Literal["logits", "log-probabilities", "probabilities"]
"""What a foreign model outputs for each class."""


class ModelError(ValueError):
    """A model cannot be loaded or saved: one short, printable sentence that says what is wrong with which file."""

    def __init__(self, text: str) -> None:
        super().__init__(sentence(text))


class NoGradientError(ModelError):
    """The logits of a model do not depend differentiably on the points."""


class Source(BaseModel):
    """Where a model of another project came from, and how it is called."""

    model_config = ConfigDict(frozen=True)

    file: Text = Field(description="Its file; a name alone where the weights have been copied from it.")
    factory: Text = Field("", description="Function or class of a Python file that makes the model.")
    sha256: Text = Field(description="SHA-256 of the file.")
    kind: Kind
    family: Text = Field("", description="What its weights were recognised as.")
    layout: Layout = "B3N"
    answer: Answer = "logits"
    deterministic: bool = Field(True, description="Whether it gives the same for the same clouds.")
    frame: Frame = Frame()


class ModelCard(BaseModel):
    """What a model is: how it is built, what its outputs mean and which clouds it expects; where it is known, how it
    was trained and how well it did."""

    model_config = ConfigDict(frozen=True)

    name: Text = Field(description="Short name, as typed in commands.")
    title: Text = Field(description="Name for people.")
    architecture: Text = Field(description="Name of the architecture.")
    options: dict[str, Any] = Field({}, max_length=100, description="Options of the architecture.")
    classes: Annotated[tuple[Text, ...], FailFast()] = Field(
        min_length=2, max_length=MOST_CLASSES, description="Names of the outputs, in order."
    )
    points: int = Field(ge=0, le=100_000, description="Points per cloud in training; 0 of images.")
    image: ImageFormat | None = Field(None, description="Which images it takes, if it takes no clouds.")
    up_axis: Text = Field(description="Axis that points up in the clouds it is asked about.")
    regime: Text | None = Field(None, description="Training regime.")
    dataset: Text | None = Field(None, description="Name of the training set.")
    fingerprint: Text | None = Field(None, description="Fingerprint of the training set.")
    seed: int | None = Field(None, ge=0, lt=2**63, description="Seed of the training.")
    initial: Text | None = Field(None, description="SHA-256 of the file of weights that the training began from.")
    epochs: int | None = Field(None, ge=0, le=1_000_000, description="Epochs these weights were trained for.")
    command: str = Field("", max_length=10_000, description="Command that trained it.")
    metrics: dict[Text, FiniteFloat] = Field({}, max_length=1000, description="Measurements of these weights.")
    versions: dict[Text, Text] = Field({}, max_length=1000, description="Versions of the packages that trained it.")
    created: Text = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    dtype: Literal["float32", "float16"] = Field("float32", description="Type the weights are stored in.")
    typical: Limits | None = Field(None, description="What is typical of the training data, if that was measured.")
    source: Source | None = Field(None, description="Where it came from, if it is of another project.")

    def require_samples(self, dataset: str, image: ImageFormat | None) -> None:
        """Check that it takes what a dataset has: such images, or clouds if that is None.

        Raises
        ------
        ModelError
            If it does not.
        """
        if image != self.image:
            raise ModelError(
                f"{self.name} takes {self.image or 'clouds'}, and {dataset} has {image or 'clouds'}: choose another "
                "model or dataset."
            )

    @property
    def unnamed(self) -> bool:
        """Whether the classes of its outputs are unknown."""
        return self.source is not None and self.classes == numbered(len(self.classes))


def numbered(count: int) -> tuple[str, ...]:
    """Names for outputs whose classes are unknown: "class 0" and so on."""
    return tuple(f"class {place}" for place in range(count))
