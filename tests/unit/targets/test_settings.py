from collections.abc import Sequence
from pathlib import Path

import pytest

from targets.__main__ import main
from targets.common.settings import Options, Settings, SettingsError, seconds
from targets.server import catalog


@pytest.mark.parametrize(("text", "length"), [("20ms", 0.02), ("1m30s", 90), ("0.5", 0.5), ("2h", 7200), ("0s", 0)])
def test_durations(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "20", "ms", "20 ms", "-1s", "1d"][2:])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(SettingsError, match="not a duration"):
        seconds(text)


def test_every_app_takes_every_state_or_refuses_it_with_a_reason() -> None:
    for app in catalog.names("apps"):
        for state in catalog.names("state"):
            try:
                catalog.select(app, state, Options())
            except SettingsError as problem:
                assert app in str(problem) and state in str(problem)


def test_the_catalog_knows_its_files() -> None:
    assert {"cart", "echo", "orders"} <= set(catalog.names("apps"))
    assert {"faulty", "memory", "none", "redis", "token"} <= set(catalog.names("state"))


@pytest.mark.parametrize("state", catalog.names("state"))
@pytest.mark.parametrize("app", catalog.names("apps"))
def test_apps_and_states_go_together_or_say_why_not(app: str, state: str) -> None:
    chosen_app, chosen_state = [catalog._file(kind, name) for kind, name in (("apps", app), ("state", state))]
    if state in getattr(chosen_app, "REFUSES", {}):
        with pytest.raises(SettingsError, match="does not go with"):
            catalog.select(app, state, Options())
    elif chosen_app.KEEPS_SESSIONS == chosen_state.KEEPS_SESSIONS:  # type: ignore[attr-defined]  # every file has it
        assert catalog.select(app, state, Options()) == (chosen_app, chosen_state)
    else:
        with pytest.raises(SettingsError, match="keeps no"):
            catalog.select(app, state, Options())


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--app", "carts", "--state", "memory"], "no app 'carts': there is cart, "),
        (["--app", "cart", "--state", "disk"], "no state 'disk': there is checkpoint, "),
        (["--app", "cart", "--state", "none"], "keeps nothing"),
        (["--app", "orders", "--state", "memory"], "keeps no sessions"),
        (["--app", "cart", "--state", "token"], "--secret"),
        (["--app", "cart", "--state", "redis"], "--store"),
        (["--app", "cart", "--state", "redis", "--store", "http://x"], "no URL"),
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
def test_what_cannot_be_is_told_in_one_line(
    flags: Sequence[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("address", ["", "127.0.0.1", ":80", "127.0.0.1:", "127.0.0.1:x"])
def test_a_peer_without_an_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="--peers r1="):
        Settings("r0", "b0", peers={"r0": "127.0.0.1:80", "r1": address})


def test_a_volume_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert Settings("r0", "b0", volume=tmp_path).volume == tmp_path
    with pytest.raises(SettingsError, match="is no directory"):
        Settings("r0", "b0", volume=tmp_path / "gone")
