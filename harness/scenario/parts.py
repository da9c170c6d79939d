"""TODO: harness.scenario.parts."""

from pathlib import Path

from harness.common.bundled import targets_home
from harness.scenario.checks import _require


def _check_part(kind: str, name: str) -> None:
    known = parts(kind)
    _require(name in known, f"there is no {kind} {name!r}", f"there are {', '.join(known)}")


def parts(kind: str) -> tuple[str, ...]:
    """The names of the parts of a ``kind``: a built-in target's app or state, or a store. Each is a file."""
    folder = Path(__file__).parents[1] / "cluster" / "stores"
    if kind != "store":
        folder = targets_home() / "targets" / {"app": "apps", "state": "state"}[kind]
    return tuple(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))
