"""TODO: harness.scenario.parts."""

from pathlib import Path

from harness.common.bundled import target_modules
from harness.scenario.checks import _require


def _check_part(kind: str, name: str) -> None:
    known = parts(kind)
    _require(name in known, f"there is no {kind} {name!r}", f"there are {', '.join(known)}")


def parts(kind: str) -> tuple[str, ...]:
    """The names of the parts of a ``kind``: the apps or states of the built-in targets, or the stores."""
    if kind in ("app", "state"):
        return tuple(target_modules(kind))
    folder = Path(__file__).parents[1] / "cluster" / "stores"
    return tuple(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))
