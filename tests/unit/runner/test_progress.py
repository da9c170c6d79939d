"""What the terminal shows, where, and what it never shows."""

import io
from dataclasses import replace

import pytest

from harness.common.console import SafeConsole
from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.runner.arm_state import ArmState, ProgressPlan, sparkline
from harness.runner.progress import LiveProgress, PlainProgress, Progress, Silent, estimate, progress
from harness.scenario.design import Design
from harness.scenario.scenario import Scenario
from harness.scenario.workload import Sessions


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


COMMANDED = Event(8.0, "fault_commanded", "r1", {"kind": "kill"})
KILLED = Event(8.0, "fault_effective", "r1", {"kind": "kill", "pid": 17})
HEALED = Event(14.0, "fault_healed", "r1", {"kind": "kill", "boot": "b2"})


def designs(count: int) -> Scenario:
    return Scenario([Design(f"d{i}") for i in range(count)], Sessions(concurrent=1, duration="20s"))


def an_arm() -> ArmState:
    return ArmState("sticky", "fault", duration=20.0, warmup=2.0)


def test_the_estimate_counts_arms_and_their_time() -> None:
    assert estimate(designs(8)) == "8 arms, about 3 min 4 s"
    assert estimate(designs(1)) == "1 arm, about 34 s"


def test_repeats_make_the_estimate_longer() -> None:
    assert estimate(designs(2), repeat=3) == "9 arms, about 3 min 32 s"


def test_a_run_is_announced_in_one_line() -> None:
    stream, terminal = io.StringIO(), io.StringIO()
    PlainProgress(stream, Clock()).announce(designs(8))
    LiveProgress(SafeConsole(file=terminal), Clock()).announce(designs(8))
    assert stream.getvalue() == terminal.getvalue() == "8 arms, about 3 min 4 s\n"


def test_snapshots_between_arms_belong_to_none() -> None:
    clock, stream = Clock(), io.StringIO()
    plain, live = PlainProgress(stream, clock), LiveProgress(SafeConsole(file=stream), clock)
    for view in (plain, live):
        clock.now += 60.0
        view.snapshot(Snapshot(1, 0.2, sent=5))
    assert stream.getvalue() == ""


def test_phases_follow_the_clock_and_the_faults() -> None:
    arm = an_arm()
    seen = [arm.phase]
    arm.take(COMMANDED)
    for t, event in ((1.0, None), (5.0, None), (8.1, KILLED), (14.1, HEALED), (20.0, None)):
        if event is not None:
            arm.take(event)
        arm.snapshots.append(Snapshot(1, t))
        seen.append(arm.phase)
    assert seen == ["starting", "warm-up", "before", "fault", "after", "sweep"]


def test_two_faults_at_once_end_with_the_last_repair() -> None:
    arm = an_arm()
    arm.snapshots.append(Snapshot(1, 9.0))
    other = Event(9.0, "fault_commanded", "r2", {"kind": "kill"})
    for event in (COMMANDED, KILLED, other, replace(other, kind="fault_effective"), HEALED):
        arm.take(event)
    assert arm.phase == "fault"
    arm.take(Event(15.0, "fault_healed", "r2", {"kind": "kill"}))
    assert arm.phase == "after"


def test_the_rate_is_that_of_the_last_second_not_of_the_whole_run() -> None:
    arm = an_arm()
    for n in range(20):
        arm.snapshots.append(Snapshot(n, n * 0.2, sent=0 if n < 10 else (n - 9) * 100))
    assert arm.rate == pytest.approx(500)


def test_replicas_up_follow_readiness_kills_repairs_and_deaths() -> None:
    arm = an_arm()
    for name in ("r0", "r1", "r2"):
        arm.take(Event(0.0, "replica_ready", name))
    counts = [len(arm.replicas.up)]
    for event in (KILLED, HEALED, Event(15.0, "part_died", "r2")):
        arm.take(event)
        counts.append(len(arm.replicas.up))
    assert counts == [3, 2, 3, 2]
    assert ("replicas up", "2/3") in arm.figures()


def test_time_left_learns_from_finished_arms() -> None:
    clock = Clock()
    plan = ProgressPlan(clock)
    plan.start(0, 3, 21.5)
    assert plan.left == pytest.approx(3 * 21.5)
    clock.now = 30.0
    plan.end()
    plan.start(1, 3, 20.0)
    assert plan.left == pytest.approx(2 * 30)
    clock.now = 100.0
    assert plan.left == pytest.approx(30)


