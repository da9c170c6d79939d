import json
from pathlib import Path

import msgspec
import pytest

from harness.oracle.outcome import SessionOutcome, gravest
from harness.oracle.verdict import Loss, SessionVerdict
from harness.results.summary import Calibration


def test_the_gravest_outcome_is_a_leak_and_nothing_counts_as_kept() -> None:
    assert gravest([SessionOutcome.STALE, SessionOutcome.LEAKED, SessionOutcome.LOST]) is SessionOutcome.LEAKED
    assert gravest([]) is SessionOutcome.KEPT


def test_gravity_follows_the_order_of_the_members() -> None:
    assert [outcome.gravity for outcome in SessionOutcome] == list(range(len(SessionOutcome)))


def test_every_outcome_has_a_phrase_of_its_own() -> None:
    assert len({outcome.phrase for outcome in SessionOutcome}) == len(SessionOutcome)
    assert SessionOutcome.LOST_WRITES.phrase == "acknowledged writes lost"


@pytest.mark.parametrize(
    ("old", "outcome"),
    [("none", SessionOutcome.KEPT), ("lost_write", SessionOutcome.LOST_WRITES), ("stale", SessionOutcome.STALE)],
)
def test_the_words_of_older_runs_are_read(old: str, outcome: SessionOutcome) -> None:
    assert SessionOutcome(old) is outcome


def test_a_word_that_no_version_wrote_is_refused() -> None:
    with pytest.raises(ValueError, match="melted"):
        SessionOutcome("melted")


def test_the_calibration_of_the_committed_baseline_is_read_with_todays_words() -> None:
    text = Path("results/baselines/node_kill/summary.json").read_text()
    calibration = msgspec.convert(json.loads(text)["controls"]["calibration"], Calibration)
    assert calibration.diagonal
    assert calibration.matrix[SessionOutcome.KEPT].keys() == {SessionOutcome.KEPT}


def test_a_verdict_holds_nothing_against_a_session_unless_that_is_said() -> None:
    flags = ("lost", "rolled_back", "stale", "leaked", "duplicated", "forced_login", "unknown")
    counts = ("acknowledged", "lost_writes", "duplicates", "in_doubt", "recovered", "unexplained", "earlier_losses")
    verdict = SessionVerdict(1)
    assert [getattr(verdict, flag) for flag in flags] == [False] * len(flags)
    assert [getattr(verdict, count) for count in counts] == [0] * len(counts)
    assert (verdict.writer, verdict.outcome, verdict.losses, verdict.why) == (0, SessionOutcome.KEPT, (), ())
    assert Loss(1, "a", "b", "x", "y", 1).known_ns == -1, "no reply showed it"
