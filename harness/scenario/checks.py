"""Checks of the values in a scenario."""

import functools
import math
import types
import typing
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import fields
from typing import Any

from harness.common.errors import UsageError

_HINT = "docs/scenarios.md says what each value may be"


def require(holds: bool, message: str, hint: str = _HINT) -> None:
    """Raise UsageError unless the condition ``holds``."""
    if not holds:
        raise UsageError(message, hint)


def check_types(value: Any, but: Collection[str] = ()) -> None:
    """Check that every field of a dataclass holds what its class declares, before anything else is made of it.

    The fields named in ``but`` are checked elsewhere, with a better message.

    Raises:
        UsageError: one holds something else.
    """
    hints = _read_hints(type(value))  # type: ignore[arg-type] # every class is hashable
    for field in (field for field in fields(value) if field.name not in but):
        held, hint = getattr(value, field.name), hints[field.name]
        if not _fits(held, hint):
            what = hint.__name__ if isinstance(hint, type) else str(hint).replace("harness.scenario.", "")
            raise UsageError(f"{type(value).__name__}: {field.name} must be {what}, not {held!r}"[:300], _HINT)


@functools.cache
def _read_hints(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of a type; a list does for a tuple, and an integer for a float, as people write them."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, choice) for choice in inner)
    if origin is typing.Literal:
        return value in inner
    if origin is not None and isinstance(origin, type):
        return _fits_collection(value, origin, inner)
    if hint in (int, float):
        number = int if hint is int else int | float
        return isinstance(value, number) and not isinstance(value, bool) and math.isfinite(value)
    return hint is Any or isinstance(value, types.NoneType if hint is None else hint)


def _fits_collection(value: object, origin: type, inner: Sequence[Any]) -> bool:
    if issubclass(origin, Mapping):
        pairs = value.items() if isinstance(value, Mapping) else [(None, None)]
        return all(_fits(key, inner[0]) and _fits(item, inner[1]) for key, item in pairs)
    if issubclass(origin, Sequence | Set):
        if isinstance(value, str | bytes) or not isinstance(value, Sequence | Set):
            return False
        if origin is tuple and inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(map(_fits, value, inner))
        return all(_fits(item, inner[0]) for item in value)
    return isinstance(value, origin)
