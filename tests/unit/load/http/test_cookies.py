import pytest

from harness.load.http.cookies import MAX_COOKIE_BYTES, MAX_COOKIES, Cookies


def line(*headers: bytes) -> bytes:
    cookies = Cookies()
    for header in headers:
        cookies.update([header])
    return cookies.header_line


def test_a_cookie_is_sent_and_replaced_by_name() -> None:
    assert line(b"a=1; Path=/; HttpOnly", b"b=2", b"a=3") == b"Cookie: a=3; b=2\r\n"


@pytest.mark.parametrize(
    "gone",
    [
        b"a=; Max-Age=0",
        b"a=x; max-age=-1; Expires=Wed, 09 Jun 2100 10:18:14 GMT",
        b"a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)
def test_a_cookie_is_deleted_by_its_age_or_its_date(gone: bytes) -> None:
    assert line(b"a=1", b"b=2", gone) == b"Cookie: b=2\r\n"


@pytest.mark.parametrize("kept", [b"a=1; Max-Age=1", b"a=1; Expires=soon", b"a=1; Max-Age=soon", b"a=1; Secure"])
def test_a_cookie_that_expires_later_is_kept(kept: bytes) -> None:
    assert line(kept) == b"Cookie: a=1\r\n"


@pytest.mark.parametrize("odd", [b"", b"novalue", b"=x", b";"])
def test_a_header_without_a_name_sets_nothing(odd: bytes) -> None:
    assert line(odd) == b""


def test_the_same_value_again_changes_nothing() -> None:
    cookies = Cookies()
    assert cookies.update([b"a=1"])
    assert not cookies.update([b"a=1; Path=/"])


def test_only_the_newest_cookies_are_kept() -> None:
    cookies = Cookies()
    cookies.update(b"n%d=1" % number for number in range(MAX_COOKIES + 50))
    assert cookies.header_line.count(b"=") == MAX_COOKIES
    assert b"n49=" not in cookies.header_line and b"n50=" in cookies.header_line


def test_an_oversized_cookie_is_ignored_and_the_previous_value_stays() -> None:
    cookies = Cookies()
    largest = b"s=" + b"x" * (MAX_COOKIE_BYTES - 1)
    assert cookies.update([largest + b"; Path=/"])
    assert cookies.header_line == b"Cookie: " + largest + b"\r\n"
    assert not cookies.update([largest + b"y"])
    assert cookies.header_line == b"Cookie: " + largest + b"\r\n"
    assert cookies.rejected_name == b"s"
