"""The base of every set of options: frozen, validated, with a unit and one sentence per field.

Forms, tooltips, command-line help and run records are derived from these fields; nothing is declared twice.
"""

import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError, create_model
from pydantic_core import CoreSchema, core_schema

from core.runtime.text import printable, shortened

_MOST_PROBLEMS = 3
"""Most wrong values that one message lists."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class Options(BaseModel):
    """Frozen, validated, JSON-able options."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def unused(self) -> frozenset[str]:
        """Names of fields that change nothing while the other fields are as they are; forms hide them."""
        return frozenset()

    def changed(self, **values: Any) -> "Options":
        """A validated copy with some fields replaced."""
        return type(self).model_validate({**self.model_dump(), **values})


@dataclass(frozen=True)
class OneOf:
    """Annotation of a ``str`` field: the value is a key of a registry, which may grow while the program runs."""

    registry: Mapping[str, Any]
    offered: Mapping[str, Any] | None = None
    """The part of it that forms offer; None is all."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._require_key, handler(source))

    def _require_key(self, name: str | None) -> str | None:
        if name is not None and name not in self.registry:
            raise ValueError(f"there is no such name; there are {', '.join(self.registry)}")
        return name


def option(
    default: Any, help: str, *, unit: str = "", low: Any = None, high: Any = None, advanced: bool = False
) -> Any:
    """A field with its help sentence, unit and inclusive limits; ``advanced`` hides it behind "more" in forms."""
    return Field(default, description=help, ge=low, le=high, json_schema_extra={"unit": unit, "advanced": advanced})


def explain(error: ValidationError) -> str:
    """Pydantic's report as one sentence that a person can act on; it lists the first wrong values."""
    parts, errors = [], error.errors()
    for item in errors[:_MOST_PROBLEMS]:
        name = shortened(".".join(str(part) for part in item["loc"]) or "value", 60)
        parts.append(f"{name}: {item['msg'][:1].lower()}{item['msg'][1:]} (got {_SHORT.repr(item['input'])})")
    if len(errors) > _MOST_PROBLEMS:
        parts.append(f"and {len(errors) - _MOST_PROBLEMS:,} more")
    return printable("; ".join(parts))


def partial(name: str, *kinds: type[Options], without: Collection[str] = ()) -> type[Options]:
    """An options type with all fields of ``kinds`` except ``without``, each optional: the changes to a preset.

    If several kinds have a field of one name, its help is that of the first kind. Its limits are kept if all kinds
    have the same; otherwise the values are checked when an option of one kind is made of them.
    """
    fields: dict[str, Any] = {}
    for field_name in dict.fromkeys(each for kind in kinds for each in kind.model_fields if each not in without):
        first, *others = [kind.model_fields[field_name] for kind in kinds if field_name in kind.model_fields]
        alike = all((each.annotation, each.metadata) == (first.annotation, first.metadata) for each in others)
        limits = first.metadata if alike else ()
        fields[field_name] = (
            Annotated[first.annotation | None, *limits, Field(description=first.description)],  # type: ignore[operator]
            None,
        )
    return create_model(name, __base__=Options, **fields)
