"""Sessions over TLS, with a certificate created by the test."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from harness.load.http.client import Client
from harness.load.sessions.behaviour import SessionSteps
from harness.observations.requests import Outcome
from tests.support.load import Visitor, drive, reply
from tests.support.websocket import Peer, upgrade_response

BODY = bytes(range(256)) * 4000  # many TLS records


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for localhost, in one file."""
    home = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        cwd=home, check=True, capture_output=True,
    )  # fmt: skip
    both = home / "both.pem"
    both.write_text((home / "cert.pem").read_text() + (home / "key.pem").read_text())
    return both


@contextmanager
def served(certificate: Path, answer: bytes | Callable[[bytes, socket.socket], None]) -> Iterator[int]:
    """A server that answers every request with the same bytes, or calls ``answer``; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(plain: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
            while request := connection.recv(65536):
                if isinstance(answer, bytes):
                    connection.sendall(answer)
                else:
                    answer(request, connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()


def visit(url: str, times: int) -> tuple[list[Outcome], list[bytes], list[int]]:
    bodies = []

    def session(client: Client) -> SessionSteps:
        for _ in range(times):
            bodies.append((yield client.get("/cart")).body)

    driven = drive(url, Visitor(session))
    return driven.outcomes, bodies, driven.records["reconnected"].tolist()


def test_a_trusted_connection_carries_all_requests(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with served(certificate, reply(body=BODY)) as port:
        outcomes, bodies, reconnected = visit(f"https://localhost:{port}", 3)
    assert outcomes == [Outcome.OK] * 3
    assert bodies == [BODY] * 3
    assert reconnected == [0, 0, 0]


def test_nothing_is_sent_to_a_server_with_an_untrusted_certificate(certificate: Path) -> None:
    with served(certificate, reply()) as port:
        outcomes, _, _ = visit(f"https://localhost:{port}", 1)
    assert outcomes == [Outcome.FAILED]


def test_nothing_is_sent_to_a_server_with_a_certificate_for_another_name(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with served(certificate, reply()) as port:
        outcomes, _, _ = visit(f"https://127.0.0.1:{port}", 1)
    assert outcomes == [Outcome.FAILED]


def test_nothing_is_sent_to_a_server_that_does_not_speak_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def act() -> None:
            connection, _ = listener.accept()
            connection.recv(10)
            connection.sendall(reply())

        threading.Thread(target=act, daemon=True).start()
        outcomes, _, _ = visit(f"https://localhost:{listener.getsockname()[1]}", 1)
    assert outcomes == [Outcome.FAILED]


def test_a_websocket_carries_large_messages_both_ways(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def talk(request: bytes, connection: socket.socket) -> None:
        connection.sendall(upgrade_response(request))
        peer = Peer(connection)
        while True:
            peer.send_text(peer.receive_text()[::-1])

    bodies = []

    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat")
        for number in range(3):
            text = f"{number}" + "x" * 2_000_000
            bodies.append((yield client.send(data=text, answer=lambda reply: True)).body[-1:])

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with served(certificate, talk) as port:
        driven = drive(f"https://localhost:{port}", Visitor(session))
    assert bodies == [b"0", b"1", b"2"]
    assert driven.outcomes == [Outcome.OK] * 5
