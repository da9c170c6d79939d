"""The cookies of one browser: the corpus of the IETF working group, and what a load asks of a jar beyond it."""

import json
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness.load.http.cookie_dates import parse_cookie_date
from harness.load.http.cookie_jar import KEPT_COOKIES, MAX_COOKIES, MAX_SET, CookieJar
from harness.load.http.set_cookie import MAX_COOKIE_BYTES
from harness.load.http.site import Site
from harness.observations.identity import Change

CORPUS = Path(__file__).parents[5] / "shared" / "cookies"
HOME, LOOPBACK = Site("home.example.org"), Site("127.0.0.1")
SECOND = 1_000_000_000

_NAMELESS = "RFC 6265bis keeps a cookie without a name, and sends its value alone"
_CONTROL = "RFC 6265bis ignores a cookie with a control character, as Chromium does"
#: Where the corpus, which is of RFC 6265, differs from RFC 6265bis and Chromium: the case and the reason.
EXCEPTIONS = {
    **dict.fromkeys(
        [
            "0004", "0021", "0023", "0024", "0025", "0026", "0027", "0028", "CHROMIUM0009", "CHROMIUM0010",
            "CHROMIUM0012", "MOZILLA0012", "MOZILLA0014", "MOZILLA0015", "MOZILLA0016", "MOZILLA0017", "NAME0023",
            "NAME0028", "NAME0031", "NAME0032", "NAME0033",
        ],
        _NAMELESS,
    ),
    "DISABLED_CHROMIUM0022": _CONTROL,
    "DISABLED_CHROMIUM0023": _CONTROL,
    "DISABLED_PATH0029": "browsers do not decode %6F in a path; the corpus itself has disabled it",
    "OPTIONAL_DOMAIN0042": "the last Domain counts, and it is empty; the corpus itself calls it optional",
}  # fmt: skip


def corpus(name: str) -> list[Any]:
    """One file of the corpus; empty if it is not there."""
    path = CORPUS / name
    return list(json.loads(path.read_text())) if path.exists() else []


needs_corpus = pytest.mark.skipif(not CORPUS.exists(), reason="the corpus ../shared/cookies is not beside the project")


def line(jar: CookieJar, path: str = "/", now: int = 0, site: Site = LOOPBACK) -> str:
    """The cookies that a jar sends with a request."""
    return jar.header_line(site, path, now).removeprefix(b"Cookie: ").strip(b"\r\n").decode()


def jar_with(*headers: str, path: str = "/", site: Site = LOOPBACK, immortal: bool = False) -> CookieJar:
    """A jar that received these headers at the time 0, each in a reply of its own."""
    jar = CookieJar(immortal=immortal)
    for header in headers:
        jar.update([header.encode()], site, path, 0)
    return jar


def changes(jar: CookieJar) -> list[tuple[Change, str, str]]:
    """What became of cookies, without their values."""
    return [(change, name, why) for change, name, _, why in jar.take_changes()]


@needs_corpus
@pytest.mark.parametrize("case", corpus("parser.json"), ids=lambda case: case["test"])
def test_the_corpus_is_understood(case: Any) -> None:
    jar = CookieJar(wall_clock=lambda: 1.5e9)  # in July 2017
    for header in case["received"]:
        jar.update([header.encode()], HOME, "/cookie-parser?" + case["test"], 0)
    to = urlsplit(case.get("sent-to", "/cookie-parser-result"))
    sent = line(jar, to.path, 1, Site(to.hostname or HOME.host))
    expected = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in case["sent"])
    assert (sent == expected) != (case["test"] in EXCEPTIONS), sent


@needs_corpus
@pytest.mark.parametrize("case", corpus("dates.json"), ids=lambda case: case["test"])
def test_the_corpus_of_dates_is_understood(case: Any) -> None:
    expected = case["expected"] and parsedate_to_datetime(case["expected"]).timestamp()
    assert parse_cookie_date(case["test"].encode()) == expected


@pytest.mark.parametrize(
    "date", [b"1 Jan " + b"9" * 5000 + b" 00:00:00", b"1 Jan 2030 00:00:00 GMT+" + b"9" * 5000, b"9" * 60_000]
)
def test_a_date_with_thousands_of_digits_is_computed_at_once(date: bytes) -> None:
    assert parse_cookie_date(date) in (None, 1893456000)


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 19, "0" * 900 + "1"])
def test_a_max_age_with_thousands_of_digits_is_a_long_lifetime(digits: str) -> None:
    assert line(jar_with(f"a=1; Max-Age={digits[:1024]}")) == "a=1"
    assert line(jar_with("a=1", f"a=2; Max-Age=-{digits[:1000]}")) == ""


