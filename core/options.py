"""The base of every set of options: frozen, validated, with a unit and one sentence per field.

Forms, tooltips, command-line help and run records are derived from these fields; nothing is declared twice.
"""

import reprlib
from collections.abc import Collection
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from core.runtime.text import printable, shortened

_EXPLAINED = 3
"""Wrong values in one sentence."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class Options(BaseModel):
    """Frozen, validated, JSON-able options."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def changed(self, **values: Any) -> "Options":
        """A validated copy with some fields replaced."""
        return type(self).model_validate({**self.model_dump(), **values})


def option(
    default: Any, help: str, *, unit: str = "", low: Any = None, high: Any = None, advanced: bool = False
) -> Any:
    """A field with its one sentence, unit and inclusive limits; ``advanced`` hides it behind "more" in forms."""
    return Field(default, description=help, ge=low, le=high, json_schema_extra={"unit": unit, "advanced": advanced})


def explain(error: ValidationError) -> str:
    """One sentence a person can act on, in place of pydantic's report: of the first values that are wrong."""
    parts, errors = [], error.errors()
    for item in errors[:_EXPLAINED]:
        name = shortened(".".join(str(part) for part in item["loc"]) or "value", 60)
        parts.append(f"{name}: {item['msg'][:1].lower()}{item['msg'][1:]} (got {_SHORT.repr(item['input'])})")
    if len(errors) > _EXPLAINED:
        parts.append(f"and {len(errors) - _EXPLAINED:,} more")
    return printable("; ".join(parts))


def partial(options: type[Options], without: Collection[str] = ()) -> type[Options]:
    """The same fields but some, within the same limits, all optional: what a person changed of a preset's options."""
    fields: dict[str, Any] = {
        name: (Annotated[field.annotation | None, *field.metadata, Field(description=field.description)], None)  # type: ignore[operator]
        for name, field in options.model_fields.items()
        if name not in without
    }
    return create_model(f"{options.__name__}Changes", __base__=Options, **fields)
