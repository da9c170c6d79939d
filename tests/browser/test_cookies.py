"""The same ``Set-Cookie`` headers, received by Chromium and by a jar, give the same ``Cookie`` header."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from harness.load.http.cookie_jar import CookieJar
from harness.load.http.site import Site
from tests.support.chromium import chromium
from tests.support.page_server import STEP, PageHandler, page_server

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("cookies")]

HOSTS = ("127.0.0.1", "localhost", "shop.example.com", "shop.co.uk", "github.io", "printer")
PATHS = ("/", "/a", "/a/", "/a/b", "/a/b/c", "/ab")
#: Fetches one path after another, so that each reply's cookies are there before the next request.
FETCH_ALL = """async (paths) => {
  for (const path of paths) await (await fetch(path, {cache: "no-store", headers: {"X-Step": "1"}})).text()
}"""


@dataclass
class CookieServer:
    """Sends the ``Set-Cookie`` headers that are set for the next requests, and keeps the cookies of each request."""

    port: int = 0
    to_send: list[list[str]] = field(default_factory=list)
    received: list[str] = field(default_factory=list)

    def play(self, page: Page, steps: list[tuple[str, list[str]]]) -> list[str]:
        """Have a page request the steps' paths, each of which sets its cookies; returns the cookies of each request."""
        self.to_send, self.received = [headers for _, headers in steps], []
        page.evaluate(FETCH_ALL, [path for path, _ in steps])
        return self.received


@contextmanager
def cookie_server() -> Iterator[CookieServer]:
    """A server for the length of a scope."""
    script = CookieServer()

    class Handler(PageHandler):
        def do_GET(self) -> None:  # noqa: N802 - a name of the standard library
            cookies: list[str] = []
            if STEP in self.headers:
                cookies = script.to_send.pop(0)
                script.received.append("; ".join(self.headers.get_all("Cookie", [])))
            self.answer([("Set-Cookie", cookie) for cookie in cookies])

    with page_server(Handler) as script.port:
        yield script


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("--host-resolver-rules=MAP * 127.0.0.1") as opened:
        yield opened


@pytest.fixture(scope="module")
def server() -> Iterator[CookieServer]:
    with cookie_server() as script:
        yield script


@pytest.fixture(scope="module")
def pages(browser: Browser, server: CookieServer) -> dict[str, Page]:
    context = browser.new_context()
    opened = {}
    for host in HOSTS:
        page = opened[host] = context.new_page()
        page.goto(f"http://{host}:{server.port}/page")
    return opened


def of_the_jar(host: str, steps: list[tuple[str, list[str]]]) -> list[str]:
    """What the jar sends with each request."""
    jar, site, sent = CookieJar(), Site(host), []
    for now, (path, headers) in enumerate(steps):
        sent.append(jar.header_line(site, path, now).removeprefix(b"Cookie: ").strip(b"\r\n").decode("latin-1"))
        jar.update([header.encode("latin-1") for header in headers], site, path, now)
    return sent


NAMES = st.sampled_from(["a", "b", "sid", "", "__Host-a", "__Secure-a", "__http-a", "__Host-Http-b", "A", "$v", "a b"])
VALUES = st.sampled_from(["1", "2", "", "x=y", '"q"', "__Host-z=1", "a,b", "  pad  ", "tab\there", "\x01", "\x7f", "é"])
DATES = st.sampled_from([
    "Wed, 21 Oct 2065 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", "Thu, 01-Jan-1970 00:00:00 GMT",
    "Tue Jan 19 2038 03:14:07 GMT-0500 (EST)", "31 Feb 2065 00:00:00", "1 Jan 99999 00:00:00", "1 Jan 1500 00:00:00",
    "1 Jan 65 0:0:0", "1 Jan 70 0:0:0", "7:28:00 9 2065 Decembrrr", "1 Jan 065 00:00:00", "1 Jan 2065 24:00:00",
    "1 Jan 2065 00:00:60", "1 Jan 2065 00:00", "1 Jan 123456 00:00:00", "99 Jan 2065 0:0:0", "1 Jan 9 0:0:0", "0", "",
])  # fmt: skip
AGES = st.sampled_from(["0", "-1", "3600", "+60", "9" * 20, "-" + "9" * 20, "1.5", "x", "", "00"])
DOMAINS = st.sampled_from([
    "shop.example.com", ".shop.example.com", "example.com", ".example.com", "com", ".com", "x.shop.example.com",
    "co.uk",
    "shop.co.uk", ".shop.co.uk", "other.com", "127.0.0.1", ".127.0.0.1", "localhost", ".localhost", "", "EXAMPLE.com",
    "github.io", ".github.io", ".printer",
    "example.com.", "0.0.1", "..example.com", '"example.com"', "shop.example.com:80",
])  # fmt: skip
COOKIE_PATHS = st.sampled_from(["/", "/a", "/a/", "/a/b", "/A", "a", "", '"/a"', "/a?x", "/a%62", "/a/b/c/"])
ATTRIBUTES = st.one_of(
    st.builds("Expires={}".format, DATES),
    st.builds("Max-Age={}".format, AGES),
    st.builds("Domain={}".format, DOMAINS),
    st.builds("Path={}".format, COOKIE_PATHS),
    st.sampled_from([
        "Secure", "secure=1", "HttpOnly", "SameSite=None", "SameSite=Lax", "SameSite=Strict", "Partitioned", "Path",
        "Domain", "Foo=bar", "", " Secure ", "Max-Age", "Path=/" + "x" * 1024, "Foo=\x01",
        "Foo=a\tb", "Sec\ture", "\tSecure\t", "Path\t=\t/a\t", "Expires=Wed,\t21 Oct 2065 07:28:00 GMT",
    ]),
)  # fmt: skip


@st.composite
def set_cookies(draw: st.DrawFn) -> str:
    """One ``Set-Cookie`` header, well-formed or not."""
    name, equals = draw(NAMES), draw(st.sampled_from(["=", "=", "=", " = ", ""]))
    return "; ".join([name + equals + draw(VALUES), *draw(st.lists(ATTRIBUTES, max_size=4))])


#: Of so many names that a browser drops cookies, some of which came again.
MANY_COOKIES = st.builds(
    "n{}={}{}".format,
    st.integers(0, 300),
    st.integers(0, 1),
    st.sampled_from(["", "", "; Secure", "; Path=/a", "; Max-Age=0"]),
)
MANY_STEPS = st.lists(st.tuples(st.just("/"), st.lists(MANY_COOKIES, min_size=50, max_size=100)), min_size=3)
STEPS = st.lists(st.tuples(st.sampled_from(PATHS), st.lists(set_cookies(), max_size=3)), min_size=1, max_size=4)


@settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), print_blob=False
)  # fmt: skip
@given(st.sampled_from(HOSTS), STEPS)
def test_chromium_sends_the_same_cookies(
    pages: dict[str, Page], server: CookieServer, host: str, steps: list[tuple[str, list[str]]]
) -> None:
    pages[host].context.clear_cookies()
    asked = [*steps, *((path, []) for path in PATHS)]
    assert server.play(pages[host], asked) == of_the_jar(host, asked)


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), print_blob=False)
@given(MANY_STEPS)
def test_chromium_drops_the_same_cookies_when_there_are_too_many(
    pages: dict[str, Page], server: CookieServer, steps: list[tuple[str, list[str]]]
) -> None:
    pages["localhost"].context.clear_cookies()
    asked = [*steps, ("/a", []), ("/", [])]
    assert server.play(pages["localhost"], asked) == of_the_jar("localhost", asked)
