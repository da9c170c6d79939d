"""Text of others reaches the terminal as text: no sequence of it is obeyed, no markup of it is read."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from harness.common.console import SafeConsole
from harness.common.terminal import note, show, visible, write

#: Moves the cursor, sets the title, writes to the clipboard, hides text, turns it around, rings, and is no character.
HOSTILE = "\x1b[2J\x1b]0;t\x07\x1b]52;c;eA==\x07\x9b31m\r\b\x00\u202e\u2066\ud800[/evil][bold red]"


def is_safe(text: str) -> bool:
    return all(character == "\n" or character.isprintable() for character in text)


def test_what_a_terminal_would_obey_is_written_as_an_escape() -> None:
    assert visible("a\x1b[31mb\u202e") == "a\\x1b[31mb\\u202e"
    assert visible("tea\tfor\ntwo, ünïcödé 茶") == "tea\tfor\ntwo, ünïcödé 茶"


@given(st.text(st.characters(codec=None)))
def test_no_text_is_obeyed(text: str) -> None:
    shown = visible(text)
    assert not any((ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in shown)
    assert visible(shown) == shown


def test_both_streams_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    show(HOSTILE)
    note(HOSTILE)
    printed = capsys.readouterr()
    assert is_safe(printed.out) and is_safe(printed.err) and "[/evil]" in printed.out


def test_a_stream_that_cannot_hold_a_character_gets_its_escape() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    write(stream, "für 茶")
    stream.seek(0)
    assert stream.read() == "f\\xfcr \\u8336\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_table_shows_what_it_is_given(terminal: bool) -> None:
    stream = io.StringIO()
    console = SafeConsole(file=stream, width=200)
    table = Table("name", title=HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(Text(HOSTILE, style="bold"))
    console.print(table)
    console.print(HOSTILE, style="bold")
    shown = stream.getvalue()
    assert is_safe(shown) and shown.count("[/evil]") == 4 and shown.count("\\x1b[2J") == 4
    rows = [line for line in shown.splitlines() if line.startswith("│")]
    assert len({len(row) for row in rows}) == 1, "the escapes are counted in the width of the cells"
