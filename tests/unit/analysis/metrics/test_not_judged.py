"""Why sessions could not be judged: which read counts, and how its reply is quoted."""

from dataclasses import replace

import pytest

from harness.analysis.metrics.fold import fold
from harness.observations.identity import UnreadFinal
from harness.observations.requests import SWEEP
from harness.oracle.verdict import SessionVerdict
from tests.support.clocks_and_topology import RequestRow, observed

NOTHING = "which showed nothing of the session: see observe and final"


def _read(session: int, t: float, status: int, replica: str | None = "r0") -> RequestRow:
    return RequestRow(session, t, "failed", replica, phase=SWEEP, status=status)


def _because(*rows: RequestRow, bodies: dict[int, tuple[int, str]] | None = None, of: int = 1) -> tuple[str, ...]:
    """The reasons of so many sessions with these final reads; ``bodies`` are what ledgers kept, by session."""
    kept = {session: UnreadFinal(*read) for session, read in (bodies or {}).items()}
    verdicts = [replace(SessionVerdict(n, unknown=True), unread=kept.get(n)) for n in range(1, of + 1)]
    return fold(observed([RequestRow(1, 1.0), *rows], judgements=verdicts)).sessions.not_judged_because


def _of_body(status: int, body: str, replica: str | None = "r0") -> str:
    (reason,) = _because(_read(1, 11.0, status, replica), bodies={1: (status, body)})
    return reason


def test_the_last_final_read_counts() -> None:
    reads = [_read(1, 13.0, 502), _read(1, 11.0, 404), _read(1, 12.0, 500)]
    assert _because(*reads) == ("1 final read got 502 from the target",)


def test_reads_of_the_load_are_no_final_reads() -> None:
    assert _because(RequestRow(1, 12.0, "failed", status=500)) == (
        "1 sessions had no final read: `final` gave no request",
    )


def test_a_session_that_was_judged_needs_no_reason() -> None:
    verdicts = [SessionVerdict(1), SessionVerdict(2, unknown=True)]
    arm = observed([_read(1, 11.0, 500), _read(2, 11.0, 503)], judgements=verdicts)
    assert fold(arm).sessions.not_judged_because == ("1 final read got 503 from the target",)


def test_sessions_that_never_wrote_had_nothing_to_keep_unless_others_did() -> None:
    rows, idle = [RequestRow(1, 1.0), RequestRow(2, 1.0)], SessionVerdict(1, is_idle=True)
    alone = fold(observed(rows, judgements=[idle, SessionVerdict(2, is_idle=True)])).sessions
    assert (alone.judged, alone.unknown) == (0, 2)
    assert alone.not_judged_because == (
        "no write of 2 sessions was acknowledged, so they had nothing to lose: see writes=",
    )
    beside = fold(observed(rows, judgements=[idle, SessionVerdict(2)])).sessions
    assert (beside.judged, beside.not_judged_because) == (2, ())


def test_sessions_whose_ledgers_are_missing_are_named() -> None:
    arm = observed([RequestRow(1, 1.0), RequestRow(2, 1.0), RequestRow(3, 1.0)], judgements=[SessionVerdict(2)])
    assert fold(arm).sessions.not_judged_because == ("2 sessions left no ledger",)
    assert fold(replace(arm, judgements=())).sessions.not_judged_because == (), "such as those of a plain locustfile"


def test_what_is_proven_of_a_session_that_never_wrote_counts() -> None:
    shown = SessionVerdict(1, is_idle=True, leaked=True)
    sessions = fold(observed([RequestRow(1, 1.0)], judgements=[shown, SessionVerdict(2, is_idle=True)])).sessions
    assert (sessions.leaked, sessions.known, sessions.not_judged_because[0][:20]) == (1, 1, "no write of 1 sessio")


def test_where_all_were_judged_there_is_nothing_to_explain() -> None:
    assert fold(observed([RequestRow(1, 1.0)], judgements=[SessionVerdict(1)])).sessions.not_judged_because == ()


@pytest.mark.parametrize(
    ("status", "replica", "said"),
    [
        (399, "r0", f"got 399 from the target, {NOTHING}"),
        (400, "r0", "got 400 from the target; if that means gone, add `gone=Status(400)`"),
        (499, "r0", "got 499 from the target; if that means gone, add `gone=Status(499)`"),
        (500, "r0", "got 500 from the target"),
        (503, "r0", "got 503 from the target"),
        (399, None, f"got 399 from the balancer, {NOTHING}"),
        (404, None, "got 404 from the balancer"),
        (503, None, "got 503 from the balancer"),
    ],
)
def test_a_reply_is_said_with_the_line_that_would_declare_it(status: int, replica: str | None, said: str) -> None:
    assert _because(_read(1, 11.0, status, replica)) == (f"1 final read {said}",)


