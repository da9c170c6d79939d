"""The strongest counter-experiment to each claim: where does it stop holding, and what would argue against it?"""

from collections.abc import Callable, Mapping

from harness.claims.balancing import MESH, PINNING, SPREAD
from harness.claims.claim import CounterExperiment, CounterFinding, RequiredRun, Runs, UnsettledError, require_measured
from harness.claims.crash import NODE_KILL, STORE_KILL
from harness.claims.deploy import AUTOSCALE, PET, SERVERLESS
from harness.claims.devices import DEVICES
from harness.claims.durable import CHECKPOINT, CQRS, SAGA
from harness.claims.growth import SCALE, SCALE_OUT
from harness.claims.login import LOGIN
from harness.claims.payload import CONTENT, PAYLOAD
from harness.claims.replication import STORE_FAILOVER
from harness.claims.sockets import CHAT, GAME
from harness.results.summary import ArmFigures

LIMITS = RequiredRun("limits")


def _lost(arm: ArmFigures) -> str:
    return f"{arm.sessions.lost} of {arm.sessions.judged} sessions lost"


def _any_instance(runs: Runs) -> CounterFinding:
    split = runs.arm("node_kill", "split_keys", "control").sessions
    skewed, in_step = (runs.arm("limits", name, "control") for name in ("skewed", "in_step"))
    harmed = skewed.sessions.lost + skewed.sessions.forced_login
    return CounterFinding(
        split.forced_login + harmed > 0,
        f"with a signing key per replica {split.forced_login} of {split.judged} sessions were sent to the login; with "
        f"clocks that differ by 1.5 s from replica to replica, and tokens that last 2 s, {harmed} of "
        f"{skewed.sessions.judged} lost their state or were sent to the login, and {in_step.sessions.lost} of "
        f"{in_step.sessions.judged} with clocks in step",
    )


def _large_tokens(runs: Runs) -> CounterFinding:
    jwt, nginx = runs.arm("payload", "jwt", "control").writes, runs.arm("payload", "jwt_nginx", "control").requests
    return CounterFinding(
        jwt.lost > 0,
        f"a token over 4 KB is dropped by the browser: {jwt.lost:,} of {jwt.acknowledged:,} acknowledged writes were "
        f"lost; behind nginx with its usual buffers {nginx.attempted - nginx.ok:,} of {nginx.attempted:,} requests "
        "failed",
    )


def _shared_store(runs: Runs) -> CounterFinding:
    design = next(design for design in runs.scaling("scale").designs if design.name == "redis")
    last = design.sizes[-1]
    share = require_measured(design.fit.efficiency(last.point), "the efficiency with a store")
    return CounterFinding(
        share < 0.9,
        f"with the state in one Redis the efficiency at {last.replicas} replicas was {100 * share:.0f} %, bound by "
        f"{last.capacity.bound_by}",
    )


def _sticky_growth(runs: Runs) -> CounterFinding:
    cookie = runs.arm("scale_out", "cookie").sessions
    return CounterFinding(
        cookie.moved == cookie.lost == 0,
        f"behind a cookie the new replica cost nothing: {cookie.moved} of {cookie.judged} sessions moved and "
        f"{cookie.lost} were lost; it serves new sessions only",
    )


def _in_flight(runs: Runs) -> CounterFinding:
    arms = [runs.arm("node_kill", name).requests for name in ("stateless", "hybrid")]
    broken, attempted = sum(arm.failed + arm.in_doubt for arm in arms), sum(arm.attempted for arm in arms)
    return CounterFinding(
        broken > 0,
        f"what the dead node was answering was not retried: {broken} of {attempted:,} requests failed or are in doubt, "
        "since a balancer cannot know whether a write was applied",
    )


def _stateful_survives(runs: Runs) -> CounterFinding:
    pet, often = runs.arm("pet", "volume_kept"), runs.arm("checkpoint", "often")
    return CounterFinding(
        pet.sessions.lost == 0,
        f"a stateful replica that came back with its event log: {_lost(pet)}; with a checkpoint every 0.5 s: "
        f"{_lost(often)}, and {often.writes.lost} of {often.writes.acknowledged:,} writes",
    )


def _one_server(runs: Runs) -> CounterFinding:
    postgres = runs.arm("store_failover", "postgres")
    return CounterFinding(
        postgres.sessions.lost + postgres.writes.lost == 0,
        f"a single PostgreSQL that was killed and came back with its disk, without any replica: {_lost(postgres)}, "
        f"{postgres.writes.lost} of {postgres.writes.acknowledged:,} writes; it was unavailable meanwhile",
    )


def _since_checkpoint(runs: Runs) -> CounterFinding:
    arms = [runs.arm("checkpoint", name).writes for name in ("often", "seldom", "large")]
    lost, acknowledged = sum(arm.lost for arm in arms), sum(arm.acknowledged for arm in arms)
    return CounterFinding(
        lost > 0, f"{lost} of {acknowledged:,} acknowledged writes were newer than the last checkpoint and are gone"
    )


