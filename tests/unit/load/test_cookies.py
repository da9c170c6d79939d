import pytest

from harness.load.cookies import Cookies


def line(*headers: bytes) -> bytes:
    cookies = Cookies()
    for header in headers:
        cookies.take([header])
    return cookies.line


def test_all_cookies_are_kept_side_by_side() -> None:
    assert line(b" session=s1; Path=/; HttpOnly", b" SRV=r0; path=/") == b"Cookie: session=s1; SRV=r0\r\n"


def test_set_cookie_replaces_what_it_names() -> None:
    assert line(b" session=s1", b" SRV=r0", b" session=s2; Path=/") == b"Cookie: session=s2; SRV=r0\r\n"


@pytest.mark.parametrize(
    "attributes",
    [
        b"Max-Age=0",
        b"max-age=-1",
        b"Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        b"Max-Age=0; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
    ],
)
def test_an_expired_one_deletes(attributes: bytes) -> None:
    assert line(b" session=s1", b" SRV=r0", b" session=; " + attributes) == b"Cookie: SRV=r0\r\n"


@pytest.mark.parametrize(
    "attributes",
    [
        b"Max-Age=5",
        b"Expires=Fri, 01 Jan 2100 00:00:00 GMT",
        b"Expires=gibberish",
        b"Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)
def test_one_that_has_not_expired_is_kept(attributes: bytes) -> None:
    assert line(b" session=s1; " + attributes) == b"Cookie: session=s1\r\n"


def test_the_last_cookie_to_go_leaves_no_header() -> None:
    assert line(b" a=1", b" a=1; Max-Age=0") == b""


def test_a_value_may_hold_equals_signs_and_a_header_without_one_is_ignored() -> None:
    assert line(b" a=b=c==", b" nonsense") == b"Cookie: a=b=c==\r\n"


def test_take_tells_whether_anything_changed() -> None:
    cookies = Cookies()
    assert [cookies.take([value]) for value in (b"a=1", b"a=1; Path=/", b"a=2", b"b=; Max-Age=0")] == [
        True,
        False,
        True,
        False,
    ]
