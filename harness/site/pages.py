"""The HTML of the site's pages, in the look of the report."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment

from harness.report.html.page import environment
from harness.site.live_run import LiveRun
from harness.site.run_index import FilterChoices, ListedRun, RunFilter
from harness.site.trends import FIGURES, Trend


class Pages:
    """Renders the pages. Every value of a run is escaped."""

    def __init__(self) -> None:
        self._templates: Environment = environment(Path(__file__).parent)

    def render_runs(self, runs: Sequence[ListedRun], chosen: RunFilter) -> str:
        """The list of runs, and the form that filters it."""
        return self._render("runs.html.j2", runs=chosen.select(runs), chosen=chosen, choices=FilterChoices.of(runs))

    def render_trend(self, scenario: str, trend: Trend) -> str:
        """A figure over the runs of a scenario."""
        return self._render("trend.html.j2", scenario=scenario, trend=trend, figures=FIGURES)

    def render_live(self, listed: ListedRun, live: LiveRun) -> str:
        """The page of a run in progress, as it is now; its script keeps it up to date."""
        return self._render("live.html.j2", listed=listed, live=live)

    def render_live_view(self, live: LiveRun) -> str:
        """The part of that page which changes: figures and charts."""
        return self._render("live_view.html.j2", live=live)

    def render_message(self, message: str, refresh_s: int = 0) -> str:
        """A page that says one thing; with ``refresh_s``, the browser asks again after that time."""
        return self._render("message.html.j2", message=message, refresh_s=refresh_s)

    def _render(self, template: str, **values: object) -> str:
        return self._templates.get_template(template).render(**values)
