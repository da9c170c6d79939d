"""What happened to every session, beside what the design's theory predicted for the fault."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.analysis.metrics.sessions import group_judged_by_session
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import SessionVerdict
from harness.report.charts import style
from harness.report.charts.chart import Drawing, Table, Tooltip, spot
from harness.report.charts.words import format_ratio, listed, plural
from harness.results.summary import SessionFigures

_TITLE = "Sessions by what happened to them"
_MAX_NAMED = 3  # designs that lost sessions, in the caption


@dataclass(frozen=True)
class OutcomeBand:
    """One part of a bar: the outcomes that are drawn together, their name, colour and hatch."""

    name: str
    color: str
    hatch: str
    outcomes: tuple[SessionOutcome, ...]


#: Lost first, so that it starts at zero and stands against its prediction; kept last, as what is left.
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
    OutcomeBand("forced login", style.BLUE, "\\\\\\\\", (SessionOutcome.FORCED_LOGIN,)),
    OutcomeBand("unexplained", style.YELLOW, "++++", (SessionOutcome.UNEXPLAINED, SessionOutcome.UNKNOWN)),
    OutcomeBand("kept", style.GREY, "", (SessionOutcome.KEPT,)),
)
_BAND_OF = {outcome: index for index, band in enumerate(BANDS) for outcome in band.outcomes}


@dataclass(frozen=True)
class Outcomes:
    """The judged sessions of one arm, each counted once, by the gravest thing that happened to it."""

    design: str
    arm: str
    counts: tuple[int, ...]  # one for each of BANDS
    expected_lost: int | None
    loss_interval_99: tuple[float, float] | None
    unknown: int = 0  # sessions that are not among these

    @property
    def judged(self) -> int:
        """All of them."""
        return sum(self.counts)

    @property
    def lost(self) -> int:
        """Those that lost their state."""
        return self.counts[0]

    @property
    def as_predicted(self) -> bool | None:
        """Whether exactly as many were lost as the theory said; None where it says nothing."""
        return None if self.expected_lost is None else self.lost == self.expected_lost

    @property
    def bands(self) -> list[tuple[OutcomeBand, int]]:
        """The bands that any session is in, with their counts."""
        return [(band, count) for band, count in zip(BANDS, self.counts, strict=True) if count]

    @property
    def harms(self) -> list[str]:
        """All that is not ``kept``, in words: ``3 lost``."""
        return [f"{count:,} {band.name}" for band, count in self.bands if band is not BANDS[-1]]


def _band(verdict: SessionVerdict) -> int:
    """The index of its band; a session that lost its state and leaked too is drawn as lost, which was predicted."""
    return _BAND_OF[SessionOutcome.LOST if verdict.lost else verdict.outcome]


def outcomes(design: str, arm: str, judgements: Sequence[SessionVerdict], sessions: SessionFigures | None) -> Outcomes:
    """Count an arm's sessions by band, each by its worst writer."""
    counts = Counter(min(map(_band, writers)) for writers in group_judged_by_session(judgements).values())
    return Outcomes(
        design,
        arm,
        tuple(counts[index] for index in range(len(BANDS))),
        sessions.expected_lost if sessions else None,
        sessions.loss_interval_99 if sessions else None,
        sessions.unknown if sessions else 0,
    )


def figure(arms: Sequence[Outcomes]) -> Figure:
    """One stacked bar per arm, in per cent of its sessions, with the predicted loss as a diamond."""
    names = [f"{style.short(arm.design)}\n{'with' if arm.arm == 'fault' else 'no'} fault" for arm in arms]
    handles = _handles(arms)
    left = style.room([arm.design for arm in arms] + ["with fault"])
    frame = style.Frame(left=left, right=1.9, top=style.top(handles), bottom=0.5)
    drawn, [[axes]] = style.panels(_TITLE, (1, 1), max(0.36 * len(arms), 0.6), frame)
    for place, arm in enumerate(arms):
        _bar(axes, place, arm)
        axes.text(101.5, place, _beside(arm), va="center", fontsize=7.5, color=style.INK)
    axes.set_yticks(range(len(arms)), names)
    axes.tick_params(axis="y", length=0, labelcolor=style.INK, labelsize=7.5)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the sessions judged")
    style.legend(drawn, handles)
    return drawn


def _bar(axes: Axes, place: int, arm: Outcomes) -> None:
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


