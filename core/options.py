"""The base of every set of options: frozen, validated, with a unit and one sentence per field.

Forms, tooltips, command-line help and run records are derived from these fields; nothing is declared twice.
"""

import reprlib
from collections.abc import Collection
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from core.runtime.text import printable

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


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
    """One sentence a person can act on, in place of pydantic's report: the first three errors, each value cut short."""
    parts = []
    for item in error.errors()[:3]:
        name = ".".join(str(part)[:40] for part in item["loc"]) or "value"
        parts.append(f"{name}: {item['msg'][:1].lower()}{item['msg'][1:]} (got {_SHORT.repr(item['input'])})")
    return printable("; ".join(parts))


def partial(options: type[Options], without: Collection[str] = ()) -> type[Options]:
    """The same fields but some, all optional: what a person changed of some preset's options."""
    fields: dict[str, Any] = {
        name: (field.annotation | None, Field(None, description=field.description))  # type: ignore[operator]
        for name, field in options.model_fields.items()
        if name not in without
    }
    return create_model(f"{options.__name__}Changes", __base__=Options, **fields)
