"""The claims about open connections, from runs made by hand."""

from dataclasses import replace

import pytest

from harness import claims
from harness.claims import ClaimVerdict, Runs
from harness.results.summary import MessageFigures, Percentiles
from tests.unit.claims.test_claims import RUN

C18, C19 = claims.chosen(["C18", "C19"])
TIMES = Percentiles(100.0, 150.0, 200.0, 200.0, 200.0)
HEARD = MessageFigures(
    acknowledged=600, received=4000, due=4000, lost=0, missed=0, repeated=0, disordered=0, connections=86, refused=0,
    ended=22, reconnects=22, rejoin_ms=TIMES, silence_ms=TIMES, delivery_ms=TIMES, opened_per_s_before=10.0,
    opened_per_s_worst=31.0,
)  # fmt: skip


def ran(scenario: str, **designs: tuple[int, MessageFigures | None, MessageFigures | None]) -> Runs:
    """By design: sessions lost, and the messages with the fault and without."""
    found = {}
    for name, (lost, fault, control) in designs.items():
        base = RUN.designs["sticky"]
        arm = base.arms["fault"]
        hit = replace(arm, sessions=replace(arm.sessions, lost=lost), messages=fault)
        arms = {"fault": hit, "control": replace(base.arms["control"], messages=control)}
        found[name] = replace(base, describe={"option_tick": "50ms"}, arms=arms)
    return Runs({scenario: replace(RUN, designs=found)})


USUAL = {
    "alone": replace(HEARD, lost=2000, missed=100),
    "bus": replace(HEARD, lost=9, missed=9),
    "history": HEARD,
    "calm": replace(HEARD, lost=1900),
}


def chat(**spoilt: MessageFigures) -> Runs:
    told = {**USUAL, **spoilt}
    return ran(
        "chat",
        alone=(22, told["alone"], told["calm"]),
        bus=(0, told["bus"], HEARD),
        history=(0, told["history"], HEARD),
    )


def test_a_game_whose_memory_dies_loses_its_players_and_tells_the_gap_in_ticks() -> None:
    found = C18.found(ran("game", memory=(22, HEARD, HEARD), redis=(0, HEARD, HEARD)))
    assert found.support is ClaimVerdict.SUPPORTED
    assert "a gap of 2 ticks (at most 4)" in found.says and "back after 100 ms" in found.says
    assert [point.label for point in found.points] == ["memory", "redis"]


@pytest.mark.parametrize(
    ("memory", "redis", "heard", "support"),
    [
        (0, 0, HEARD, ClaimVerdict.REFUTED),
        (22, 3, HEARD, ClaimVerdict.REFUTED),
        (22, 0, replace(HEARD, reconnects=20), ClaimVerdict.REFUTED),
        (0, 0, replace(HEARD, ended=0, reconnects=0), ClaimVerdict.UNKNOWN),
        (22, 0, None, ClaimVerdict.UNKNOWN),
    ],
)
def test_a_game_that_turned_out_otherwise_says_so(
    memory: int, redis: int, heard: MessageFigures | None, support: ClaimVerdict
) -> None:
    assert C18.found(ran("game", memory=(memory, heard, heard), redis=(redis, heard, heard))).support is support


def test_a_chat_is_supported_where_each_design_loses_what_it_must() -> None:
    found = C19.found(chat())
    assert found.support is ClaimVerdict.SUPPORTED
    assert "31 connections in the worst second against 10.0 a second before" in found.says
    assert [round(point.value, 3) for point in found.points] == [50.0, 0.225, 0.0, 47.5]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"history": replace(HEARD, lost=1)},
        {"history": replace(HEARD, repeated=1)},
        {"bus": replace(HEARD, lost=9, missed=8)},
        {"calm": HEARD},
        {"bus": replace(HEARD, ended=0)},
    ],
)
def test_a_chat_that_turned_out_otherwise_is_refuted(spoilt: dict[str, MessageFigures]) -> None:
    assert C19.found(chat(**spoilt)).support is ClaimVerdict.REFUTED


def test_a_chat_in_which_nobody_was_to_hear_anything_settles_nothing() -> None:
    assert C19.found(chat(bus=replace(HEARD, due=0))).support is ClaimVerdict.UNKNOWN