@pytest.mark.parametrize(
    "gone",
    [
        "a=; Max-Age=0",
        "a=x; max-age=-1; Expires=Wed, 09 Jun 2100 10:18:14 GMT",
        "a=; Expires=Thu, 1 Jan 1970 0:0:0",
    ],
)
def test_a_reply_deletes_a_cookie_by_its_age_or_its_date(gone: str) -> None:
    assert line(jar_with("a=1", "b=2", gone)) == "b=2"


def test_a_cookie_is_sent_until_its_lifetime_is_over() -> None:
    jar = jar_with("sid=1; Max-Age=3", "b=2")
    assert line(jar, now=3 * SECOND - 1) == "sid=1; b=2"
    jar.take_changes()
    assert line(jar, now=3 * SECOND) == "b=2"
    assert changes(jar) == [(Change.EXPIRED, "sid", "Max-Age 3")]


def test_a_cookie_that_is_over_when_it_comes_has_expired() -> None:
    jar = jar_with("sid=1; Expires=Thu, 01 Jan 2015 00:00:00 -0500", "other=; Max-Age=0")
    assert changes(jar) == [(Change.EXPIRED, "sid", "Expires Thu, 01 Jan 2015 00:00:00 -0500 when it came")]


def test_a_reply_that_sets_the_same_cookie_again_prolongs_its_lifetime() -> None:
    jar = jar_with("sid=1; Max-Age=3")
    jar.update([b"sid=1; Max-Age=3"], LOOPBACK, "/", 2 * SECOND)
    assert line(jar, now=4 * SECOND) == "sid=1"
    assert line(jar, now=5 * SECOND) == ""


def test_an_immortal_jar_keeps_what_grows_old_but_not_what_a_reply_deletes() -> None:
    jar = jar_with("sid=1; Max-Age=3", "b=2; Max-Age=3", "b=; Max-Age=0", immortal=True)
    assert line(jar, now=1000 * SECOND) == "sid=1"


def test_an_expiry_date_counts_from_the_clock_of_the_server() -> None:
    jar = CookieJar(wall_clock=lambda: 4e9)  # the server is decades behind
    jar.update([b"a=1; Expires=Thu, 01 Jan 1970 00:01:00"], LOOPBACK, "/", 0, b"Thu, 01 Jan 1970 00:00:00 GMT")
    assert line(jar, now=59 * SECOND) == "a=1"
    assert line(jar, now=60 * SECOND) == ""


@pytest.mark.parametrize(("zone", "hours"), [("+0500", 6), ("GMT+05:00", 6), ("-0030", 0.5)])
def test_a_zone_counts_in_the_date_of_a_reply_but_not_in_an_expiry_date(zone: str, hours: float) -> None:
    jar = CookieJar()
    expires, date = f"Thu, 01 Jan 2026 13:00:00 {zone}", f"Thu, 01 Jan 2026 12:00:00 {zone}"
    jar.update([f"a=1; Expires={expires}".encode()], LOOPBACK, "/", 0, date.encode())
    lifetime = round(hours * 3600)
    assert line(jar, now=(lifetime - 1) * SECOND) == "a=1"
    assert line(jar, now=lifetime * SECOND) == ""


def test_a_cookie_without_a_path_holds_for_the_folder_that_set_it() -> None:
    jar = jar_with("auth=1", path="/auth/login?next=/")
    assert [line(jar, path) for path in ("/auth", "/auth/me?a=/b", "/authority", "/api/me")] == ["auth=1"] * 2 + [
        ""
    ] * 2
    assert (Change.WITHHELD, "auth", "Path=/auth") in changes(jar)


@pytest.mark.parametrize("domain", ["shop.example.com", "com", "0.0.1", "127.0.0.1.example.com"])
def test_a_cookie_for_another_domain_is_refused(domain: str) -> None:
    jar = jar_with(f"auth=1; Domain={domain}")
    assert line(jar) == ""
    assert changes(jar) == [(Change.REFUSED, "auth", f"Domain={domain} does not fit 127.0.0.1")]


def test_a_cookie_of_a_host_is_not_sent_to_another_one_below_it() -> None:
    jar = jar_with("own=1", "shared=1; Domain=example.org", site=HOME)
    assert line(jar, site=Site("www.home.example.org")) == "shared=1"


def test_no_cookie_is_for_a_whole_public_suffix() -> None:
    site = Site("shop.example.co.uk")
    assert line(jar_with("a=1; Domain=co.uk", "b=2; Domain=example.co.uk", site=site), site=site) == "b=2"