def _beside(arm: Outcomes) -> str:
    more = ", …" if len(arm.harms) > 2 else ""
    label = ",\n".join(arm.harms[:2]) + f"{more} of {arm.judged:,}" if arm.harms else f"all {arm.judged:,} kept"
    unknown = f"{arm.unknown:,} unknown" if arm.unknown else ""
    return "\n".join(filter(None, [label if arm.judged else "no session judged", unknown]))


def _handles(arms: Sequence[Outcomes]) -> list[Artist]:
    drawn = {band.name for arm in arms for band, _ in arm.bands}
    handles: list[Artist] = [
        Patch(fc=band.color, hatch=band.hatch, ec=style.PAPER, label=band.name) for band in BANDS if band.name in drawn
    ]
    if any(arm.expected_lost is not None for arm in arms):
        handles.append(style.symbol("predicted lost", "D", style.INK, style.PAPER))
    if any(arm.loss_interval_99 is not None and arm.arm == "fault" for arm in arms):
        handles.append(Line2D([], [], color=style.INK, lw=1.1, marker="|", label="99 % interval of lost"))
    return handles


def finding(arms: Sequence[Outcomes]) -> str:
    """What was lost with the fault, against the prediction, and whether the controls stayed clean."""
    faulted = [arm for arm in arms if arm.arm == "fault"]
    controls = [arm for arm in arms if arm.arm == "control" and arm.judged]
    sentences = [f"With the fault {_summarize_losses(faulted)}."] if faulted else []
    sentences += [_summarize_controls(controls)] if controls else []
    return " ".join(sentences) or "No session was judged."


def _summarize_controls(arms: Sequence[Outcomes]) -> str:
    harmed = [f"{arm.design} {', '.join(arm.harms)} of {arm.judged:,}" for arm in arms if arm.harms]
    if harmed:
        return f"Without it: {'; '.join(harmed)}."
    return f"Without it nothing happened to any session: {format_ratio(0, _count_judged(arms))}."


def _summarize_losses(arms: Sequence[Outcomes]) -> str:
    losers = sorted((arm for arm in arms if arm.lost), key=lambda arm: -arm.lost)
    kept = [arm for arm in arms if not arm.lost and arm.judged]
    parts = [_describe_loss(arm) for arm in losers[:_MAX_NAMED]]
    if rest := losers[_MAX_NAMED:]:
        lost = sum(arm.lost for arm in rest)
        parts.append(f"{plural(len(rest), 'design')} more lost {lost:,} of {_count_judged(rest):,}")
    if kept:
        names = listed([arm.design for arm in kept])
        parts.append(f"{names} lost none of {plural(_count_judged(kept), 'session')}")
    return "; ".join(parts) or "no session was judged"


def _count_judged(arms: Sequence[Outcomes]) -> int:
    return sum(arm.judged for arm in arms)


def _describe_loss(arm: Outcomes) -> str:
    predicted = "" if arm.expected_lost is None else f", predicted {arm.expected_lost:,}"
    return f"{arm.design} lost {format_ratio(arm.lost, arm.judged)}{predicted}"


def drawing(arms: Sequence[Outcomes]) -> Drawing:
    """The chart with its words."""
    columns = (
        "design",
        "arm",
        "judged",
        *(band.name for band in BANDS),
        "unknown",
        "predicted lost",
        "loss rate, 99 % interval",
    )
    rows = tuple(
        (arm.design, arm.arm, arm.judged, *arm.counts, arm.unknown, arm.expected_lost, _interval(arm.loss_interval_99))
        for arm in arms
    )
    alt = (
        f"Stacked horizontal bars, one for each of {len(arms)} arms: the share of its sessions that were lost, "
        "rolled back, leaked, duplicated, sent to the login, unexplained or kept; a diamond stands where "
        "the theory predicted the loss."
    )
    drawn = figure(arms)
    return Drawing("outcomes", _TITLE, finding(arms), alt, Table(columns, rows), drawn, tuple(_spots(drawn, arms)))


def _spots(drawn: Figure, arms: Sequence[Outcomes]) -> Iterator[Tooltip]:
    """A tooltip in the middle of each part of each bar."""
    for place, arm in enumerate(arms):
        left = 0.0
        for band, count in arm.bands:
            width = 100 * count / arm.judged
            text = f"{arm.design}, {arm.arm} arm: {count:,} {band.name} of {arm.judged:,}"
            yield spot(drawn.axes[0], (left + width / 2, place), text)
            left += width


def _interval(bounds: tuple[float, float] | None) -> str | None:
    return None if bounds is None else f"{100 * bounds[0]:.2f} % to {100 * bounds[1]:.2f} %"
