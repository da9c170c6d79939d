import time
from collections.abc import Iterator
from itertools import count, takewhile

import numpy as np
import pytest

from harness.load.arrivals.workload import (
    EMPTY_SESSION_INTERVAL_NS,
    MAX_QUEUE_S,
    ClosedWorkload,
    OpenWorkload,
    PartlyOpenWorkload,
)
from harness.load.http.client import Client, Sleep
from harness.load.recording.recorder import load_phase
from harness.load.sessions.behaviour import SessionSteps
from harness.load.sessions.sweep import FinalSweep
from harness.observations.requests import DROPPED, NO_SESSION, SWEEP, Outcome
from harness.oracle.judge import judge
from tests.support.load import CLOSE, HANG, Action, Once, Rig, Scripted, Shelf, Visitor, header, reply, scripted

MS = 1_000_000


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def rig(server: Scripted) -> Iterator[Rig]:
    rig = Rig(server.url)
    yield rig
    rig.close()


def endless(cart: Client) -> SessionSteps:
    while True:
        yield cart.get("/cart")


def two(cart: Client) -> SessionSteps:
    yield cart.get("/a")
    yield cart.get("/b")


def every(gap: int, first: int = 0) -> Iterator[int]:
    return (first + n * gap for n in count())


def test_a_closed_user_begins_a_new_session_with_no_cookies_when_one_ends(rig: Rig, server: Scripted) -> None:
    workload = ClosedWorkload(rig.registry)
    workload.join(Visitor(two), 0)
    workload.start(time.monotonic_ns())
    rig.until(lambda: len(rig.sessions) >= 4)
    users = [header(request, "X-User") for request in server.requests[:6]]
    assert users == ["u1", "u1", "u2", "u2", "u3", "u3"]


def test_a_user_that_leaves_sends_nothing_further(rig: Rig, server: Scripted) -> None:
    workload, stays, leaves = ClosedWorkload(rig.registry), Visitor(endless), Visitor(endless)
    for user in (stays, leaves):
        workload.join(user, 0)
    workload.start(time.monotonic_ns())
    rig.until(lambda: len(server.requests) > 20)
    workload.leave(leaves)
    session = next(session for session in rig.sessions if session.user is leaves)
    rig.until(lambda: not session.connection.busy)
    sent, before = session.requests, rig.context.sent
    rig.until(lambda: rig.context.sent > before + 20)
    assert session.requests == sent


def test_a_user_that_joins_late_takes_part(rig: Rig) -> None:
    workload = ClosedWorkload(rig.registry)
    workload.start(time.monotonic_ns())
    workload.join(Visitor(endless), time.monotonic_ns())
    rig.until(lambda: rig.context.sent > 3)


@pytest.mark.slow  # it takes seconds
def test_a_stage_that_stops_sends_nothing_further(rig: Rig, server: Scripted) -> None:
    workload = ClosedWorkload(rig.registry)
    workload.join(Visitor(endless), 0)
    workload.start(time.monotonic_ns())
    rig.until(lambda: rig.context.sent > 5)
    rig.context.stopping = True
    rig.until(lambda: rig.event_loop.in_flight == 0)
    sent = rig.context.sent
    for _ in range(2):
        rig.event_loop.run_once()
    assert rig.context.sent == sent == len(server.requests) == len(rig.rows())