def test_a_further_trial_goes_on_with_its_search() -> None:
    clock = Clock()
    plan = ProgressPlan(clock)
    plan.start(0, 2, 40.0, "search")
    clock.now = 10.0
    plan.start(0, 2, 35.0, "search")
    assert plan.left == pytest.approx(30 + 40)
    assert plan.share == pytest.approx(0.125)
    assert str(plan) == "search 1 of 2"
    clock.now = 30.0
    plan.end()
    plan.start(1, 2, 40.0, "search")
    assert plan.left == pytest.approx(30)
    assert plan.share == pytest.approx(0.5)


def test_a_search_has_one_line_per_trial_and_one_remaining_time() -> None:
    clock, stream = Clock(), io.StringIO()
    view = PlainProgress(stream, clock)
    for name in ("sticky x 2 at 800/s", "sticky x 2 at 900/s"):
        view.trial_started(name, 0, 4, 3.5, 40.0)
        clock.now += 5.0
    assert stream.getvalue().splitlines() == [
        "search 1 of 4: sticky x 2 at 800/s; about 2 min 40 s left",
        "search 1 of 4: sticky x 2 at 900/s; about 2 min 35 s left",
    ]


def test_a_sparkline_has_a_bar_per_value() -> None:
    assert sparkline([0, 50, 100]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


def test_the_history_of_an_arm_is_how_fast_each_count_grew() -> None:
    arm = ArmState("sticky", "fault", duration=24.0, warmup=2.0)
    for n in range(1, 21):
        arm.show(Snapshot(n, n * 0.5, ok=n * 50, sessions_lost=0 if n < 20 else 30))
    ok = arm.trend(lambda snapshot: snapshot.ok)
    assert len(ok) == 11 and ok == pytest.approx([100.0] * 11)
    assert arm.trend(lambda snapshot: snapshot.sessions_lost)[-1] == pytest.approx(60)


def test_work_between_the_arms_is_named_with_its_time() -> None:
    clock, stream = Clock(), io.StringIO()
    PlainProgress(stream, clock).stage("judging every session")
    assert stream.getvalue() == "judging every session\n"
    console = SafeConsole(file=io.StringIO(), width=80, record=True)
    live = LiveProgress(console, clock)
    live.stage("judging every session")
    clock.now = 3.0
    console.print(live.view())
    assert "judging every session  3 s" in console.export_text()


def test_the_live_view_has_a_bar_and_the_history_of_the_arm() -> None:
    clock = Clock()
    console = SafeConsole(file=io.TextIOWrapper(io.BytesIO(), "utf-8"), width=80, record=True)
    live = LiveProgress(console, clock)
    live.trial_started("sticky x 2 at 800/s", 1, 4, 20.0, 40.0)
    for n in range(1, 42):
        live.snapshot(Snapshot(n, n * 0.2, sent=n * 100, ok=n * 100, sessions=200, sessions_lost=7 * (n > 40)))
    clock.now = 20.0
    console.print(live.view())
    lines = console.export_text().splitlines()
    assert lines[0].startswith("search 2 of 4: sticky x 2 at 800/s")
    assert 25 <= lines[1].count("━") <= 35  # three eighths of 80 columns, in a record without colours
    assert lines[-2].startswith("ok/s   ▁" if "▁" in lines[-2] else "ok/s   █") and "500 at most" in lines[-2]
    assert lines[-1].rstrip().endswith("at most") and "█" in lines[-1]


def test_a_terminal_without_unicode_gets_no_bars_of_history() -> None:
    console = SafeConsole(file=io.TextIOWrapper(io.BytesIO(), "ascii"), width=80, record=True)
    live = LiveProgress(console, Clock())
    live.arm_started("sticky", "fault", 0, 1, 20.0)
    live.snapshot(Snapshot(1, 0.2, ok=10))
    console.print(live.view())
    assert "ok/s" not in console.export_text()


def follow(view: Progress, clock: Clock) -> None:
    """One arm as a run reports it: 20 s of load with a snapshot every 200 ms, a kill and its repair."""
    with view:
        view.arm_started("sticky", "fault", 1, 10, 20.0, warmup=2.0)
        for n in range(1, 101):
            clock.now = n * 0.2
            view.snapshot(
                Snapshot(n, n * 0.2, sent=n * 100, sessions=200, sessions_lost=7 if n > 40 else 0, p99_ms=4.2)
            )
            if n == 40:
                view.event(COMMANDED)
                view.event(KILLED)
            if n == 70:
                view.event(HEALED)
        view.arm_ended("sticky, with its faults: 66 of 200 sessions lost")


def test_plain_lines_show_start_faults_figures_and_end() -> None:
    clock, stream = Clock(), io.StringIO()
    follow(PlainProgress(stream, clock), clock)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("arm 2 of 10: sticky, with its faults; about ")
    assert lines[-1].strip() == "sticky, with its faults: 66 of 200 sessions lost"
    assert any("kill of r1 took effect" in line for line in lines)
    assert any("kill of r1 was undone" in line for line in lines)
    figures = [line for line in lines if "requests/s 500" in line]
    assert 3 <= len(figures) <= 4  # one every five seconds, not one a snapshot
    assert "phase fault" in figures[1] and "lost so far 7" in figures[1] and "p99 4.2 ms" in figures[1]


def test_plain_lines_show_the_control_characters_of_names_as_escapes() -> None:
    stream = io.StringIO()
    PlainProgress(stream, Clock()).arm_ended("a\x1b[31mred\x07\r\u202e name")
    assert stream.getvalue() == "  a\\x1b[31mred\\x07\\r\\u202e name\n"


def test_the_live_view_shows_the_arm_and_its_figures() -> None:
    clock = Clock()
    console = SafeConsole(file=io.StringIO(), width=120, record=True)
    live = LiveProgress(console, clock)
    live.arm_started("sticky", "fault", 1, 10, 20.0, warmup=2.0)
    for n in range(1, 43):
        live.snapshot(Snapshot(n, n * 0.2, sent=n * 100, sessions=200, sessions_lost=7, p99_ms=4.2))
    live.event(COMMANDED)
    live.event(KILLED)
    console.print(live.view())
    shown = console.export_text()
    for text in ("arm 2 of 10: sticky, with its faults", "8/20 s", "fault", "500", "4.2 ms", "200", "7", "kill of r1"):
        assert text in shown


def test_the_names_of_the_figures_have_a_line_of_their_own_above_them() -> None:
    console = SafeConsole(file=io.StringIO(), width=80, record=True, force_terminal=True, color_system="standard")
    live = LiveProgress(console, Clock())
    live.arm_started("sticky", "fault", 1, 10, 20.0, warmup=2.0)
    live.snapshot(Snapshot(1, 5.0, sent=100, sessions=200, p99_ms=4.2))
    console.print(live.view())
    lines = console.export_text().splitlines()
    names = next(line for line in lines if line.startswith("phase"))
    values = lines[lines.index(names) + 1]
    assert values.index("4.2 ms") == names.index("p99") and values.index("200") == names.index("sessions")


def test_the_live_view_leaves_the_terminal_as_it_was_even_after_a_problem() -> None:
    stream = Terminal()
    console = SafeConsole(file=stream, force_terminal=True, width=80)
    with pytest.raises(RuntimeError), LiveProgress(console, Clock()) as live:
        live.arm_started("sticky", "fault", 0, 1, 20.0)
        raise RuntimeError
    said = stream.getvalue()
    assert "\x1b[?25l" in said and said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l")  # the cursor is shown again


def test_names_are_text_not_markup() -> None:
    clock = Clock()
    console = SafeConsole(file=io.StringIO(), width=120, record=True)
    live = LiveProgress(console, clock)
    live.arm_started("[red]x[/]", "control", 0, 1, 20.0)
    console.print(live.view())
    live.arm_ended("[bold]kept")
    shown = console.export_text()
    assert "[red]x[/], without faults" in shown and "[bold]kept" in shown


def test_silence_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    follow(Silent(), Clock())
    assert capsys.readouterr() == ("", "")


def test_results_keep_stdout_to_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    follow(PlainProgress(io.StringIO(), clock), clock)
    follow(LiveProgress(SafeConsole(file=Terminal(), force_terminal=True), clock), clock)
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_the_view_a_log_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress(Terminal()), LiveProgress)
    assert isinstance(progress(io.StringIO()), PlainProgress)
    assert type(progress(Terminal(), quiet=True)) is Progress
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress(Terminal()), PlainProgress)
