"""A redirect leads Chromium and a session to the same request."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from harness.load.http.client import Client
from harness.load.http.redirects import InvalidRedirectError, redirected_request
from harness.load.http.response import Head, Response
from tests.support.chromium import chromium
from tests.support.page_server import STEP, PageHandler, page_server

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("redirects")]

FETCH = """async ([method, path]) => {
  try { await fetch(path, {method, cache: "no-store", headers: {"X-Step": "1"}}) } catch {}
}"""
#: A method and a path; None where nothing is asked for.
Asked = tuple[str, str] | None


@dataclass
class RedirectingServer:
    """Answers the first request of a step with a redirect, and keeps the second."""

    port: int = 0
    redirect: bytes | None = None
    followed: Asked = None

    def play(self, page: Page, method: str, path: str, status: int, location: bytes) -> Asked:
        """What a page asks for after this redirect."""
        self.redirect, self.followed = head_of(status, location) + b"\r\nContent-Length: 0\r\n\r\n", None
        page.evaluate(FETCH, [method, path])
        return self.followed


@contextmanager
def redirecting_server() -> Iterator[RedirectingServer]:
    """A server for the length of a scope."""
    script = RedirectingServer()

    class Handler(PageHandler):
        def do_GET(self) -> None:  # noqa: N802 - a name of the standard library
            if STEP in self.headers and script.redirect is not None:
                redirect, script.redirect = script.redirect, None
                self.wfile.write(redirect)
                return
            if STEP in self.headers:
                script.followed = self.command, self.requestline.split()[1]
            self.answer()

        do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - names of the standard library

    with page_server(Handler) as script.port:
        yield script


@pytest.fixture(scope="module")
def server() -> Iterator[RedirectingServer]:
    with redirecting_server() as script:
        yield script


@pytest.fixture(scope="module")
def page(server: RedirectingServer) -> Iterator[Page]:
    with chromium() as browser:
        opened = browser.new_page()
        opened.goto(f"http://127.0.0.1:{server.port}/page")
        yield opened


def head_of(status: int, location: bytes) -> bytes:
    return b"HTTP/1.1 %d Moved\r\nLocation: %b" % (status, location)


def of_a_session(port: int, method: str, path: str, status: int, location: bytes) -> Asked:
    """What a session asks for after this redirect."""
    head = Head.parse(head_of(status, location))
    try:
        hop = redirected_request(
            Client(1).request(method, path), Response(head, status, b""), f"http://127.0.0.1:{port}"
        )
    except InvalidRedirectError:
        return None
    return hop and (hop.method, hop.path)


#: ``PORT`` stands for that of the server.
PIECES = st.sampled_from([
    "/", "a", "b", "..", ".", "%2e%2e", "%2E", "//", "?", "x=1", "&", "#", ";s=1", "\\", "http:", "https:", "HTTP:",
    "//127.0.0.1:PORT", "127.0.0.1:PORT", "http://127.0.0.1:PORT/", "http://127.0.0.1:PORT", "http://127.0.0.1:0PORT/",
    "http:\\\\127.0.0.1:PORT\\x", "http:///", " ", "\t", "%20", "%", "%zz", "\u00e9", '"', "<", ">", "'", "`", "{", "}",
    "|", "^", "[", "]", "!", "$", "*", "+", ",", "=", "@", ":", "~", "\x01", "\x7f", "mailto:", "?a=\u00e9", "?a='\"<>",
    "?a=`{}|^[]", "../../../x", "/..//x", "a:b",
])  # fmt: skip
LOCATIONS = st.lists(PIECES, min_size=1, max_size=5).map("".join)
PATHS = st.sampled_from(["/", "/a", "/a/b/", "/a/b/c?q=/z", "/a;x=1/b", "/a//b"])


STATUSES = st.sampled_from([300, 301, 302, 303, 307, 308])
REDIRECTS = st.tuples(st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]), PATHS, STATUSES, LOCATIONS)


@settings(
    max_examples=1000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), print_blob=False
)  # fmt: skip
@given(REDIRECTS)
def test_chromium_asks_for_the_same(page: Page, server: RedirectingServer, redirect: tuple[str, str, int, str]) -> None:
    method, path, status, location = redirect
    asked = method, path, status, location.replace("PORT", str(server.port)).encode()
    assert server.play(page, *asked) == of_a_session(server.port, *asked)
