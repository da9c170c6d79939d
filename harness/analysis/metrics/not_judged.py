"""Why sessions could not be judged: what their final reads got, and what else the judge did not know."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

from harness.observations.requests import SWEEP
from harness.oracle.verdict import SessionVerdict
from harness.results.arm_files import ArmObservations

_MAX_QUOTE = 60  # characters
#: Where a JSON body says what is wrong.
_MESSAGES = ("message", "error", "detail", "title", "description")
#: Statuses that mean "not there" by themselves; of others the body says it.
_MISSING = (404, 410)


class FinalRead(NamedTuple):
    """What the last final read of a session got."""

    status: int  # 0: no reply
    is_of_target: bool  # a replica answered, not the balancer
    body: str = ""  # its beginning


def explain_not_judged(observed: ArmObservations, unknown: Set[int], unkept: int = 0) -> tuple[str, ...]:
    """A sentence per reason, for the sessions that were not judged to their end; the most frequent first.

    ``unkept`` are further ones, of which no ledger was kept.
    """
    verdicts = {verdict.session: verdict for verdict in observed.judgements if verdict.session in unknown}
    doubtful = [session for session, verdict in verdicts.items() if _has_too_many_doubts(verdict)]
    idle = [session for session, verdict in verdicts.items() if not verdict.unknown]
    left = verdicts.keys() - {*doubtful, *idle}
    reads = _find_last_reads(observed, left)
    unread = left - reads.keys()
    reasons = list(_describe_reads(list(reads.values())))
    if doubtful:
        why = f"{len(doubtful):,} sessions have more writes in doubt than can be distinguished"
        reasons.append((len(doubtful), why))
    if idle:
        why = f"no write of {len(idle):,} sessions was acknowledged, so they had nothing to lose: see writes="
        reasons.append((len(idle), why))
    if unkept and observed.judgements:
        reasons.append((unkept, f"{unkept:,} sessions left no ledger"))
    if unread:
        why = f"{len(unread):,} sessions had no final read: `final` gave no request"
        reasons.append((len(unread), why))
    return tuple(reason for _, reason in sorted(reasons, key=lambda pair: -pair[0]))


def _has_too_many_doubts(verdict: SessionVerdict) -> bool:
    return any("are in doubt, more than" in reason for reason in verdict.why)


def _find_last_reads(observed: ArmObservations, sessions: Set[int]) -> dict[int, FinalRead]:
    """By session, from the records and from what the ledgers kept of a read that showed nothing."""
    requests = observed.requests
    swept = requests[(requests["phase"] == SWEEP) & requests["session"].isin(sessions)]
    last = swept.sort_values("t_end", kind="stable").drop_duplicates("session", keep="last")
    columns = (last["session"].tolist(), last["status"].tolist(), last["replica"].notna().tolist())
    reads = {session: FinalRead(status, named) for session, status, named in zip(*columns, strict=True)}
    for verdict in observed.judgements:
        if verdict.session in sessions and verdict.unread is not None:
            if not verdict.unread.status and verdict.session not in reads and len(requests):
                continue  # nothing was sent
            named = reads[verdict.session].is_of_target if verdict.session in reads else True
            reads[verdict.session] = FinalRead(verdict.unread.status, named, verdict.unread.body)
    return reads


def _describe_reads(reads: Sequence[FinalRead]) -> Iterator[tuple[int, str]]:
    """How many reads got the same, and what that was, with the most frequent body of each."""
    quotes: dict[tuple[int, bool], Counter[str]] = {}
    for status, is_of_target, body in reads:
        quotes.setdefault((status, is_of_target), Counter())[_quote(body)] += 1
    for (status, is_of_target), said in quotes.items():
        got = _describe_reply(status, is_of_target, said.most_common(1)[0][0])
        yield said.total(), f"{said.total():,} final read{'s' if said.total() > 1 else ''} {got}"


def _describe_reply(status: int, is_of_target: bool, quote: str) -> str:
    if status == 0:
        return "got no reply"
    said = f"got {status} ({quote!r})" if quote else f"got {status} from the {'target' if is_of_target else 'balancer'}"
    if status < 400:
        return f"{said}, which showed nothing of the session: see observe and final"
    if not is_of_target or status >= 500:
        return said
    sign = f"Body({json.dumps(quote)})" if quote and status not in _MISSING else f"Status({status})"
    return f"{said}; if that means gone, add `gone={sign}`"


def _quote(body: str) -> str:
    """What a body says in short: the message of JSON, or its beginning in one line."""
    try:
        shown = json.loads(body)
    except ValueError:
        shown = None
    if isinstance(shown, dict):
        inner = shown["error"] if isinstance(shown.get("error"), dict) else shown
        body = next((text for key in _MESSAGES if isinstance(text := inner.get(key), str)), body)
    return " ".join(body.split())[:_MAX_QUOTE]
