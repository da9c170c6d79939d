"""What a reply shows, read from its bytes as fast as can be and from decoded JSON: the same."""

import json

import pytest

from harness.oracle.observed import Tally, decode_tally, tally_from_json

SHOWN = {"birth": "b1", "owner": "me", "count": 2, "last": "1f", "digest": "ff"}


def both(**changes: object) -> tuple[Tally | None, Tally | None]:
    body = {"session": {**SHOWN, **changes}}
    return decode_tally(json.dumps(body).encode()), tally_from_json(body)


def test_a_tally_is_read_with_its_numbers_in_hexadecimal() -> None:
    assert both() == (Tally("b1", "me", 2, 0x1F, 0xFF),) * 2
    assert both(last="", count=0) == (Tally("b1", "me", 0, 0, 0xFF),) * 2


@pytest.mark.parametrize("change", [{"birth": ""}, {"count": -1}, {"count": 2**31}, {"count": 10**400}])
def test_a_state_without_a_birth_or_of_an_impossible_number_of_writes_is_none(change: dict[str, object]) -> None:
    assert both(**change) == (None, None)


@pytest.mark.parametrize(
    "change", [{"count": "2"}, {"count": True}, {"birth": 1}, {"owner": None}, {"digest": "no hex"}]
)
def test_what_is_not_well_formed_is_no_tally_or_an_error_of_the_fast_way(change: dict[str, object]) -> None:
    body = {"session": {**SHOWN, **change}}
    assert tally_from_json(body) is None
    with pytest.raises(ValueError):
        decode_tally(json.dumps(body).encode())


def test_a_body_without_a_session_is_none() -> None:
    assert tally_from_json({}) is None
    assert tally_from_json({"session": None}) is None
