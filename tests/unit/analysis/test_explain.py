"""What ``harness explain`` shows of a run: groups of sessions, and the story of a session's id."""

import pandas as pd

from harness.analysis.explain import find_notable_sessions, group_sessions, trace_session
from harness.analysis.identity_story import describe_identity
from harness.observations.events import Event
from harness.observations.identity import MAX_CHANGES, Change, IdentityChange
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import Loss, SessionVerdict
from harness.results.arm_files import ArmObservations

S = 10**9
SET = IdentityChange(S, Change.SET, "cookie sid", "3fa2", "reply to /login")
EXPIRED = IdentityChange(4 * S, Change.EXPIRED, "cookie sid", "3fa2", "Max-Age=3")
MISSED = IdentityChange(5 * S, Change.MISSED, "cookie sid", "3fa2", "expired: Max-Age=3")
COLUMNS = {"boot": "r0.1", "replica": "r0", "outcome": "ok", "anomaly": "none", "phase": 0, "reconnected": False}


def request(session: int, t: float) -> dict[str, object]:
    ns = int(t * S)
    return {**COLUMNS, "session": session, "t_sent": ns, "t_end": ns, "name": "GET /", "status": 200, "op": 0}


def loss(t: float) -> Loss:
    return Loss(int(t * S), "b0", "b1", "r1.1", "r0.1", writes=3)


def lost(session: int, t: float, *identity: IdentityChange) -> SessionVerdict:
    return SessionVerdict(
        session, lost=True, outcome=SessionOutcome.LOST, losses=(loss(t),), identity=identity, acknowledged=3
    )


def observed(*verdicts: SessionVerdict, arm: str = "fault", events: tuple[Event, ...] = ()) -> ArmObservations:
    requests = pd.DataFrame([request(verdict.session, t) for verdict in verdicts for t in (0.5, 2.0, 3.0, 4.5)])
    return ArmObservations("shop", arm, requests, events, (), verdicts, 0.0, 10.0)


def test_sessions_to_which_the_same_happened_are_one_group_with_an_example() -> None:
    moved, expired = [lost(n, 3.0) for n in (17, 4, 9)], lost(5, 5.0, SET, EXPIRED, MISSED)
    kept = SessionVerdict(1)
    arm, control = observed(expired, kept, *moved), observed(lost(2, 1.0), arm="control")
    groups = group_sessions(find_notable_sessions([arm, control]))
    assert [(group.arm, group.sessions, group.example) for group in groups] == [
        ("fault", 3, 4),
        ("fault", 1, 5),
        ("control", 1, 2),
    ]
    assert groups[1].cause == "cookie sid expired: Max-Age=3"


def test_the_trace_has_every_change_of_the_id_in_its_place_and_the_story_in_a_sentence() -> None:
    trace = trace_session([observed(lost(5, 5.0, SET, EXPIRED, MISSED))], "shop/5")
    changes = [(line.t, line.what, line.note) for line in trace.lines if line.what.startswith("---")]
    assert changes == [
        (1.0, "--- cookie sid", "set to 3fa2: reply to /login"),
        (4.0, "--- cookie sid", "expired: Max-Age=3"),
        (5.0, "--- cookie sid", "missed: expired: Max-Age=3"),
    ]
    assert [line.t for line in trace.lines] == sorted(line.t for line in trace.lines)
    assert (
        "cookie sid: set to 3fa2 at 1.000 s (reply to /login), sent with 2 requests, "
        "expired at 4.000 s (Max-Age=3), missed at 5.000 s (expired: Max-Age=3)"
    ) in trace.why
    assert any("cause: cookie sid expired: Max-Age=3" in sentence for sentence in trace.why)


def test_a_cookie_that_is_not_for_every_path_was_kept_rather_than_sent() -> None:
    withheld = IdentityChange(2 * S, Change.WITHHELD, "cookie sid", "3fa2", "Path=/auth")
    (sentence,) = describe_identity([SET, withheld], [S, 3 * S])
    assert sentence.endswith("(reply to /login), kept during 1 request, not sent at 2.000 s (Path=/auth)")


def test_an_id_that_rotates_all_the_time_is_described_shortly() -> None:
    rotated = [IdentityChange(n * S, Change.REPLACED, "bearer token", f"v{n}") for n in range(2, MAX_CHANGES + 1)]
    first = IdentityChange(S, Change.SET, "bearer token", "v1")
    sentence, bound = describe_identity([first, *rotated], [])
    assert "17 more changes" in sentence and "v24 at" in sentence and "v12" not in sentence
    assert bound == "only the first and the latest changes of its ids were kept"


def test_a_new_id_replaces_the_old_one_which_is_sent_no_more() -> None:
    renewed = IdentityChange(2 * S, Change.REPLACED, "cookie sid", "77aa", "reply to /login")
    (sentence,) = describe_identity([SET, renewed], [S, 2 * S, 3 * S])
    assert "sent with 1 request, replaced by 77aa at 2.000 s (reply to /login), sent with 2 req" in sentence


def test_of_a_long_id_only_the_beginning_is_kept_and_marked_so() -> None:
    (sentence,) = describe_identity([SET._replace(value="3fa29c51d2e8")], [])
    assert "set to 3fa29c51d2e8... at" in sentence


def test_each_id_has_its_own_sentence() -> None:
    token = IdentityChange(2 * S, Change.SET, "bearer token", "ey")
    assert [sentence.partition(":")[0] for sentence in describe_identity([SET, token, EXPIRED], [])] == [
        "cookie sid",
        "bearer token",
    ]
