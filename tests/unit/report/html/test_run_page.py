import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from harness.report.charts import Chart, draw
from harness.report.html import page
from harness.report.html.run_page import render, write
from harness.report.setting import Setting
from harness.report.stories import ArmStories, Story
from harness.results.summary import Controls
from harness.results.verdicts import Result, Verdict
from tests.support import charts as fakes

pytestmark = pytest.mark.xdist_group("run page")  # tests share the fixture

NASTY = "<script>alert(1)</script>\"'&"
VERDICTS = [
    Verdict("keeps", Result.PASS, "0 of 200 lost", "stateless"),
    Verdict("clean control", Result.FAIL, "2 anomalies without a fault"),
]
PLAN = {"load": "closed", "seed": 7, "environment": {"cpu": "a cpu", "cores": 2, "git": None}}
VOID = {"meta", "link", "br", "use", "path", "rect", "img"}
SCRIPT = Path(page.__file__).with_name("page.js").read_text(encoding="utf-8")


def scripts(html: str) -> list[str]:
    """The scripts that run: those without a type."""
    return re.findall(r"<script>(.*?)</script>", html, re.DOTALL)


class Page(HTMLParser):
    """A page as its elements: names, attributes, headings and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Chart]:
    return draw(fakes.summary(), fakes.runs(), tmp_path_factory.mktemp("charts"))


@pytest.fixture(scope="module")
def html(charts: Sequence[Chart]) -> str:
    return render(fakes.summary(), VERDICTS, charts, PLAN)


def test_the_finding_comes_before_any_table_or_chart(html: str) -> None:
    finding = html.index("sticky lost 67 of 200 sessions, exactly those at risk")
    assert finding < html.index("<table") < html.index("<figure")


def test_every_chart_is_inline_with_its_finding_and_its_values(html: str, charts: Sequence[Chart]) -> None:
    seen = Page(html)
    assert [div["aria-label"] for div in seen.all("div") if div.get("role") == "img"] == [
        chart.alt for name in ("timeline", "outcomes", "losses", "spectrum", "spread", "cost")
        for chart in charts if chart.name == name
    ]  # fmt: skip
    text = seen.text.replace("\u00a0", " ")
    assert all(chart.finding in text for chart in charts)
    assert text.count("The values behind it") == len(charts)


def test_ids_are_unique_and_references_lead_to_them(html: str) -> None:
    ids = Page(html).ids
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    references = re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"|aria-labelledby=\"([^\"]+)\"", html)
    assert {name for groups in references for name in groups if name} <= set(ids)


def test_nothing_is_fetched_from_anywhere(html: str) -> None:
    assert re.findall(r"https?://|//[a-z]+\.", html) == []
    seen = Page(html)
    assert not any(seen.all(tag) for tag in ("img", "iframe", "object", "embed"))
    assert not any("src" in script for script in seen.all("script"))
    assert [link["href"] for link in seen.all("link")] == ["data:,"]
    assert "@import" not in html


def test_the_policy_permits_only_the_pages_own_script(html: str) -> None:
    assert scripts(html) == [SCRIPT]
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = Page(html).all("meta")[1]["content"]
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_every_chart_has_tooltips_with_values(html: str) -> None:
    data = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    charts = [json.loads(text) for text in data]
    assert len(charts) == len(Page(html).all("figure")) and all(charts)
    assert all(0 <= tooltip["x"] <= 1 and 0 <= tooltip["y"] <= 1 for tooltips in charts for tooltip in tooltips)
    assert any("sticky" in tooltip["text"] for tooltips in charts for tooltip in tooltips)


def test_a_design_can_be_switched_off_in_every_chart_that_shows_it(html: str) -> None:
    buttons = Page(html).all("button")
    assert [button["aria-pressed"] for button in buttons] == ["true"] * len(fakes.summary().designs)
    for number in range(len(buttons)):
        charts = set(re.findall(rf'id="([a-z]+)-d{number}\.', html))
        assert {"timeline", "spectrum", "spread"} <= charts


def test_headings_go_down_one_step_at_a_time(html: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(html).elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_a_reader_without_sight_or_mouse_can_navigate(html: str) -> None:
    seen = Page(html)
    assert seen.all("html")[0]["lang"] == "en"
    assert [len(seen.all(tag)) for tag in ("main", "header", "footer", "nav")] == [1, 1, 1, 1]
    assert seen.all("a")[0]["href"] == "#main"
    assert all("scope" in cell for cell in seen.all("th"))
    scrolling = [box for box in seen.all("div") if box.get("class") in ("box", "scroll")]
    assert scrolling
    assert all(box.get("tabindex") == "0" and box.get("aria-label") for box in scrolling)


def test_text_from_outside_is_escaped(tmp_path: Path) -> None:
    fake = [fakes.Fake(NASTY, lost=1, describe={NASTY: NASTY})]
    summary = replace(fakes.summary(fake), scenario=NASTY, run=NASTY)
    design = replace(summary.designs[NASTY], why=(NASTY,))
    arm = design.arms["fault"]
    spread = replace(arm.spread, per_replica={NASTY: 3, "r1": 2})
    fault = replace(arm.faults[0], kind=NASTY, target=NASTY, evidence={NASTY: NASTY})
    design = replace(design, arms={"fault": replace(arm, spread=spread, faults=(fault,))})
    summary = replace(summary, designs={NASTY: design})
    charts = draw(summary, fakes.runs(fake, ("fault",)), tmp_path)
    plan = {NASTY: {NASTY: [NASTY]}}
    html = render(summary, [Verdict(NASTY, Result.FAIL, NASTY, NASTY)], charts, plan)
    seen = Page(html)
    assert scripts(html) == [SCRIPT]
    assert not any(name.startswith("on") for _, attributes in seen.elements for name in attributes)
    assert NASTY in seen.text


def test_a_failed_verdict_comes_first_and_says_why(html: str) -> None:
    assert html.index("2 anomalies without a fault") < html.index("0 of 200 lost")


def test_the_confusion_matrix_of_the_judge_is_shown(html: str) -> None:
    rows = re.findall(r'<tr><th scope="row">(\w+)</th>((?:<td class="n">[\d,]+</td>)+)</tr>', html)
    matrix = {seeded: re.findall(r">([\d,]+)<", cells) for seeded, cells in rows}
    assert matrix["leaked"] == ["1", "0", "39"]
    assert matrix["lost"] == ["0", "40", "0"]


def test_the_page_says_which_controls_did_not_run(charts: Sequence[Chart]) -> None:
    html = render(replace(fakes.summary(), controls=Controls(None, None)), [], charts, {})
    assert "The calibration did not run" in html
    assert "The echo control did not run" in html
    assert "Nothing was checked" in html


def test_the_plan_is_shown_as_it_is(html: str) -> None:
    seen = Page(html).text
    assert "environment.cpu" in seen
    assert "a cpu" in seen


def test_a_page_without_arms_says_that_nothing_was_measured() -> None:
    assert "nothing was measured" in render(fakes.summary(arms=()), [], [], {})


def test_a_chart_that_belongs_to_no_question_is_shown_too(charts: Sequence[Chart]) -> None:
    html = render(fakes.summary(), [], [replace(charts[0], name="other")], {})
    assert "What else was seen?" in html
    assert len(Page(html).all("figure")) == 1


def test_the_same_run_gives_the_same_page_in_one_file(charts: Sequence[Chart], html: str, tmp_path: Path) -> None:
    path = write(tmp_path, fakes.summary(), VERDICTS, charts, PLAN)
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8") == html
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_done_comes_first_and_controls_come_last(charts: Sequence[Chart]) -> None:
    setting = Setting(load="200 users for 20 s", must_fail=frozenset({"sticky"}))
    html = render(fakes.summary(), VERDICTS, charts, PLAN, setting=setting)
    assert html.index("200 users for 20 s") < html.index("stateless and hybrid lost none of 400 sessions")
    assert "As they must, sticky lost 67" in html
    rows = re.findall(r'<tr data-number="(\d)"( class="control")?>', html)
    assert rows == [("1", ""), ("2", ""), ("0", ' class="control"')]


def test_each_design_says_where_its_state_lives(charts: Sequence[Chart]) -> None:
    fake = fakes.Fake("sticky", describe={"state": "memory", "policy": "cookie"})
    html = render(fakes.summary([fake]), [], charts, {})
    assert "<small>state in the memory of each replica; sticky by cookie</small>" in html


def test_the_count_of_a_design_leads_to_the_stories_of_its_sessions(charts: Sequence[Chart]) -> None:
    story = Story(17, "session 17: lost", ("0.1 s GET /cart",), ("judged lost",))
    html = render(fakes.summary(), [], charts, {}, stories=[ArmStories("sticky", "fault", 67, (story,))])
    assert '<a href="#stories0">lost 67' in html
    seen = Page(html)
    assert {"stories0", "story0-17"} <= set(seen.ids)
    assert "1 of 67 sessions" in seen.text and "GET /cart" in seen.text


def test_requests_are_listed_by_name_with_their_total(html: str) -> None:
    assert "How did each request fare?" in html
    assert html.count('<tr class="total">') == 2 * len(fakes.TRIO)


def test_flags_that_were_left_alone_are_in_the_whole_list_only(charts: Sequence[Chart]) -> None:
    plan = {"flags": {"quick": True, "seed": None, "design": [], "backend": "process"}, "seed": 7}
    html = render(fakes.summary(), [], charts, plan)
    short, whole = html.split("Every setting, the defaults too")
    assert ">flags.quick<" in short and ">flags.quick<" in whole
    assert ">flags.backend<" not in short and ">flags.backend<" in whole and ">flags.seed<" in whole


def test_the_evidence_of_a_fault_is_in_words(html: str) -> None:
    assert "kill r1 at 8 s, undone at 14 s; " in html
