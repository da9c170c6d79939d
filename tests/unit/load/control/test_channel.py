import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.control.channel import (
    Broken,
    ChannelError,
    ControlCommand,
    ControlEvent,
    LineSplitter,
    Ready,
    ReplicaStarting,
    StartLoad,
    StartSweep,
    StopLoad,
    Stopped,
    Swept,
    decode_command,
    decode_event,
    encode,
)
from harness.observations.samples import Snapshot

COMMANDS: list[ControlCommand] = [
    ReplicaStarting("r1", "r1.2"),
    StartLoad(123, 20.0, 2.0, "http://h:1"),
    StopLoad(),
    StartSweep(50.0),
]
EVENTS: list[ControlEvent] = [
    Ready(),
    Snapshot(3, 0.6, sent=5, p99_ms=1.5),
    Stopped(),
    Swept(200),
    Broken("full", "free it", 4),
]


def test_commands_and_events_survive_encoding_and_decoding() -> None:
    assert [decode_command(encode(command)) for command in COMMANDS] == COMMANDS
    assert [decode_event(encode(event)) for event in EVENTS] == EVENTS


def test_messages_are_those_of_the_documentation() -> None:
    assert encode(Ready()) == b'{"say": "ready"}\n'
    assert encode(Swept(200)) == b'{"say": "swept", "sessions": 200}\n'
    assert decode_command(b'{"do": "sweep", "rate": 2000}') == StartSweep(2000)


@given(st.lists(st.integers(1, 400), max_size=20))
def test_lines_are_complete_from_any_pieces(cuts: list[int]) -> None:
    data = b"".join(map(encode, EVENTS))
    edges = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    lines, events = LineSplitter(), []
    for a, b in itertools.pairwise(edges):
        events += [decode_event(line) for line in lines.feed(data[a:b])]
    assert events == EVENTS


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[1]", b'{"say": "hm"}', b'{"say": "swept"}', b'{"say": "ready", "x": 1}', b"{"]
)
def test_a_line_that_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ChannelError):
        decode_event(line)


def test_an_object_that_is_no_message_cannot_be_encoded() -> None:
    with pytest.raises(ChannelError):
        encode(replace)  # type: ignore[arg-type]
