"""What happened to every session, with the loss that the design's theory predicted."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.analysis.metrics.sessions import group_known_by_session
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import SessionVerdict
from harness.report.charts import style
from harness.report.charts.chart import Cell, Drawing, Table, Tooltip, tooltip_at
from harness.report.charts.words import describe_kept, describe_more_losers, format_ratio
from harness.results.summary import SessionFigures

_TITLE = "Outcomes of the sessions"
_LABEL_PAD = 8.0  # points between a name and its bar, where half a diamond lies if no loss is predicted
_MAX_LOSERS = 3  # designs that the caption names as losers


@dataclass(frozen=True)
class OutcomeBand:
    """One part of a bar: outcomes drawn together, with their name, colour and hatch."""

    name: str
    color: str
    hatch: str
    outcomes: tuple[SessionOutcome, ...]


#: Lost comes first, so that it starts at zero like its prediction; kept comes last.
BANDS = (
    OutcomeBand("lost", style.VERMILION, "////", (SessionOutcome.LOST,)),
    OutcomeBand(
        "rolled back or stale",
        style.ORANGE,
        "||||",
        (SessionOutcome.ROLLED_BACK, SessionOutcome.LOST_WRITES, SessionOutcome.STALE),
    ),
    OutcomeBand("leaked", style.INK, "", (SessionOutcome.LEAKED,)),
    OutcomeBand("duplicated", style.PURPLE, "xxxx", (SessionOutcome.DUPLICATED,)),
    OutcomeBand("forced to log in", style.BLUE, "\\\\\\\\", (SessionOutcome.FORCED_LOGIN,)),
    OutcomeBand("unexplained", style.YELLOW, "++++", (SessionOutcome.UNEXPLAINED, SessionOutcome.UNKNOWN)),
    OutcomeBand("kept", style.GREY, "", (SessionOutcome.KEPT,)),
)
_BAND_OF = {outcome: index for index, band in enumerate(BANDS) for outcome in band.outcomes}


@dataclass(frozen=True)
class Outcomes:
    """One arm's sessions with a known outcome, each counted once, under its gravest outcome."""

    design: str
    arm: str
    counts: tuple[int, ...]  # one per band of BANDS
    expected_lost: int | None
    loss_interval_99: tuple[float, float] | None
    unknown: int = 0  # sessions in addition to these

    @property
    def judged(self) -> int:
        """All sessions with a known outcome."""
        return sum(self.counts)

    @property
    def lost(self) -> int:
        """Sessions that lost their state."""
        return self.counts[0]

    @property
    def bands(self) -> list[tuple[OutcomeBand, int]]:
        """The bands with at least one session, with their counts."""
        return [(band, count) for band, count in zip(BANDS, self.counts, strict=True) if count]

    @property
    def harms(self) -> list[str]:
        """Every band except ``kept`` in words: ``3 lost``."""
        return [f"{count:,} {band.name}" for band, count in self.bands if band is not BANDS[-1]]


def count_outcomes(
    design: str, arm: str, judgements: Sequence[SessionVerdict], sessions: SessionFigures | None
) -> Outcomes:
    """Count an arm's sessions by band; a session with several writers counts under its worst outcome."""

    def band(verdict: SessionVerdict) -> int:
        # A session that both lost its state and leaked is drawn as lost, since that was predicted.
        return _BAND_OF[SessionOutcome.LOST if verdict.lost else verdict.outcome]

    counts = Counter(min(map(band, writers)) for writers in group_known_by_session(judgements).values())
    return Outcomes(
        design,
        arm,
        tuple(counts[index] for index in range(len(BANDS))),
        sessions.expected_lost if sessions else None,
        sessions.loss_interval_99 if sessions else None,
        sessions.unknown - sessions.proven if sessions else 0,
    )


def figure(arms: Sequence[Outcomes]) -> Figure:
    """One stacked bar per arm, in per cent of its sessions, with the predicted loss as a diamond."""
    names = [f"{style.short(arm.design)}\n{'with' if arm.arm == 'fault' else 'no'} fault" for arm in arms]
    handles = _handles(arms)
    left = style.room([arm.design for arm in arms] + ["with fault"]) + _LABEL_PAD / 72
    frame = style.Frame(left=left, right=1.9, top=style.top(handles), bottom=0.5)
    drawn, [[axes]] = style.panels(_TITLE, (1, 1), max(0.36 * len(arms), 0.6), frame)
    for place, arm in enumerate(arms):
        _draw_bar(axes, place, arm)
        axes.text(101.5, place, _label(arm), va="center", fontsize=7.5, color=style.INK)
    axes.set_yticks(range(len(arms)), names)
    axes.tick_params(axis="y", length=0, labelcolor=style.INK, labelsize=7.5, pad=_LABEL_PAD)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the sessions judged")
    style.legend(drawn, handles)
    return drawn