def _even_affinity(runs: Runs) -> CounterFinding:
    cv = require_measured(runs.arm("pinning", "cookie", "control").spread.cv, "the spread of cookie")
    return CounterFinding(
        cv < 0.02, f"with uniform sessions cookie affinity is as even: its coefficient of variation is {cv:.3f}"
    )


def _one_writer(runs: Runs) -> CounterFinding:
    memory = runs.arm("two_devices", "memory", "control").writes
    return CounterFinding(
        memory.lost == 0,
        f"memory behind affinity needs no version check, as one process orders the writes: {memory.lost} of "
        f"{memory.acknowledged:,} acknowledged writes overwritten",
    )


def _abrupt_rotation(runs: Runs) -> CounterFinding:
    abrupt, session = runs.arm("login", "jwt_abrupt").sessions, runs.arm("login", "session", "control")
    jwt = runs.arm("login", "jwt", "control")
    cpu = [require_measured(arm.resources.cpu_ms_per_request, "the CPU of a check") for arm in (jwt, session)]
    return CounterFinding(
        abrupt.forced_login > 0,
        f"a new key without an overlap sent {abrupt.forced_login} of {abrupt.judged} JWT sessions to the login, which "
        f"no session cookie has; the JWT's check saved {cpu[1] - cpu[0]:.2f} ms of {cpu[1]:.2f} ms of CPU",
    )


def _lone_replica(runs: Runs) -> CounterFinding:
    alone, cookie = runs.arm("limits", "alone", "control").sessions, runs.arm("pinning", "cookie").sessions
    return CounterFinding(
        alone.lost == 0,
        f"round-robin over memory is right while there is one replica: {alone.lost} of {alone.judged} sessions lost; "
        f"and sticky sessions are no safety: {cookie.lost} of {cookie.judged} were lost when nodes left and died",
    )


def _warm_functions(runs: Runs) -> CounterFinding:
    warm, running = (
        require_measured(runs.arm("serverless", name, "control").service_ms.p50, f"the time of a call, {name}")
        for name in ("warm", "running")
    )
    return CounterFinding(
        warm < 2 * running,
        f"a warm pool hides the cold start: half of its calls took {warm:.1f} ms, {running:.1f} ms in a process that "
        "always runs",
    )


def _drained(runs: Runs) -> CounterFinding:
    drained = runs.arm("autoscale", "drained")
    return CounterFinding(
        drained.sessions.lost == 0,
        f"a stateful service that is drained before it is scaled in: {_lost(drained)}, if its visits end in time",
    )


def _mesh_moves(runs: Runs) -> CounterFinding:
    memory = runs.arm("mesh", "mesh_memory").sessions
    moved = require_measured(memory.lost_not_at_risk, "the number of lost sessions that were not at risk")
    return CounterFinding(
        moved > 0,
        f"the mesh's own ring hash and outlier detection lost {moved:.0f} of {memory.judged} sessions of replicas that "
        "were alive",
    )


def _unlucky_lookups(runs: Runs) -> CounterFinding:
    requests = runs.arm("content", "content").requests
    broken = requests.failed + requests.in_doubt
    return CounterFinding(
        broken > 0,
        f"{broken} of {requests.attempted:,} lookups failed or stayed without an answer when a replica died: without "
        "state nothing is lost, but something is late",
    )


def _stateless_login(runs: Runs) -> CounterFinding:
    jwt = runs.arm("login", "jwt", "control").sessions
    return CounterFinding(
        jwt.forced_login == 0,
        f"a login without any state on the server works until it has to be revoked: {jwt.forced_login} of "
        f"{jwt.judged} JWT sessions were sent to the login",
    )


def _game_in_redis(runs: Runs) -> CounterFinding:
    redis = runs.arm("game", "redis")
    return CounterFinding(
        redis.sessions.lost == 0,
        f"with positions in Redis the game server itself held nothing worth keeping: {_lost(redis)}; only the "
        "connections were on it",
    )


def _chat_alone(runs: Runs) -> CounterFinding:
    bus = runs.arm("chat", "bus").messages
    if bus is None:
        raise UnsettledError("chat, bus opened no WebSocket; run it again")
    return CounterFinding(
        bus.lost > 0,
        f"the socket is not enough: with sockets and a bus {bus.lost:,} of {bus.due:,} messages were lost while their "
        "receiver reconnected; only a history brings them back",
    )


