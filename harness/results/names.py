"""Names that become a part of a path. Files of a run hold such names too, so each is checked where it is read."""

from harness.common.errors import UsageError

_MAX_BYTES = 200  # a file system allows 255, and a suffix is added


def check_name(name: str, what: str) -> str:
    """A name that can only be one entry of a directory: never a path, a parent directory or a hidden entry.

    Raises:
        UsageError: it is something else.
    """
    if not name or name[0] in ".~" or "/" in name or not name.isprintable() or len(name.encode()) > _MAX_BYTES:
        raise UsageError(f"{what} is no name: {name[:60]!r}", "a name is no path, and does not begin with a dot")
    return name