@pytest.mark.parametrize("host", ["github.io", "printer", "127.0.0.1"])
@pytest.mark.parametrize("dot", ["", "."])
def test_a_host_that_nobody_shares_keeps_a_cookie_for_its_own_domain_to_itself(host: str, dot: str) -> None:
    site = Site(host)
    jar = jar_with("a=1", f"a=2; Domain={dot}{host}", site=site)
    assert line(jar, site=site) == "a=2"
    assert line(jar, site=Site(f"shop.{host}")) == ""


def test_secure_cookies_need_tls_or_loopback() -> None:
    host, tls = Site("shop.example.com"), Site("shop.example.com", secure=True)
    assert line(jar_with("a=1; Secure")) == "a=1"
    assert line(jar_with("a=1; Secure", site=host), site=host) == ""
    assert line(jar_with("a=1; Secure", site=tls), site=tls) == "a=1"


@pytest.mark.parametrize(
    ("header", "is_kept"),
    [
        ("__Host-a=1; Secure; Path=/", True),
        ("__Host-a=1; Secure; Path=/x", False),
        ("__host-a=1; Path=/", False),
        ("__Secure-a=1; Secure", True),
        ("__Secure-a=1", False),
        ("__Http-a=1; Secure; HttpOnly", True),
        ("__Http-a=1; Secure", False),
        ("a=1; SameSite=None", False),
        ("a=1; SameSite=None; Secure", True),
        ("a=1\x01", False),
        ("a=1;\tSecure\t;\tPath\t=\t/", True),
        ("a=1; Expires=Wed,\t21 Oct 2065 07:28:00 GMT", False),
        ("a=1; Com\tment=x", False),
    ],
)
def test_prefixes_and_control_characters_are_held_to_the_rules_of_browsers(header: str, is_kept: bool) -> None:
    assert bool(jar_with(header)) == is_kept


def test_longer_paths_come_first_then_older_cookies() -> None:
    jar = jar_with("a=1; Path=/", "b=2; Path=/x/y", "c=3; Path=/x", "d=4; Path=/x/y")
    assert line(jar, "/x/y") == "b=2; d=4; c=3; a=1"


def test_a_new_value_takes_its_place_behind_the_others_as_in_chromium() -> None:
    assert line(jar_with("a=1", "b=2", "a=3")) == "b=2; a=3"
    assert line(jar_with("a=1", "b=2", "a=1; Max-Age=9")) == "a=1; b=2"


def test_the_oldest_cookies_go_when_there_are_too_many() -> None:
    jar = jar_with(*(f"n{number}=1" for number in range(MAX_COOKIES + 1)))
    assert len(jar) == KEPT_COOKIES
    assert jar.names()[-1] == f"n{MAX_COOKIES}"


def test_a_cookie_that_replies_set_again_is_not_the_oldest() -> None:
    jar = jar_with("sid=1", *(f"n{number}=1" for number in range(MAX_COOKIES - 1)), "sid=1", "one-too-many=1")
    assert len(jar) == KEPT_COOKIES
    assert jar.names()[0] == "sid"


def test_among_many_secure_cookies_one_without_goes_as_soon_as_it_comes() -> None:
    jar = jar_with(*(f"s{number}=1; Secure" for number in range(MAX_COOKIES)), "plain=1; Max-Age=5")
    assert jar.names() == [f"s{number}" for number in range(MAX_COOKIES - KEPT_COOKIES, MAX_COOKIES)]


def test_an_oversized_cookie_is_refused_and_the_previous_value_stays() -> None:
    largest = "s=" + "x" * (MAX_COOKIE_BYTES - 1)
    jar = jar_with(largest, largest + "y")
    assert line(jar) == largest
    assert (Change.REFUSED, "s", "more than 4096 bytes") in changes(jar)


def test_the_line_is_prepared_anew_only_when_a_cookie_changes() -> None:
    jar = jar_with("a=1")
    first, version = jar.header_line(LOOPBACK, "/", 0), jar.version
    assert not jar.update([b"a=1"], LOOPBACK, "/", 1)
    assert jar.header_line(LOOPBACK, "/", 2) is first
    assert jar.version == version
    assert jar.update([b"a=2"], LOOPBACK, "/", 3)
    assert jar.version > version


def test_a_copy_changes_alone() -> None:
    jar = jar_with("a=1", "b=2")
    copy = jar.copy()
    copy.discard("a")
    assert (line(copy), line(jar)) == ("b=2", "a=1; b=2")


def test_of_very_many_cookies_in_a_reply_the_last_are_read() -> None:
    jar = CookieJar()
    jar.update([b"a%d=1" % n for n in range(2 * MAX_SET)], LOOPBACK, "/", 0)
    assert KEPT_COOKIES <= len(jar.names()) <= MAX_COOKIES
    assert jar.names()[-1] == f"a{2 * MAX_SET - 1}"
    assert sum(change.change is Change.SET for change in jar.take_changes()) <= MAX_SET
