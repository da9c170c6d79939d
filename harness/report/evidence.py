"""The evidence that a fault took effect, in words."""

from collections.abc import Iterator, Mapping

from harness.report.charts.words import number
from harness.results.summary import PodEnd

Fact = str | int | float | bool | None

_WORDS = {
    "pid": "process {}",
    "old_pid": "process {} before",
    "signal": "{} was sent",
    "pid_gone": "the process is gone",
    "boot": "start {}",
    "old_boot": "start {} before",
    "ready_s": "ready after {} s",
    "server": "the server {}",
}
_SILENT = frozenset(("fault", "kind"))  # said already
_BOOT_CHARS = 8


def describe_evidence(evidence: Mapping[str, Fact]) -> str:
    """``process 4711; SIGKILL was sent; the process is gone``."""
    return "; ".join(_describe(evidence))


def describe_pod_end(pod: PodEnd) -> str:
    """``r1: SIGTERM at 8.27 s, left its Service at 8.3 s, 12 requests unanswered, the last sent at 9.24 s``."""
    sigterm = "" if pod.sigterm is None else f"SIGTERM at {number(pod.sigterm, 's')}, "
    count = f"{pod.unanswered:,} request{'' if pod.unanswered == 1 else 's'} unanswered"
    last = "" if pod.last_unanswered is None else f", the last sent at {number(pod.last_unanswered, 's')}"
    return f"{pod.replica}: {sigterm}left its Service at {number(pod.endpoint_left, 's')}, {count}{last}"


def _describe(evidence: Mapping[str, Fact]) -> Iterator[str]:
    for key, value in evidence.items():
        if key in _SILENT or value is None:
            continue
        words = key.replace("_", " ")
        if isinstance(value, bool):
            known = _WORDS.get(key, words)
            yield known if value else f"not confirmed: {known}"
        elif key in _WORDS:
            yield _WORDS[key].format(str(value)[:_BOOT_CHARS] if "boot" in key else _show(value))
        elif key.endswith("_s"):
            yield f"{words.removesuffix(' s')} {_show(value)} s"
        else:
            yield f"{words} {_show(value)}"


def _show(value: str | int | float) -> str:
    return number(value) if isinstance(value, float) else str(value)
