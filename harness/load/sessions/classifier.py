"""What a reply means: the one place that turns it into an outcome and, by the session's ledger, into an anomaly.

Requests, messages on a WebSocket and the final sweep are all classified here.
"""

from harness.load.http.client import Connect, Message, Request, Subscribe
from harness.load.http.redirects import REPEATING
from harness.load.http.response import Response
from harness.load.sessions.behaviour import Behaviour, DefaultBehaviour, parse_tally
from harness.load.sessions.context import LoadContext
from harness.load.sessions.gone import sign_of
from harness.observations.identity import Change, IdentityChange, UnreadFinal
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.ledger import Ledger
from harness.oracle.observed import GONE, Observed, Tally

_OK, _FAILED, _IN_DOUBT = Outcome.OK, Outcome.FAILED, Outcome.IN_DOUBT
_SHOWN = 80  # characters of a body that are kept
_LEDGER_TYPES = (Tally, Observed, type(None))  # what a ledger takes as it is

_UNREADABLE = (TypeError, RecursionError)  # what is not the model's, or nested too deeply to compare

#: What a reply answers.
Exchange = Request | Connect | Subscribe | Message
#: A reply alone, before the ledger is asked: its outcome, what it shows of the session, whether it forces a login.
Reading = tuple[Outcome, Tally | Observed | None, bool]


def outcome_of(reply: Response) -> Outcome:
    """The outcome of a request by its reply's status: only the target's own 4xx says that nothing was done."""
    if reply.status < 400:
        return _OK
    return _FAILED if reply.status < 500 and reply.replica else _IN_DOUBT


class Classifier:
    """Classifies what comes back for one session, and settles the session's ledger by it.

    An error in the scenario's own ``observe``, ``reads``, ``check`` or ``forced_login`` is logged once.
    """

    __slots__ = ("_asks_user", "_context", "_gone", "_ledger", "_observe", "_user")

    def __init__(self, context: LoadContext, user: Behaviour, ledger: Ledger) -> None:
        self._context = context
        self._user = user
        self._ledger = ledger
        self._gone = sign_of(user)
        default_observe = getattr(type(user), "observe", None) is DefaultBehaviour.observe
        self._observe = parse_tally if default_observe else user.observe
        # Without a ``forced_login`` of its own, no status below 300 forces one.
        self._asks_user = getattr(type(user), "forced_login", None) is not DefaultBehaviour.forced_login

    def classify(self, exchange: Exchange, op: int, reply: Response, t_end: int) -> tuple[Outcome, Anomaly]:
        """The outcome of a request or message, and what was wrong with it. ``op`` is its write's id, 0 for a read."""
        outcome, observed, forced = self.read(exchange, reply)
        if op and reply.status in REPEATING:
            outcome = _FAILED  # it asks to send the write elsewhere
        context, ledger, head = self._context, self._ledger, reply.head
        boot, t_ns = head.boot or context.boot_of(head), t_end - context.t0
        try:
            anomaly = ledger.settle(op, outcome, observed, boot, t_ns)
        except _UNREADABLE as problem:
            anomaly = self._log_unreadable(problem)
        if observed is GONE:
            self._note_gone(anomaly, reply, t_ns)
        if forced:
            return outcome, max(anomaly, ledger.record_forced_login(t_ns, boot))
        if exchange.check is not None and outcome is _OK and not self._passes_check(exchange, reply):
            return outcome, Anomaly.WRONG
        return outcome, anomaly

    def classify_failure(self, op: int, sent: int, t_end: int) -> tuple[Outcome, Anomaly]:
        """The same without a reply: certainly not done if no byte was ``sent``, else in doubt."""
        outcome = _IN_DOUBT if sent else _FAILED
        return outcome, self._ledger.settle(op, outcome, None, "", t_end - self._context.t0)

    def classify_final(self, reading: Reading, reply: Response, t_end: int) -> Anomaly:
        """What was wrong with the final read, of which no further one is made."""
        outcome, observed, forced = reading
        boot, t_ns = self._context.boot_of(reply.head), t_end - self._context.t0
        self._ledger.unread = UnreadFinal(reply.status, _beginning(reply)) if observed is None else None
        try:
            anomaly = self._ledger.record_final_read(outcome, observed, boot, t_ns)
        except _UNREADABLE as problem:
            self._ledger.unread = UnreadFinal(reply.status, str(problem)[:_SHOWN])
            anomaly = self._log_unreadable(problem)
        if observed is GONE:
            self._note_gone(anomaly, reply, t_ns)
        return max(anomaly, self._ledger.record_forced_login(t_ns, boot)) if forced else anomaly

    def read(self, exchange: Exchange, reply: Response) -> Reading:
        """A reply alone, without the ledger.

        A redirect shows nothing of the session unless it is to the login or the request has ``reads``. What the user
        declares as ``gone`` shows that there is no session any more.
        """
        status = reply.status
        forced = (self._asks_user or status >= 300) and self._forces_login(reply)
        if self._gone is not None and status and self._gone.matches(reply):
            return _FAILED, GONE, forced
        outcome = _FAILED if forced else _OK if status < 400 else outcome_of(reply)
        if not forced and (outcome is not _OK or (status >= 300 and exchange.reads is None)):
            return outcome, None, False
        try:
            observed = (exchange.reads or self._observe)(reply)
        except Exception as problem:
            self._context.log_once("observe raised", problem)
            observed = None
        return outcome, observed if type(observed) in _LEDGER_TYPES else Observed(state=observed), forced

    def _forces_login(self, reply: Response) -> bool:
        try:
            return self._user.forced_login(reply)
        except Exception as problem:
            self._context.log_once("forced_login raised", problem)
            return False

    def _passes_check(self, exchange: Exchange, reply: Response) -> bool:
        try:
            return exchange.check is None or exchange.check(reply)
        except Exception as problem:
            self._context.log_once("check raised", problem)
            return False

    def _note_gone(self, anomaly: Anomaly, reply: Response, t_ns: int) -> None:
        """Keep for the trace which reply said first that the session is gone."""
        if anomaly is Anomaly.LOST:
            why = f"reply {reply.status}: {_beginning(reply)}"
            self._ledger.note_identity(IdentityChange(t_ns, Change.GONE, "session", "", why))

    def _log_unreadable(self, problem: Exception) -> Anomaly:
        """The model does not read such a state: nothing is known of it."""
        self._context.log_once("what was observed is not the model's", problem)
        return Anomaly.NONE


def _beginning(reply: Response) -> str:
    """How the body begins, in one line."""
    return " ".join(reply.body[: 4 * _SHOWN].decode(errors="replace").split())[:_SHOWN]