@pytest.mark.slow  # it takes seconds
def test_a_session_without_requests_does_not_spin(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    def empty(cart: Client) -> SessionSteps:
        yield from ()

    workload = ClosedWorkload(rig.registry)
    workload.join(Visitor(empty), 0)
    began = time.monotonic_ns()
    workload.start(began)
    for _ in range(3):
        rig.event_loop.run_once()
    most = 2 + (time.monotonic_ns() - began) // EMPTY_SESSION_INTERVAL_NS
    assert 1 <= len(rig.sessions) <= most and "without any request" in caplog.text


def test_open_requests_are_intended_at_their_arrivals_and_sent_by_the_longest_idle_session(rig: Rig) -> None:
    workload = OpenWorkload(rig.registry, every(25 * MS), 40)
    for _ in range(3):
        workload.join(Visitor(endless), 0)
    workload.start(time.monotonic_ns())
    rig.until(lambda: rig.context.sent >= 12)
    rig.until(lambda: rig.event_loop.in_flight == 0)
    rows = np.sort(rig.rows(), order="t_intended")  # they are recorded as they end
    assert list(rows["t_intended"][:12]) == [n * 25 * MS for n in range(12)]
    assert list(rows["session"][:3]) == [1, 2, 3]
    idle_since = dict(zip((1, 2, 3), rows["t_end"][:3], strict=True))
    for row in rows[3:12]:
        assert row["session"] == min(idle_since, key=idle_since.__getitem__)
        idle_since[row["session"]] = row["t_end"]
    assert (rows["t_sent"] >= rows["t_intended"]).all() and workload.dropped == 0


def test_open_arrivals_without_an_idle_session_wait_and_count_from_their_arrival() -> None:
    def slow(_: bytes) -> Action:
        time.sleep(0.03)
        return reply()

    with scripted(otherwise=slow) as server:
        rig = Rig(server.url)
        workload = OpenWorkload(rig.registry, every(5 * MS), 200)
        workload.join(Visitor(endless), 0)
        workload.start(time.monotonic_ns())
        rig.until(lambda: rig.context.sent >= 6)
        rig.until(lambda: len(rig.rows()) >= 5)
        rows = rig.rows()
        rig.close()
    assert list(rows["t_intended"][:5]) == [n * 5 * MS for n in range(5)]
    assert rows["t_sent"][4] - rows["t_intended"][4] > 60 * MS


def test_a_full_queue_drops_arrivals_and_counts_them() -> None:
    with scripted(HANG) as server:
        rig = Rig(server.url)
        workload = OpenWorkload(rig.registry, takewhile(lambda t: True, every(MS)), 2)
        workload.join(Visitor(endless), 0)
        workload.start(time.monotonic_ns())
        rig.until(lambda: workload.dropped >= 5)
        assert rig.context.sent == 1
        dropped = workload.dropped
        rig.context.stopping = True
        assert workload.dropped == dropped + 2 * MAX_QUEUE_S, "what was still queued was never sent"
        stopped = time.monotonic_ns()
        workload.stop(stopped)
        rows = rig.rows()
        rig.close()
    given_up = rows[rows["phase"] == DROPPED]
    assert len(given_up) == workload.dropped >= dropped + 2 * MAX_QUEUE_S and len(load_phase(rows)) == 0
    assert set(given_up["session"]) == {NO_SESSION} and set(given_up["outcome"]) == {Outcome.FAILED}
    waited = given_up["t_end"] - given_up["t_intended"]
    assert (waited[:dropped] < 1_000 * MS).all() and (given_up["t_end"][dropped:] == stopped - rig.context.t0).all()
    assert (np.diff(np.sort(given_up["t_intended"])) == MS).all(), "each arrival after the first is dropped once"


def test_an_arrival_that_was_due_and_not_noticed_before_the_load_stopped_is_dropped(rig: Rig) -> None:
    workload = OpenWorkload(rig.registry, every(10 * MS), 100)
    workload.join(Visitor(endless), 0)
    workload.start(rig.context.t0)
    rig.context.stopping = True  # the loop stood still until the load was to stop
    workload.stop(rig.context.t0 + 45 * MS)
    rows = rig.rows()
    assert list(rows["t_intended"]) == [0, 10 * MS, 20 * MS, 30 * MS, 40 * MS]
    assert set(rows["phase"]) == {DROPPED} and workload.dropped == 5 and rig.context.sent == 0


def test_partly_open_sessions_arrive_and_leave(rig: Rig) -> None:
    def three(cart: Client) -> SessionSteps:
        yield cart.get("/a")
        yield Sleep(0.001)
        yield cart.get("/b")
        yield cart.get("/c")

    workload = PartlyOpenWorkload(rig.registry, every(10 * MS, MS), lambda: Visitor(three, wait=0.002))
    workload.start(time.monotonic_ns())
    rig.until(lambda: len(rig.sessions) >= 5)
    rig.context.stopping = False
    first_four = rig.sessions[:4]
    rig.until(lambda: all(session.requests == 3 and not session.connection.busy for session in first_four))
    rows = rig.rows()
    firsts = [int(rows[rows["session"] == number]["t_intended"][0]) for number in (1, 2, 3, 4)]
    assert firsts == [MS + n * 10 * MS for n in range(4)]
    assert [int((rows["session"] == number).sum()) for number in (1, 2, 3, 4)] == [3] * 4


def swept(rig: Rig) -> None:
    done: list[bool] = []
    rig.context.stopping = True
    FinalSweep(rig.registry, 5000, lambda: done.append(True)).start(time.monotonic_ns())
    rig.until(lambda: bool(done))
    assert done == [True]


def write(cart: Client) -> SessionSteps:
    yield cart.post("/cart/add", writes="tea")


def shelves() -> tuple[dict[str, Shelf], object]:
    """One stored session a cookie, which is what makes a mix-up of cookies visible."""
    shelves: dict[str, Shelf] = {}

    def answer(request: bytes) -> bytes:
        user = header(request, "X-User") or ""
        cookie = header(request, "Cookie")
        if cookie is None:
            shelves[user] = Shelf(f"b-{user}", user)
            return shelves[user](request).replace(b"\r\n\r\n", f"\r\nSet-Cookie: s={user}\r\n\r\n".encode(), 1)
        return shelves[cookie.removeprefix("s=")](request)

    return shelves, answer


def test_the_sweep_reads_every_session_with_its_own_cookies() -> None:
    _, answer = shelves()
    with scripted(otherwise=answer) as server:  # type: ignore[arg-type]
        rig = Rig(server.url)
        rig.visit(*(Visitor(write) for _ in range(40)))
        swept(rig)
        rows = rig.rows()
        rig.close()
    final = rows[rows["phase"] == SWEEP]
    assert sorted(final["session"]) == list(range(1, 41))
    judgements = [judge(session.ledger.history()) for session in rig.sessions]
    assert {(verdict.outcome, verdict.acknowledged, verdict.unknown) for verdict in judgements} == {("kept", 1, False)}


def test_the_sweep_repeats_a_read_that_failed() -> None:
    shelf = Shelf()
    with scripted(otherwise=shelf) as server:
        rig = Rig(server.url)
        rig.visit(Visitor(write))
        server.script(reply(503, replica=""), CLOSE)
        swept(rig)
        rows = rig.rows()
        rig.close()
    final = rows[rows["phase"] == SWEEP]
    assert [(Outcome(row["outcome"]), row["attempts"]) for row in final] == [(Outcome.OK, 3)]
    assert judge(rig.sessions[0].ledger.history()).outcome == "kept"


def test_the_sweep_finds_a_lost_session() -> None:
    shelf = Shelf()
    with scripted(otherwise=shelf) as server:
        rig = Rig(server.url)
        rig.visit(Visitor(write))
        shelf.birth, shelf.ops = "b2", []
        swept(rig)
        rig.close()
    judgement = judge(rig.sessions[0].ledger.history())
    assert (judgement.outcome, judgement.lost_writes) == ("lost", 1)


@pytest.mark.slow  # it takes seconds
def test_a_session_whose_final_read_never_succeeds_stays_unknown() -> None:
    with scripted(otherwise=Shelf()) as server:
        rig = Rig(server.url)
        rig.visit(Visitor(write))
        server.script(*[CLOSE] * 10)
        swept(rig)
        rows = rig.rows()
        rig.close()
    assert [(Outcome(row["outcome"]), row["attempts"]) for row in rows[rows["phase"] == SWEEP]] == [
        (Outcome.IN_DOUBT, 5)
    ]
    assert judge(rig.sessions[0].ledger.history()).unknown


def nothing(cart: Client) -> SessionSteps:
    return
    yield cart.get("/cart")


def test_a_session_that_never_sent_anything_is_neither_read_nor_judged() -> None:
    with scripted(otherwise=Shelf()) as server:
        rig = Rig(server.url)
        rig.visit(Visitor(write))
        silent = rig.registry.begin(Visitor(nothing), Once())
        assert (silent.requests, rig.registry.count_started()) == (0, 1)
        swept(rig)
        rows = rig.rows()
        judged = [history.session for history in rig.registry.histories()]
        rig.close()
    assert rows[rows["phase"] == SWEEP]["session"].tolist() == judged == [1]


def test_a_sweep_without_sessions_ends_at_once(rig: Rig) -> None:
    swept(rig)
    assert len(rig.rows()) == 0
