import json
from pathlib import Path

import msgspec
import pytest

from harness.oracle.outcome import SessionOutcome, gravest
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
