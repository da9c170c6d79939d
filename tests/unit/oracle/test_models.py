"""One suite over every model: what holds of all, and what each cannot see."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from harness.observations.requests import Anomaly, Outcome
from harness.oracle import models
from harness.oracle.judge import judge
from harness.oracle.ledger import Ledger
from harness.oracle.models import ModelFactory, Removed
from harness.oracle.observed import Observed
from harness.oracle.operations import MASK, operation, token
from harness.oracle.verdict import SessionVerdict
from tests.support.world import SEED

OK, FAILED, IN_DOUBT = Outcome


def as_tally(values: list[Any]) -> object:
    return len(values), sum(token(operation(SEED, 1, value)) for value in values) & MASK


def as_set(values: list[Any]) -> object:
    items: set[Any] = set()
    for value in values:
        (items.discard(value.item) if isinstance(value, Removed) else items.add(value))
    return items


SHOWN: dict[str, tuple[ModelFactory, Callable[[list[Any]], object]]] = {
    "tally": (models.tally, as_tally),
    "counter": (models.counter, len),
    "register": (models.register, lambda values: values[-1] if values else ""),
    "set": (models.items, as_set),
    "log": (models.log, list),
}
COUNTS_WRITES = ("tally", "set", "log")


class Service:
    """A service of one session whose state is a history of values; value i is written by write i."""

    def __init__(self, name: str) -> None:
        factory, self.show = SHOWN[name]
        self.ledger = Ledger(SEED, 1, 1, "me", factory)
        self.values: list[Any] = []
        self.n = self.t = 0
        self.owner: str | None = None

    def write(self, outcome: Outcome = OK, applied: int = 1, value: Any = None, shown: bool = True) -> Anomaly:
        self.n += 1
        value = self.n if value is None else value
        op = self.ledger.write(value)
        self.values += [value] * applied
        return self.settle(op, outcome, self.seen() if outcome is OK and shown else None)

    def read(self) -> Anomaly:
        return self.settle(0, OK, self.seen())

    def seen(self) -> Observed:
        return Observed("b", self.owner, self.show(self.values))

    def settle(self, op: int, outcome: Outcome, seen: Observed | None) -> Anomaly:
        self.t += 1
        return self.ledger.settle(op, outcome, seen, "r0", self.t)

    def judged(self) -> SessionVerdict:
        self.ledger.record_final_read(OK, self.seen(), "r0", 1000)
        return judge(self.ledger.history())


@pytest.fixture(params=SHOWN)
def service(request: pytest.FixtureRequest) -> Service:
    made = Service(request.param)
    for _ in range(4):
        assert made.write() is Anomaly.NONE
    return made


def name(service: Service) -> str:
    return service.ledger.history().model


def test_a_sound_service_raises_no_alarm(service: Service) -> None:
    for seed in range(40):
        rng, subject = random.Random(seed), Service(name(service))
        late: list[Any] = []
        for _ in range(60):
            dice = rng.random()
            if dice < 0.05 and len(subject.ledger.history().in_doubt) < 10:
                if subject.write(IN_DOUBT, applied=0) is Anomaly.NONE and rng.random() < 0.5:
                    late.append(subject.n)
            elif dice < 0.1 and len(subject.ledger.history().in_doubt) < 10:
                subject.write(IN_DOUBT, applied=1)
            elif dice < 0.15:
                subject.write(FAILED, applied=0)
            elif dice < 0.2 and late and name(service) != "register":  # there, a late write hides later ones
                subject.values.append(late.pop())
            elif dice < 0.6:
                assert subject.write(shown=rng.random() < 0.8) in (Anomaly.NONE, late and name(service) == "log"), seed
            else:
                assert subject.read() is Anomaly.NONE, seed
        verdict = subject.judged()
        assert verdict.outcome == "kept", (seed, verdict)


def test_a_state_that_is_gone_is_lost(service: Service) -> None:
    service.values.clear()
    assert service.read() is Anomaly.LOST
    verdict = service.judged()
    assert (verdict.outcome, verdict.lost_writes) == ("lost", 4)


def test_a_suffix_that_is_gone_is_rolled_back(service: Service) -> None:
    del service.values[-2:]
    assert service.read() is Anomaly.ROLLED_BACK
    verdict = service.judged()
    assert (verdict.outcome, verdict.lost_writes) == ("rolled_back", 2)


def test_what_comes_back_was_stale(service: Service) -> None:
    whole = list(service.values)
    del service.values[-2:]
    assert service.read() is Anomaly.ROLLED_BACK
    service.values = whole
    assert service.read() is Anomaly.NONE
    assert service.judged().outcome == "stale"


def test_another_owners_state_is_a_leak(service: Service) -> None:
    service.owner = "another owner"
    assert service.read() is Anomaly.LEAKED
    service.owner = "me"
    assert service.judged().outcome == "leaked"


def test_a_write_in_doubt_may_appear_at_once(service: Service) -> None:
    service.write(IN_DOUBT, applied=1)
    assert service.read() is Anomaly.NONE
    verdict = service.judged()
    assert (verdict.outcome, verdict.recovered, verdict.in_doubt) == ("kept", 1, 1)


def test_a_write_in_doubt_that_appears_and_goes_again_is_below_what_was_seen(service: Service) -> None:
    service.write(IN_DOUBT, applied=1)
    service.read()
    service.values.pop()
    assert service.read() is Anomaly.ROLLED_BACK
    assert service.judged().outcome == "rolled_back"


def test_a_write_applied_twice_is_a_duplicate_where_the_state_shows_it(service: Service) -> None:
    anomaly = service.write(applied=2)
    verdict = service.judged()
    if name(service) in ("set", "register"):
        assert (anomaly, verdict.outcome) == (Anomaly.NONE, "kept")
    else:
        assert (anomaly, verdict.outcome, verdict.duplicates) == (Anomaly.DUPLICATE, "duplicated", 1)


def test_a_write_lost_in_the_middle_is_found_where_the_state_shows_it(service: Service) -> None:
    del service.values[1]
    anomaly = service.read()
    verdict = service.judged()
    if name(service) == "register":
        assert (anomaly, verdict.outcome) == (Anomaly.NONE, "kept")
    else:
        assert (anomaly, verdict.outcome, verdict.lost_writes) == (Anomaly.ROLLED_BACK, "lost_writes", 1)


def test_one_lost_beside_one_recovered_is_found_where_the_state_distinguishes_writes(service: Service) -> None:
    service.write(IN_DOUBT, applied=1)
    del service.values[1]
    service.read()
    verdict = service.judged()
    if name(service) in COUNTS_WRITES:
        assert (verdict.outcome, verdict.lost_writes, verdict.recovered) == ("lost_writes", 1, 1)
    else:
        assert verdict.lost_writes == 0


@pytest.mark.parametrize("model", ["register", "set", "log"])
def test_a_value_that_was_never_written_is_unexplained(model: str) -> None:
    service = Service(model)
    for _ in range(3):
        service.write()
    service.values.append("foreign")
    assert service.read() in (Anomaly.UNEXPLAINED, Anomaly.DUPLICATE)
    verdict = service.judged()
    assert (verdict.outcome, verdict.duplicates) == ("unexplained", 0)


def test_a_counter_says_that_it_does_not_show_which_writes() -> None:
    service = Service("counter")
    for _ in range(3):
        service.write()
    service.values.pop()
    assert "A counter does not show which writes." in service.judged().why


def test_a_register_overwritten_after_a_rollback_claims_no_more_than_staleness() -> None:
    service = Service("register")
    for _ in range(3):
        service.write()
    service.values.pop()
    assert service.read() is Anomaly.ROLLED_BACK
    assert service.write() is Anomaly.NONE
    assert service.judged().outcome == "stale"


def test_a_removed_item_must_stay_away() -> None:
    service = Service("set")
    service.write(value="tea")
    service.write(value=Removed("tea"))
    service.write(value="milk")
    assert service.read() is Anomaly.NONE
    service.values.append("tea")
    assert service.read() in (Anomaly.UNEXPLAINED, Anomaly.DUPLICATE)
    assert service.judged().outcome == "unexplained"  # the removal undone, or the addition repeated


def test_an_item_added_again_or_in_doubt_is_no_anomaly() -> None:
    service = Service("set")
    service.write(value="tea")
    service.write(value="tea")
    service.write(IN_DOUBT, applied=0, value=Removed("tea"))
    service.write(value="tea")
    assert service.read() is Anomaly.NONE
    service.values.append(Removed("tea"))
    assert service.read() is Anomaly.NONE
    assert service.judged().outcome == "kept"


@pytest.mark.parametrize("model", ["set", "log"])
def test_a_value_whose_write_failed_must_not_appear(model: str) -> None:
    service = Service(model)
    service.write(value="tea")
    service.write(FAILED, applied=0, value="milk")
    service.values.append("milk")
    assert service.read() is Anomaly.DUPLICATE
    assert service.judged().outcome == "unexplained"


@pytest.mark.parametrize("model", ["set", "log"])
@pytest.mark.parametrize("first", [IN_DOUBT, FAILED])
def test_a_value_written_again_after_it_failed_is_that_of_the_second_write(model: str, first: Outcome) -> None:
    service = Service(model)
    service.write(first, applied=0, value="tea")
    assert service.write(value="tea") is Anomaly.NONE
    assert service.judged().outcome == "kept"


@pytest.mark.parametrize("model", ["set", "log"])
def test_a_value_in_doubt_may_appear_though_a_second_write_of_it_failed(model: str) -> None:
    service = Service(model)
    service.write(IN_DOUBT, applied=0, value="tea")
    service.write(FAILED, applied=0, value="tea")
    service.values.append("tea")
    assert service.read() is Anomaly.NONE
    verdict = service.judged()
    assert (verdict.outcome, verdict.recovered) == ("kept", 1)


@pytest.mark.parametrize("before", [OK, FAILED])
def test_an_entry_in_doubt_may_appear_beside_an_equal_one_that_is_settled(before: Outcome) -> None:
    service = Service("log")
    service.write(before, applied=int(before is OK), value="hi")
    service.write(IN_DOUBT, applied=1, value="hi")
    assert service.read() is Anomaly.NONE
    verdict = service.judged()
    assert (verdict.outcome, verdict.recovered) == ("kept", 1)


def test_a_log_in_another_order_is_unexplained() -> None:
    service = Service("log")
    for _ in range(3):
        service.write()
    service.values.reverse()
    assert service.read() is Anomaly.UNEXPLAINED
    assert service.judged().outcome == "unexplained"


def test_equal_entries_of_a_log_are_counted() -> None:
    service = Service("log")
    for _ in range(3):
        service.write(value="hi")
    service.values.append("hi")
    assert service.read() is Anomaly.DUPLICATE
    assert service.judged().duplicates == 1


@pytest.mark.parametrize(
    ("model", "state"), [("counter", "three"), ("counter", True), ("set", "tea"), ("log", 3), ("tally", 3)]
)
def test_a_state_of_another_kind_is_refused(model: str, state: object) -> None:
    service = Service(model)
    with pytest.raises(TypeError, match="not"):
        service.settle(0, OK, Observed("b", None, state))
