"""A Baseline: the small part of a run that later runs are held against. It moves only by ``accept``, with a reason."""

import getpass
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.common.errors import UsageError
from harness.results.files import decode_json, explain_write_errors
from harness.results.names import check_name
from harness.results.run import Run, to_json
from harness.results.summary import Summary
from harness.results.verdicts import Verdict

_COPIED = ("summary.json", "verdicts.json")
_KEPT = ("run.json", *_COPIED)


@dataclass(frozen=True)
class Accepted:
    """Why a run became the baseline, who accepted it and when, and the SHA-256 of each file as accepted."""

    run: str
    reason: str
    who: str
    when: str
    files: Mapping[str, str]


def accept(run: Run, reason: str, baselines: Path, force: bool = False, name: str | None = None) -> Path:
    """Make a run its scenario's baseline, in ``baselines/<scenario>/`` or under another name, whole or not at all.

    Raises:
        UsageError: the reason is empty, the run did not pass (``force`` takes it all the same), or nothing can be
            written.
    """
    if not reason.strip():
        raise UsageError("a baseline needs a reason", 'such as --reason "faster checkout, measured three times"')
    summary, verdicts = run.read_summary(), run.read_verdicts()
    verdict = summary.verdict
    if verdict != "pass" and not force:
        raise UsageError(f"{run.plan.run} is no baseline: its verdict is {verdict}", "--force accepts it all the same")
    target = baselines / check_name(run.plan.scenario if name is None else name, "the baseline")
    with explain_write_errors(target):
        baselines.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=baselines, prefix=".part-") as directory:
            new, old = Path(directory) / "new", Path(directory) / "old"
            _write(run, summary, verdicts, reason, new)
            if target.exists():
                target.rename(old)
            new.rename(target)
    return target


def find_altered_file(path: Path) -> str:
    """The name of a file of a baseline that is no longer what was accepted; empty without one, or if it is a run."""
    record = path / "baseline.json"
    if not record.exists():
        return ""
    try:
        files = decode_json(record.read_bytes(), Accepted).files
        return next((name for name in _KEPT if files.get(name) != _sha256(path / name)), "")
    except (OSError, ValueError):  # torn, or something else
        return record.name


def _write(run: Run, summary: Summary, verdicts: Sequence[Verdict], reason: str, into: Path) -> None:
    into.mkdir()
    for name, value in zip(_COPIED, (to_json(summary), [asdict(verdict) for verdict in verdicts]), strict=True):
        (into / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")
    # Without the directories of the machine that it ran on.
    flags = {key: value for key, value in run.plan.flags.items() if key not in ("out", "scenario")}
    plan = replace(run.plan, path=Path(run.plan.path).name, flags=flags)
    (into / "run.json").write_text(json.dumps(asdict(plan), indent=1) + "\n")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    accepted = Accepted(run.plan.run, reason, getpass.getuser(), now, {name: _sha256(into / name) for name in _KEPT})
    (into / "baseline.json").write_text(json.dumps(asdict(accepted), indent=1) + "\n")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
