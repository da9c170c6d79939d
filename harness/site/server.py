"""The site of ``harness serve``: it listens on loopback, reads the files of runs, and writes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK
from harness.report.html.page import SCRIPT_HASH
from harness.results.live import LiveTail
from harness.site.live_run import LiveRun
from harness.site.pages import Pages
from harness.site.run_index import ListedRun, RunFilter, RunIndex
from harness.site.trends import FIGURES, Trend, collect_runs

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: How often the file of a run in progress is read.
_INTERVAL_S = 0.5
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
#: A report is a file of a run, which anybody may have written: it is of no origin, and runs no script but the report's.
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    f"script-src '{SCRIPT_HASH}'; frame-ancestors 'none'; base-uri 'none'"
)
_SCRIPT = Path(__file__).with_name("live.js").read_text(encoding="utf-8")


@web.middleware
async def _require_own_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request for another host: a page elsewhere may let its name point to loopback (DNS rebinding)."""
    port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
    if request.host not in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
        return web.Response(status=421, text="this site answers under its own address alone\n")
    return await handler(request)


@dataclass
class Watchers:
    """How many pages follow a run."""

    count: int = 0


class RunSite:
    """Answers the requests for its pages."""

    def __init__(self, results: Path) -> None:
        self._runs = RunIndex(results)
        self._pages = Pages()
        self._closing = asyncio.Event()
        self.watchers = Watchers()

    def application(self) -> web.Application:
        """The site as an application of aiohttp."""
        app = web.Application(middlewares=[_require_own_host])
        app.router.add_get("/", self.show_runs)
        app.router.add_get("/live", self.show_newest)
        app.router.add_get("/live.js", self.send_script)
        app.router.add_get("/trends/{scenario}/{figure}", self.show_trend)
        app.router.add_get("/runs/{scenario}/{run}/live", self.show_live)
        app.router.add_get("/runs/{scenario}/{run}/events", self.follow)
        app.router.add_get("/runs/{scenario}/{run}/report", self.show_report)
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self.close)
        return app

    async def close(self, _app: web.Application) -> None:
        """End the streams of events, which would keep the server from ending."""
        self._closing.set()

    async def show_runs(self, request: web.Request) -> web.Response:
        """The runs that the query asks for."""
        names = ("scenario", "design", "verdict")
        chosen = RunFilter(**{name: request.query.get(name, "") for name in names})
        return _page(self._pages.render_runs(self._runs.list_all(), chosen))

    async def show_trend(self, request: web.Request) -> web.Response:
        """A figure over the runs of a scenario."""
        scenario = request.match_info["scenario"]
        figure = next((figure for figure in FIGURES if figure.name == request.match_info["figure"]), None)
        runs = collect_runs(self._runs.list_scenario(scenario), self._runs.find_baseline(scenario))
        if figure is None or not runs:
            raise self._missing("No run of this scenario has such a figure.")
        return _page(self._pages.render_trend(scenario, Trend(figure, runs)))

    async def show_report(self, request: web.Request) -> web.Response:
        """The report of a run, as it was written."""
        listed = self._find(request)
        if not listed.has_report:
            raise self._missing(f"This run has no report; harness report {listed.run.path} writes it.")
        response = _page((listed.run.path / "report.html").read_text(encoding="utf-8", errors="replace"))
        response.headers["Content-Security-Policy"] = _REPORT_POLICY
        return response

    async def show_newest(self, _request: web.Request) -> web.Response:
        """Lead to the run in progress, or wait for one."""
        listed = self._runs.find_running()
        if listed is None:
            return _page(self._pages.render_message("No run is in progress. This page waits for one.", refresh_s=1))
        raise web.HTTPFound(f"/runs/{listed.run.plan.scenario}/{listed.run.plan.run}/live")

    async def show_live(self, request: web.Request) -> web.Response:
        """A run in progress, as it is now."""
        listed, live = self._find(request), LiveRun()
        with suppress(ValueError):  # what the page follows then says so
            live.take(LiveTail(listed.run.path).read())
        return _page(self._pages.render_live(listed, live))

    async def send_script(self, _request: web.Request) -> web.Response:
        """The script of the live page."""
        return web.Response(text=_SCRIPT, content_type="text/javascript")

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: ``view`` (HTML) and ``status`` (text) when they change, ``over`` at the end of the run.

        The stream stays open after that: as long as it is, somebody looks at the page.
        """
        listed = self._find(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.watchers.count += 1
        try:
            async for event, data in self._events(listed):
                await response.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode() if event else b":\n\n")
        except ConnectionResetError:  # the page was closed
            pass
        finally:
            self.watchers.count -= 1
        return response

    async def _events(self, listed: ListedRun) -> AsyncIterator[tuple[str, str]]:
        """The events of a run in progress; an empty one where there is nothing new."""
        live, tail, status, over = LiveRun(), LiveTail(listed.run.path), "", 0
        while not self._closing.is_set():
            try:
                lines = tail.read()
                live.take(lines)
            except ValueError as problem:
                yield "status", f"This run cannot be followed: {problem}."
                return
            if lines:
                yield "view", self._pages.render_live_view(live)
            if live.status != status:
                status = live.status
                yield "status", status
            over = 0 if listed.run.is_being_written else over + 1
            # Between its measurement and its analysis a run is not marked as being written for a moment.
            if over == 2:
                found = self._runs.find(listed.run.plan.scenario, listed.run.plan.run)
                yield "over", f"The run is over: {found.state if found else 'it was removed'}."
            yield "", ""
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _INTERVAL_S)

    def _find(self, request: web.Request) -> ListedRun:
        """The run that a request names, looked up among those that are there."""
        listed = self._runs.find(request.match_info["scenario"], request.match_info["run"])
        if listed is None:
            raise self._missing("There is no such run.")
        return listed

    def _missing(self, message: str) -> web.HTTPNotFound:
        return web.HTTPNotFound(text=self._pages.render_message(message), content_type="text/html")


def _page(html: str) -> web.Response:
    return web.Response(text=html, content_type="text/html")


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the policy to a response that has none of its own."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


@dataclass(frozen=True)
class ServedSite:
    """A site that answers."""

    address: str
    watchers: Watchers


@asynccontextmanager
async def serve(results: Path, port: int) -> AsyncIterator[ServedSite]:
    """Serve the runs below a directory on loopback, for the length of a scope; port 0 is a free one.

    Raises:
        EnvironmentLacksError: the port is taken.
    """
    site = RunSite(results)
    runner = web.AppRunner(site.application(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await _listen(runner, port)
        yield ServedSite(f"http://{LOOPBACK}:{runner.addresses[0][1]}", site.watchers)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
    except OSError as problem:
        raise EnvironmentLacksError(f"port {port} is taken: {problem.strerror}", "choose another --port") from problem
