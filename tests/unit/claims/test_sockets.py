"""The claims about open connections, on synthetic runs."""

from dataclasses import replace

import pytest

from harness import claims
from harness.claims import ClaimVerdict, Runs
from harness.results.summary import MessageFigures, Percentiles
from tests.unit.claims.test_claims import RUN

C18, C19 = claims.select(["C18", "C19"])
TIMES = Percentiles(100.0, 150.0, 200.0, 200.0, 200.0)
MESSAGES = MessageFigures(
    acknowledged=600, received=4000, due=4000, lost=0, missed=0, repeated=0, disordered=0, connections=86, refused=0,
    ended=22, reconnects=22, rejoin_ms=TIMES, silence_ms=TIMES, delivery_ms=TIMES, opened_per_s_before=10.0,
    opened_per_s_worst=31.0,
)  # fmt: skip


def run(scenario: str, **designs: tuple[int, MessageFigures | None, MessageFigures | None]) -> Runs:
    """By design: sessions lost, and the messages with the fault and without."""
    summaries = {}
    for name, (lost, fault, control) in designs.items():
        base = RUN.designs["sticky"]
        arm = base.arms["fault"]
        hit = replace(arm, sessions=replace(arm.sessions, lost=lost), messages=fault)
        arms = {"fault": hit, "control": replace(base.arms["control"], messages=control)}
        summaries[name] = replace(base, describe={"option_tick": "50ms"}, arms=arms)
    return Runs({scenario: replace(RUN, designs=summaries)})


USUAL = {
    "alone": replace(MESSAGES, lost=2000, missed=100),
    "bus": replace(MESSAGES, lost=9, missed=9),
    "history": MESSAGES,
    "calm": replace(MESSAGES, lost=1900),
}


def chat(**spoilt: MessageFigures) -> Runs:
    messages = {**USUAL, **spoilt}
    return run(
        "chat",
        alone=(22, messages["alone"], messages["calm"]),
        bus=(0, messages["bus"], MESSAGES),
        history=(0, messages["history"], MESSAGES),
    )


def test_a_game_whose_memory_dies_loses_its_players_and_the_gap_is_in_ticks() -> None:
    finding = C18.evaluate(run("game", memory=(22, MESSAGES, MESSAGES), redis=(0, MESSAGES, MESSAGES)))
    assert finding.verdict is ClaimVerdict.LIMITED
    assert "a gap of 2 ticks (at most 4)" in finding.says and "back after 100 ms" in finding.says
    assert [point.label for point in finding.points] == ["memory", "redis"]


@pytest.mark.parametrize(
    ("memory", "redis", "messages", "support"),
    [
        (0, 0, MESSAGES, ClaimVerdict.REFUTED),
        (22, 3, MESSAGES, ClaimVerdict.REFUTED),
        (22, 0, replace(MESSAGES, reconnects=20), ClaimVerdict.REFUTED),
        (0, 0, replace(MESSAGES, ended=0, reconnects=0), ClaimVerdict.UNKNOWN),
        (22, 0, None, ClaimVerdict.UNKNOWN),
    ],
)
def test_another_result_of_the_game_is_refuted_or_unknown(
    memory: int, redis: int, messages: MessageFigures | None, support: ClaimVerdict
) -> None:
    assert (
        C18.evaluate(run("game", memory=(memory, messages, messages), redis=(redis, messages, messages))).verdict
        is support
    )


def test_a_chat_is_supported_where_each_design_loses_what_it_must() -> None:
    finding = C19.evaluate(chat())
    assert finding.verdict is ClaimVerdict.LIMITED
    assert "31 connections in the worst second, compared with 10.0 per second before" in finding.says
    assert [round(point.value, 3) for point in finding.points] == [50.0, 0.225, 0.0, 47.5]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"history": replace(MESSAGES, lost=1)},
        {"history": replace(MESSAGES, repeated=1)},
        {"bus": replace(MESSAGES, lost=9, missed=8)},
        {"calm": MESSAGES},
        {"bus": replace(MESSAGES, ended=0)},
    ],
)
def test_another_result_of_the_chat_refutes_the_claim(spoilt: dict[str, MessageFigures]) -> None:
    assert C19.evaluate(chat(**spoilt)).verdict is ClaimVerdict.REFUTED


def test_a_chat_in_which_no_message_was_due_is_unknown() -> None:
    assert C19.evaluate(chat(bus=replace(MESSAGES, due=0))).verdict is ClaimVerdict.UNKNOWN
