import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from targets import apps, state
from targets.__main__ import main
from targets.common.settings import Options, Settings, SettingsError, seconds
from targets.registry import APPS, CLIENTS, STATES
from targets.server import catalog


@pytest.mark.parametrize(("text", "length"), [("20ms", 0.02), ("1m30s", 90), ("0.5", 0.5), ("2h", 7200), ("0s", 0)])
def test_a_duration_is_read_in_seconds(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "20", "ms", "20 ms", "-1s", "1d"][2:])
def test_a_text_that_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="not a duration"):
        seconds(text)


def test_the_registry_lists_every_app_and_every_state_there_is() -> None:
    for package, modules in ((apps, APPS), (state, STATES)):
        files = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
        assert list(modules) == files
        assert list(modules.values()) == [f"{package.__name__}.{name}" for name in files]


@pytest.mark.parametrize("state_name", STATES)
@pytest.mark.parametrize("app_name", APPS)
def test_every_app_takes_every_state_or_refuses_it_with_a_reason(app_name: str, state_name: str) -> None:
    app, state = catalog.load_app(app_name), catalog.load_state(state_name)
    if state_name not in getattr(app, "REFUSES", {}) and app.KEEPS_SESSIONS == state.KEEPS_SESSIONS:
        assert catalog.select(app_name, state_name, Options()) == (app, state)
        return
    reason = "does not go with" if app.KEEPS_SESSIONS == state.KEEPS_SESSIONS else "keeps no"
    with pytest.raises(SettingsError, match=reason) as refusal:
        catalog.select(app_name, state_name, Options())
    assert app_name in str(refusal.value) and state_name in str(refusal.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--app", "carts", "--state", "memory"], "no app 'carts': there is cart, "),
        (["--app", "cart", "--state", "disk"], "no state 'disk': there is checkpoint, "),
        (["--app", "cart", "--state", "none"], "keeps nothing"),
        (["--app", "orders", "--state", "memory"], "keeps no sessions"),
        (["--app", "cart", "--state", "token"], "--secret"),
        (["--app", "cart", "--state", "redis"], "--store"),
        (["--app", "cart", "--state", "redis", "--store", "http://x"], "not the URL of a Redis server"),
        (["--app", "cart", "--state", "memcached", "--store", "memcached://nowhere"], "memcached://host:port"),
        (["--app", "cart", "--state", "postgres", "--store", "redis://127.0.0.1:6379/0"], "postgresql://"),
        (["--app", "cart", "--state", "redis_sentinel", "--store", "sentinel://127.0.0.1:26379"], "sentinel://"),
        (["--app", "cart", "--state", "sqlite"], "--volume"),
        (["--app", "cart", "--state", "memory", "--option", "tll=1s"], "no option 'tll': dedupe, ttl"),
        (["--app", "cart", "--state", "memory", "--option", "ttl"], "KEY=VALUE"),
        (["--app", "cart", "--state", "memory", "--option", "ttl=0s"], "above 0"),
        (["--app", "cart", "--state", "memory", "--option", "dedupe=true"], "yes or no"),
        (["--app", "cart", "--state", "memory", "--service-time", "fast"], "'fast' is not a duration"),
        (["--app", "cart", "--state", "memory", "--service-time", "1ms", "--slots", "0"], "--slots"),
        (["--app", "cart", "--state", "memory", "--journal", "/nowhere/at/all"], "cannot write the journal"),
        (["--app", "cart", "--state", "faulty", "--option", "bugs=drop:much"], "NAME:RATE"),
        (["--app", "cart", "--state", "faulty", "--option", "bugs=crash:0.1"], "no bug 'crash'"),
        (["--app", "cart", "--state", "faulty", "--option", "bugs=drop:0.9,lose:0.2"], "add up to 1"),
    ],
)
def test_a_wrong_setting_is_reported_in_one_line(
    flags: Sequence[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("address", ["", "127.0.0.1", ":80", "127.0.0.1:", "127.0.0.1:x"])
def test_a_peer_without_an_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="--peers r1="):
        Settings("r0", "b0", peers={"r0": "127.0.0.1:80", "r1": address})


def test_a_missing_volume_is_refused(tmp_path: Path) -> None:
    assert Settings("r0", "b0", volume=tmp_path).volume == tmp_path
    with pytest.raises(SettingsError, match="is not a directory"):
        Settings("r0", "b0", volume=tmp_path / "gone")


@pytest.mark.parametrize("state_name", CLIENTS)
def test_a_state_without_its_client_ends_with_the_line_that_installs_it(
    state_name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == CLIENTS[state_name]]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, CLIENTS[state_name], None)
    store = "postgresql://127.0.0.1:1/x" if state_name == "postgres" else f"{state_name}://127.0.0.1:1"
    assert main(["--app", "cart", "--state", state_name, "--store", store]) == 4
    assert f"pip install 'session-harness[{state_name}]'" in capsys.readouterr().err