def _sticky_beats_redis(runs: Runs) -> CounterFinding:
    store = runs.arm("store_kill", "hybrid")
    sticky, hybrid = (
        require_measured(runs.arm("node_kill", name, "control").resources.cpu_ms_per_request, f"the CPU of {name}")
        for name in ("sticky", "hybrid")
    )
    return CounterFinding(
        store.sessions.lost > 0 or sticky < hybrid,
        f"sticky memory has no store that can die: {_lost(store)} when Redis did; and it costs {sticky:.2f} ms of CPU "
        f"per request, Redis {hybrid:.2f} ms",
    )


def _stale_views(runs: Runs) -> CounterFinding:
    reads = [runs.arm("cqrs", name).names["GET /cart"] for name in ("quick_view", "late_view")]
    stale, ok = sum(read.anomalies for read in reads), sum(read.ok for read in reads)
    return CounterFinding(stale > 0, f"{stale} of {ok} reads right after a write did not show it yet")


def _token_fails(runs: Runs) -> CounterFinding:
    writes = runs.arm("payload", "jwt", "control").writes
    copy = runs.arm("login", "jwt", "control").names.get("copy after 0 s")
    worked = copy.statuses.get("200", 0) if copy else 0
    return CounterFinding(
        writes.lost + worked > 0,
        f"the token loses {writes.lost:,} of {writes.acknowledged:,} writes once it outgrows 4 KB, and {worked} copies "
        "of a revoked one still worked right after the logout; the server-side cart has neither",
    )


def _simple_memory(runs: Runs) -> CounterFinding:
    parts = {
        name: require_measured(runs.arm("node_kill", name, "control").resources.processes, f"the processes of {name}")
        for name in ("stateless", "sticky")
    }
    return CounterFinding(
        parts["sticky"] <= parts["stateless"],
        f"state in memory behind affinity is as simple: {parts['sticky']:.0f} processes, {parts['stateless']:.0f} for "
        "the stateless design",
    )


def _undisturbed(runs: Runs) -> CounterFinding:
    sagas = runs.arm("saga", "forgetful", "control").sagas
    if sagas is None:
        raise UnsettledError("saga: the journal of forgetful contains none; run it again")
    return CounterFinding(
        sagas.half_done == 0,
        f"a coordinator without a log needs none until it dies: {sagas.half_done} of {sagas.begun} sagas half done "
        "without a fault",
    )


def _counter(question: str, judge: Callable[[Runs], CounterFinding], *required: RequiredRun) -> CounterExperiment:
    return CounterExperiment(question, required, judge)


#: By the claim's id.
COUNTERS: Mapping[str, CounterExperiment] = {
    "C01": _counter("do replicas agree if their keys or their clocks differ?", _any_instance, NODE_KILL, LIMITS),
    "C02": _counter("does a token of more than 4 KB still carry it?", _large_tokens, PAYLOAD),
    "C03": _counter("does it scale with its state in one store?", _shared_store, SCALE),
    "C04": _counter("does a new replica cost a sticky service anything?", _sticky_growth, SCALE_OUT),
    "C05": _counter("is what was in flight retried too?", _in_flight, NODE_KILL),
    "C06": _counter(
        "does a stateful node that comes back with its volume lose any?", _stateful_survives, PET, CHECKPOINT
    ),
    "C07": _counter("does a single durable server lose anything?", _one_server, STORE_FAILOVER),
    "C08": _counter("what of the writes since the last checkpoint?", _since_checkpoint, CHECKPOINT),
    "C09": _counter("is affinity uneven where all sessions are alike?", _even_affinity, PINNING, SPREAD),
    "C10": _counter("does stateful memory need a version check?", _one_writer, DEVICES),
    "C11": _counter("what does a JWT cost at a key rotation, and what does it save?", _abrupt_rotation, LOGIN),
    "C12": _counter("when is round-robin over memory right?", _lone_replica, LIMITS, PINNING),
    "C13": _counter("is a function with a warm pool slower?", _warm_functions, SERVERLESS),
    "C14": _counter("can a stateful service be scaled in without a loss?", _drained, AUTOSCALE),
    "C15": _counter("does a mesh lose sessions that a plain balancer keeps?", _mesh_moves, MESH),
    "C16": _counter("does a dead replica go unnoticed?", _unlucky_lookups, CONTENT),
    "C17": _counter("does a login work without state on the server?", _stateless_login, LOGIN),
    "C18": _counter("can the game server itself be stateless?", _game_in_redis, GAME),
    "C19": _counter("is the persistent socket enough?", _chat_alone, CHAT),
    "C20": _counter("when does sticky memory beat Redis?", _sticky_beats_redis, NODE_KILL, STORE_KILL),
    "C21": _counter("are reads right at once?", _stale_views, CQRS),
    "C22": _counter("when does the token fail and the server-side cart not?", _token_fails, PAYLOAD, LOGIN),
    "C23": _counter("is a stateful design ever as simple?", _simple_memory, NODE_KILL),
    "C24": _counter("does a coordinator need its log if nothing dies?", _undisturbed, SAGA),
}
