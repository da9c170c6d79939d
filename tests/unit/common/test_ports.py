import socket

import pytest

from harness.common.ports import LOOPBACK, Reservation


def test_no_two_reservations_share_a_port() -> None:
    held = [Reservation() for _ in range(200)]
    try:
        assert len({reservation.port for reservation in held}) == 200
    finally:
        for reservation in held:
            reservation.close()


@pytest.mark.parametrize("option", [socket.SO_REUSEPORT, socket.SO_REUSEADDR])
def test_a_program_that_reuses_can_listen_on_a_reserved_port_again_and_again(option: int) -> None:
    with Reservation() as reservation:
        for _ in range(2):
            with socket.socket() as server:
                server.setsockopt(socket.SOL_SOCKET, option, 1)
                server.bind((LOOPBACK, reservation.lend()))
                server.listen()
                with socket.create_connection((LOOPBACK, reservation.port), timeout=5) as client:
                    assert client.getpeername()[1] == reservation.port


def test_a_program_that_does_not_reuse_cannot_take_it() -> None:
    with Reservation() as reservation, socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((LOOPBACK, reservation.port))


def test_a_reserved_port_refuses_connections() -> None:
    with Reservation() as reservation, pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, reservation.port), timeout=5)


def test_a_closed_reservation_gives_its_port_back() -> None:
    with Reservation() as reservation:
        pass
    with socket.socket() as other:
        other.bind((LOOPBACK, reservation.port))
        assert other.getsockname()[1] == reservation.port