def _draw_bar(axes: Axes, place: int, arm: Outcomes) -> None:
    if not arm.judged:
        return
    left = 0.0
    for band, count in arm.bands:
        width = 100 * count / arm.judged
        axes.barh(place, width, 0.62, left, color=band.color, hatch=band.hatch, ec=style.PAPER, lw=0.5)
        left += width
    if arm.loss_interval_99 is not None and arm.arm == "fault":
        low, high = (100 * bound for bound in arm.loss_interval_99)
        axes.errorbar((low + high) / 2, place, xerr=(high - low) / 2, color=style.INK, lw=1.1, capsize=3, clip_on=False)
    if arm.expected_lost is not None:
        x = 100 * arm.expected_lost / arm.judged
        axes.plot(x, place, "D", ms=5.5, mfc=style.PAPER, mec=style.INK, mew=1.2, clip_on=False, zorder=5)


def _label(arm: Outcomes) -> str:
    """The text beside a bar: at most two harms, and the unknown sessions."""
    more = ", …" if len(arm.harms) > 2 else ""
    outcome = ",\n".join(arm.harms[:2]) + f"{more} of {arm.judged:,}" if arm.harms else f"all {arm.judged:,} kept"
    unknown = f"{arm.unknown:,} unknown" if arm.unknown else ""
    return "\n".join(filter(None, [outcome if arm.judged else "no session judged", unknown]))


def _handles(arms: Sequence[Outcomes]) -> list[Artist]:
    handles: list[Artist] = [
        Patch(fc=band.color, hatch=band.hatch, ec=style.PAPER, label=band.name)
        for index, band in enumerate(BANDS)
        if any(arm.counts[index] for arm in arms)
    ]
    if any(arm.expected_lost is not None for arm in arms):
        handles.append(style.symbol("predicted lost", "D", style.INK, style.PAPER))
    if any(arm.loss_interval_99 is not None and arm.arm == "fault" for arm in arms):
        handles.append(Line2D([], [], color=style.INK, lw=1.1, marker="|", label="99 % interval of lost"))
    return handles


def finding(arms: Sequence[Outcomes]) -> str:
    """What was lost with the fault, compared with the prediction, and whether the controls stayed clean."""
    faulted = [arm for arm in arms if arm.arm == "fault"]
    controls = [arm for arm in arms if arm.arm == "control" and arm.judged]
    sentences = [
        f"With the fault {_describe_losses(faulted)}." if faulted else "",
        f"Without it {_describe_controls(controls)}." if controls else "",
    ]
    return " ".join(filter(None, sentences)) or "No session was judged."


def _describe_controls(controls: Sequence[Outcomes]) -> str:
    harmed = [f"{arm.design} {', '.join(arm.harms)} of {arm.judged:,}" for arm in controls if arm.harms]
    if harmed:
        return f"some sessions were harmed: {'; '.join(harmed)}"
    return f"no session was harmed: {format_ratio(0, sum(arm.judged for arm in controls))}"


def _describe_losses(arms: Sequence[Outcomes]) -> str:
    losers = sorted((arm for arm in arms if arm.lost), key=lambda arm: -arm.lost)
    clauses = [_describe_loss(arm) for arm in losers[:_MAX_LOSERS]]
    if rest := losers[_MAX_LOSERS:]:
        clauses.append(describe_more_losers([(arm.lost, arm.judged) for arm in rest]))
    if kept := {arm.design: arm.judged for arm in arms if arm.judged and not arm.lost}:
        clauses.append(describe_kept(kept))
    return "; ".join(clauses) or "no session was judged"


def _describe_loss(arm: Outcomes) -> str:
    loss = f"{arm.design} lost {format_ratio(arm.lost, arm.judged)}"
    return loss if arm.expected_lost is None else f"{loss}, predicted {arm.expected_lost:,}"


def drawing(arms: Sequence[Outcomes]) -> Drawing:
    """The chart with its words."""
    alt = (
        f"Stacked horizontal bars, one for each of {len(arms)} arms: the share of its sessions that were lost, "
        "rolled back, leaked, duplicated, sent to the login, unexplained or kept; a diamond marks the predicted loss."
    )
    drawn = figure(arms)
    return Drawing("outcomes", _TITLE, finding(arms), alt, _table(arms), drawn, tuple(_tooltips(drawn, arms)))


def _table(arms: Sequence[Outcomes]) -> Table:
    bands = [band.name for band in BANDS]
    rows: list[tuple[Cell, ...]] = []
    for arm in arms:
        low_high = [f"{100 * bound:.2f} %" for bound in arm.loss_interval_99 or ()]
        interval = " to ".join(low_high) or None
        rows.append((arm.design, arm.arm, arm.judged, *arm.counts, arm.unknown, arm.expected_lost, interval))
    columns = ("design", "arm", "judged", *bands, "unknown", "predicted lost", "loss rate, 99 % interval")
    return Table(columns, tuple(rows))


def _tooltips(drawn: Figure, arms: Sequence[Outcomes]) -> Iterator[Tooltip]:
    """A tooltip in the middle of each segment of each bar."""
    for place, arm in enumerate(arms):
        left = 0.0
        for band, count in arm.bands:
            width = 100 * count / arm.judged
            text = f"{arm.design}, {arm.arm} arm: {count:,} {band.name} of {arm.judged:,}"
            yield tooltip_at(drawn.axes[0], (left + width / 2, place), text, arm.design)
            left += width
