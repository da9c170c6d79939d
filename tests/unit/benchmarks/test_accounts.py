"""The accounts of a history: what else may have happened, as far as the client can see."""

import pytest

from benchmarks.histories.accounts import find_accounts
from benchmarks.histories.memory import MEMORIES, show
from benchmarks.histories.truth import Truth
from benchmarks.histories.world import Content, Event, History, Shown
from benchmarks.judge import play


def history(*seen: tuple[int, Content | None]) -> History:
    """Acknowledged writes (0: reads), each with the content that its reply showed; the last one is the final read."""
    events: list[Event] = []
    for write, content in seen:
        events += [Event("sent", write)] if write else []
        events.append(Event("ok", write, None if content is None else Shown("me", "b", content)))
    events[-1] = events[-1]._replace(what="final")
    values = {write: None for write, _ in seen if write}
    return History(events, (), values, frozenset(), frozenset(), shows_birth=False)


def kinds(memory: str, *seen: tuple[int, Content | None]) -> set[str]:
    return {Truth(account, MEMORIES[memory]).kind for account in find_accounts(history(*seen), MEMORIES[memory])}


def test_what_looks_the_same_has_an_account_of_each_kind() -> None:
    # The second write was dropped, or the state was lost before it: the number is the same.
    assert kinds("counter", (1, (1,)), (2, None), (0, (1,)), (0, (1,))) == {"lost", "lost_writes"}


def test_what_the_contents_show_has_accounts_of_one_kind() -> None:
    assert kinds("tally", (1, (1,)), (2, (1, 2)), (0, (1,)), (0, (1, 2))) == {"stale"}
    assert kinds("tally", (1, (1,)), (2, (1, 2, 2)), (0, (1, 2, 2))) == {"duplicated"}


def test_every_account_shows_what_the_client_saw() -> None:
    seen = history((1, (1,)), (2, (1, 2)), (3, None), (0, (1,)), (0, (1,)))
    for account in find_accounts(seen, MEMORIES["counter"]):
        shown = [event.shown for event in account.events]
        assert [None if one is None else len(one.content) for one in shown] == [
            None if event.shown is None else len(event.shown.content) for event in seen.events
        ]


def test_a_history_without_an_incident_has_itself_as_an_account() -> None:
    assert kinds("tally", (1, (1,)), (0, (1,))) == {"kept"}


@pytest.mark.parametrize("seed", range(600_000, 600_060))
def test_what_happened_in_a_service_with_one_bug_is_among_its_accounts(seed: int) -> None:
    played = play(seed)
    history, memory = played.world.history(), played.memory
    if len(played.bugs) > 1 or len(history.events) > 40:
        return
    accounts = find_accounts(history, memory)
    assert not accounts or Truth(history, memory).kind in {Truth(account, memory).kind for account in accounts}
    for account in accounts:
        for seen, event in zip(history.events, account.events, strict=True):
            assert (seen.what, seen.write, seen.shown is None) == (event.what, event.write, event.shown is None)
            if seen.shown is not None and event.shown is not None:
                shown = [show(memory, one.shown.content, history.values) for one in (seen, event) if one.shown]
                assert shown[0] == shown[1] and seen.shown.owner == event.shown.owner