@pytest.mark.parametrize(
    ("status", "sign"), [(404, "Status(404)"), (410, "Status(410)"), (409, 'Body("no")'), (411, 'Body("no")')]
)
def test_not_found_and_gone_say_so_by_their_status_and_others_by_their_body(status: int, sign: str) -> None:
    assert _of_body(status, "no") == f"1 final read got {status} ('no'); if that means gone, add `gone={sign}`"


def test_a_message_inside_a_body_is_the_line_that_would_declare_it() -> None:
    assert _of_body(400, '{"code":1,"message":"Session ID unknown"}') == (
        "1 final read got 400 ('Session ID unknown'); if that means gone, add `gone=Body(\"Session ID unknown\")`"
    )


@pytest.mark.parametrize(
    ("body", "quote"),
    [
        ("  two\n words ", "two words"),
        ("x" * 61, "x" * 60),
        ('{"message": "m", "error": "e"}', "m"),
        ('{"error": "e", "detail": "d"}', "e"),
        ('{"title": "t", "detail": "d"}', "d"),
        ('{"description": "s", "title": "t"}', "t"),
        ('{"description": "s"}', "s"),
        ('{"error": {"message": "inner"}, "message": "outer"}', "inner"),
        ('{"error": 3, "message": 4, "title": "t"}', "t"),
        ('{"other": "o"}', '{"other": "o"}'),
        ('["list"]', '["list"]'),
        ('{"cut', '{"cut'),
    ],
)
def test_a_body_is_quoted_by_its_message_or_its_beginning(body: str, quote: str) -> None:
    assert _of_body(503, body) == f"1 final read got 503 ({quote!r})"


def test_the_most_frequent_body_of_a_status_is_quoted() -> None:
    reads = [_read(n, 11.0, 500) for n in (1, 2, 3)]
    bodies = {1: (500, "rare"), 2: (500, "often"), 3: (500, "often")}
    assert _because(*reads, bodies=bodies, of=3) == ("3 final reads got 500 ('often')",)


def test_reasons_differ_by_status_and_by_who_answered() -> None:
    reads = [
        _read(1, 11.0, 500),
        *(_read(n, 11.0, 500, None) for n in (2, 3)),
        *(_read(n, 11.0, 501) for n in (4, 5, 6)),
    ]
    assert _because(*reads, of=10) == (
        "4 sessions had no final read: `final` gave no request",
        "3 final reads got 501 from the target",
        "2 final reads got 500 from the balancer",
        "1 final read got 500 from the target",
    )


def test_large_numbers_of_reads_are_grouped_by_thousands() -> None:
    reads = [_read(n, 11.0, 500) for n in range(1, 1001)]
    assert _because(*reads, of=1000) == ("1,000 final reads got 500 from the target",)


def test_a_ledger_knows_the_read_that_was_not_recorded() -> None:
    assert _because(bodies={1: (500, "")}) == ("1 final read got 500 from the target",)
    assert _because(bodies={1: (0, "")}) == ("1 sessions had no final read: `final` gave no request",)
    assert _because(_read(1, 11.0, 0, None), bodies={1: (0, "")}) == ("1 final read got no reply",)


def test_without_any_record_a_ledger_that_got_nothing_got_no_reply() -> None:
    verdict = replace(SessionVerdict(1, unknown=True), unread=UnreadFinal(0, ""))
    arm = fold(observed([], judgements=[verdict]))
    assert arm.sessions.not_judged_because == ("1 final read got no reply",)


def test_a_balancers_reply_stays_one_when_the_ledger_kept_its_body() -> None:
    assert _of_body(404, "no route", replica=None) == "1 final read got 404 ('no route')"


def test_a_session_with_too_many_doubts_is_named_by_them_alone() -> None:
    why = ("14 writes are in doubt, more than the 12 that can be distinguished.",)
    verdicts = [
        SessionVerdict(1, unknown=True, why=why, unread=UnreadFinal(500, "")),
        SessionVerdict(2, unknown=True, why=("something else", *why)),
        SessionVerdict(3, unknown=True, why=("something else",)),
    ]
    arm = observed([_read(n, 11.0, 500) for n in (1, 2, 3)], judgements=verdicts)
    assert fold(arm).sessions.not_judged_because == (
        "2 sessions have more writes in doubt than can be distinguished",
        "1 final read got 500 from the target",
    )
