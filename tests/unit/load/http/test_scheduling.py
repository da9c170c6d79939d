import ctypes
import os
import platform
import struct
import threading

import pytest

from harness.load.http.scheduling import TURN_NS, request_short_turns

_ATTRIBUTES = struct.Struct("IIQiIQQQ")
_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}


def read_turn_ns() -> int:
    buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
    assert ctypes.CDLL(None).syscall(_SCHED_GETATTR[platform.machine()], 0, buffer, _ATTRIBUTES.size, 0) == 0
    return int(_ATTRIBUTES.unpack(buffer.raw)[5])


def in_a_thread_of_its_own(policy: int = os.SCHED_OTHER, niceness: int = 0) -> tuple[bool, int, int, int]:
    seen: list[tuple[bool, int, int, int]] = []

    def request() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        os.sched_setscheduler(0, policy, os.sched_param(0))
        accepted = request_short_turns()
        seen.append((accepted, read_turn_ns(), os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)))

    thread = threading.Thread(target=request)
    thread.start()
    thread.join()
    return seen[0]


@pytest.mark.skipif(platform.machine() not in _SCHED_GETATTR, reason="the number of the system call is not known here")
def test_the_turns_become_short_and_the_niceness_stays() -> None:
    accepted, turn_ns, policy, niceness = in_a_thread_of_its_own(niceness=3)
    assert (accepted, policy, niceness) == (True, os.SCHED_OTHER, 3)
    assert turn_ns in (0, TURN_NS), "Linux before 6.12 accepts the request and ignores it"


@pytest.mark.skipif(platform.machine() not in _SCHED_GETATTR, reason="the number of the system call is not known here")
def test_another_policy_stays() -> None:
    accepted, _, policy, _ = in_a_thread_of_its_own(policy=os.SCHED_BATCH)
    assert (accepted, policy) == (False, os.SCHED_BATCH)
