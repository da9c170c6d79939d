"""The names of the parts of a design: apps and states of the built-in targets, and stores."""

from collections.abc import Iterable

from harness.common.bundled import target_modules, target_options
from harness.scenario.checks import require

#: The stores that a design can name; ``cluster/stores`` has a class for each.
STORES = ("etcd", "hazelcast", "memcached", "nats", "postgres", "redis", "redis_sentinel")


def check_part(kind: str, name: str) -> None:
    """Check that there is a part of this kind and name.

    Raises:
        UsageError: there is none.
    """
    known = parts(kind)
    require(name in known, f"there is no {kind} {name!r}", f"there are {', '.join(known)}")


def check_options(app: str, state: str, options: Iterable[str]) -> None:
    """Check that an app or its state reads each of these options.

    Raises:
        UsageError: neither reads one of them.
    """
    for name in options:
        known = sorted(target_options("app", app) | target_options("state", state))
        require(
            name in known,
            f"{app} over {state} has no option {name!r}",
            f"there are {', '.join(known)}" if known else "there is none",
        )


def parts(kind: str) -> tuple[str, ...]:
    """The names of the parts of a ``kind``: ``store``, or a built-in target's ``app`` or ``state``."""
    return STORES if kind == "store" else tuple(target_modules(kind))
