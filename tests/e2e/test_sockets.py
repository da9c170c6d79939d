"""Sessions on WebSockets across a kill, whole: real balancer, real replicas, real bus; and their story."""

from pathlib import Path

import pandas as pd
import pytest

from harness.results.run import Run
from tests.support.harness_command import ROOT, assert_run_passes, harness

pytestmark = pytest.mark.slow

#: What a record says of a connection's end: by the user, else the code of RFC 6455 or of its registry.
OWN, ABNORMAL, TRY_AGAIN_LATER = 0, 1006, 1013


def close_codes(arm: Path) -> list[int]:
    requests = pd.read_parquet(arm / "requests.parquet", columns=["method", "status"])
    return requests.loc[requests["method"] == "CLOSE", "status"].tolist()


def test_a_chat_with_a_history_keeps_every_message_across_a_kill_and_counts_reconnected_members(tmp_path: Path) -> None:
    result = harness("run", ROOT / "scenarios" / "chat.py", "--quick", "--design", "history", "--out", tmp_path)
    path = tmp_path / "chat" / "latest"
    assert_run_passes(result, path)
    design = Run.open(path).read_summary().designs["history"]
    for name, arm in design.arms.items():
        messages = arm.messages
        assert messages is not None and messages.due > 100
        assert (messages.lost, messages.repeated, messages.disordered) == (0, 0, 0), name
        assert (arm.sessions.lost, arm.writes.lost) == (0, 0)
        closed = close_codes(path / "observations" / f"history-{name}")
        assert messages.ended == sum(code != OWN for code in closed)
        # A service whose store took a second asks its users to come back. Only a kill breaks connections off.
        assert {code for code in closed if code not in (OWN, TRY_AGAIN_LATER)} == (
            {ABNORMAL} if name == "fault" else set()
        )
        assert messages.reconnects > 0 or name == "control"
    assert design.finding == "kept"
    story = harness("explain", path, "history/1")
    assert story.code == 0
    for step in ("OPEN /chat", "SEND /chat", "RECEIVE /chat", "unsolicited", "CLOSE /chat"):
        assert step in story.out, story.out
