"""The parts that come with the harness, by their names: apps, states and stores. Each is a file."""

from pathlib import Path

from harness.common.bundled import targets_home
from harness.scenario.checks import require


def check_part(kind: str, name: str) -> None:
    """Check that there is a part of this kind and name.

    Raises:
        UsageError: there is none.
    """
    known = parts(kind)
    require(name in known, f"there is no {kind} {name!r}", f"there are {', '.join(known)}")


def parts(kind: str) -> tuple[str, ...]:
    """The names of the parts of a ``kind``: a built-in target's app or state, or a store. Each is a file."""
    folder = Path(__file__).parents[1] / "cluster" / "stores"
    if kind != "store":
        folder = targets_home() / "targets" / {"app": "apps", "state": "state"}[kind]
    return tuple(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))
