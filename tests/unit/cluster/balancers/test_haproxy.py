import asyncio
from pathlib import Path

import pytest

from harness.cluster.balancers import haproxy
from harness.cluster.balancers.haproxy import RuntimeSocket, config, refusals_in
from harness.cluster.balancers.launch import Setup
from harness.cluster.capabilities import Member
from harness.common.errors import EnvironmentLacksError
from harness.scenario.balancing import Balancing, Health
from tests.support.balancers import RefusingStarter

MEMBERS = (Member("r0", "127.0.0.1", 9000), Member("r1", "127.0.0.1", 9001))


def setup(balancing: Balancing, scratch: Path = Path("/tmp")) -> Setup:  # noqa: S108 - nothing is written there
    return Setup(balancing, MEMBERS, RefusingStarter(), scratch, scratch, 8080)


def lines(balancing: Balancing) -> list[str]:
    return [line.strip() for line in config(setup(balancing), "/s", 100).splitlines()]


def test_health_becomes_the_check_of_every_member() -> None:
    content = lines(Balancing(health=Health("250ms", fall=3, rise=2)))
    check = "check inter 250ms fastinter 250ms downinter 250ms fall 3 rise 2"
    assert [line for line in content if line.endswith(check) and line.startswith("server ")] == [
        f"server r0 127.0.0.1:9000 weight 100 {check}",
        f"server r1 127.0.0.1:9001 weight 100 {check}",
    ]


def test_retries_and_redispatch_are_always_explicit() -> None:
    assert {"retries 3", "option redispatch 1"} <= set(lines(Balancing(retries=3)))
    assert {"retries 0", "no option redispatch"} <= set(lines(Balancing(retries=0, redispatch=False)))


def test_nothing_but_a_failed_connect_is_ever_retried() -> None:
    assert [line for line in lines(Balancing()) if line.startswith("retry-on")] == ["retry-on conn-failure"]


def test_only_the_cookie_policy_sets_cookies() -> None:
    content = lines(Balancing("cookie"))
    assert "cookie HARNESS_LB insert indirect nocache" in content
    assert sum(line.endswith(" cookie r1") for line in content) == 1
    assert not any("cookie" in line for line in lines(Balancing("round_robin")))


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        ("hash_cookie", "balance hash req.cook(key)"),
        ("hash_header", "balance hash req.hdr(key)"),
        ("source", "balance source"),
    ],
)
def test_hashing_is_consistent(policy: str, line: str) -> None:
    content = lines(Balancing(policy, key="key"))
    assert content[content.index(line) + 1] == "hash-type consistent sdbm avalanche"


async def test_a_path_too_long_for_a_socket_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLacksError, match="too long"):
        await haproxy.start(setup(Balancing(), tmp_path / ("x" * 100))).__aenter__()


def line(ended: str, status: int = 503, op: str = "00000000000000ff", server: str = "r1") -> str:
    return f"abnormal op={op} status={status} ended={ended} server={server} retries=1\n"


@pytest.mark.parametrize("ended", ["SC", "sC", "SQ", "sQ"])
def test_a_reply_before_any_connection_is_a_refusal(ended: str) -> None:
    assert [refusal.op for refusal in refusals_in([line(ended)])] == [255]


@pytest.mark.parametrize("ended", ["SH", "sH", "SD", "sD", "CD", "CC", "PC", "--", "PH"])
def test_any_other_end_is_no_refusal(ended: str) -> None:
    assert list(refusals_in([line(ended), line(ended, status=502)])) == []


def test_a_refusal_says_whether_there_was_a_member_at_all() -> None:
    reasons = [refusal.reason for refusal in refusals_in([line("SC"), line("SC", server="<NOSRV>")])]
    assert reasons == ["no connection to r1 (503, SC)", "no member was up (503, SC)"]


async def test_replies_are_complete_before_the_connection_ends(tmp_path: Path) -> None:
    asked_to_end = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"set server b/r0 health up; set server b/r9 health up; show info\n"
        writer.write(b"\nNo such server.\n\nName: HAProxy\nPid: 7\n\n")
        await asked_to_end.wait()
        writer.close()

    async with await asyncio.start_unix_server(answer, tmp_path / "s"):
        reply = await RuntimeSocket(tmp_path / "s").ask(
            "set server b/r0 health up; set server b/r9 health up; show info"
        )
        asked_to_end.set()
    assert reply == "\nNo such server.\n\nName: HAProxy\nPid: 7\n\n"


def test_reads_and_foreign_lines_are_skipped() -> None:
    others = ["Server replicas/r1 is DOWN\n", line("SC", op="-"), line("SC", op="not-hex"), line("SC")[:30]]
    assert list(refusals_in(others)) == []


def test_the_health_check_requests_the_configured_path() -> None:
    content = lines(Balancing(health=Health(path="/up?x=1")))
    assert "http-check send meth GET uri /up?x=1 ver HTTP/1.1 hdr Host 127.0.0.1" in content
    assert not any("httpchk" in line or "http-check" in line for line in lines(Balancing(health=Health(path=None))))


def test_replicas_are_named_only_on_request() -> None:
    assert "http-response set-header X-Replica %s" in lines(Balancing(names=True))
    assert not any("X-Replica" in line for line in lines(Balancing()))
