"""``harness run`` does nothing to a workload of others before somebody has agreed."""

import io

import pytest

from harness.cli.run import _agree
from harness.common.errors import UsageError

PLAN = ["shop, fault arm: ...", "  at 2s: delete a pod without grace"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_a_flag_has_to_agree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError) as refused:
        _agree(PLAN, False)
    assert refused.value.hint == "--yes"
    _agree(PLAN, True)
    assert capsys.readouterr().err.splitlines() == PLAN * 2


@pytest.mark.parametrize(("answer", "agreed"), [("y", True), ("yes", True), ("n", False), ("", False)])
def test_only_a_yes_is_a_yes(answer: str, agreed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    if agreed:
        _agree(PLAN, False)
    else:
        with pytest.raises(UsageError, match="nothing was done"):
            _agree(PLAN, False)


def test_a_run_of_services_of_its_own_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    _agree([], False)
