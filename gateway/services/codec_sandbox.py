"""What a codec child gives up before it sees its first picture.

A decoder with a hole in it must find nothing to take and nowhere to send it: no capabilities, no sockets, no other
programs. What the kernel does not offer (another system, a forbidding container) is left out: the other walls stand.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys

NICENESS = 5

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522

# Classic BPF: load a word, jump if equal or greater, return (linux/filter.h, linux/seccomp.h).
_LOAD, _JUMP_EQUAL, _JUMP_FROM, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _MACHINE_AT = 0, 4
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # EPERM
_X32_NUMBERS = 0x40000000

_MACHINES = {
    "x86_64": (
        0xC000003E,
        # ptrace, socket, connect, bind, socketpair, fork, vfork, execve, process_vm_readv and _writev, execveat,
        # io_uring_setup
        (101, 41, 42, 49, 53, 57, 58, 59, 310, 311, 322, 425),
    ),
    "aarch64": (0xC00000B7, (117, 198, 203, 200, 199, 221, 270, 271, 281, 425)),
}
"""By machine: its number for the filter, and the system calls that a codec has no use for."""


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def enter() -> None:
    """Lowers the process's priority and takes its rights away, for good."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        _drop_capabilities(libc)
        _filter_calls(libc)


def limit_memory(most: int) -> None:
    """Bounds the address space, so that a bomb meets `MemoryError` instead of the machine's other tenants."""
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Root's included: with CAP_SYS_NICE, SVT-AV1 would run its threads in real time."""
    head = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    libc.capset(head, bytes(24))


def _filter_calls(libc: ctypes.CDLL) -> None:
    known = _MACHINES.get(platform.machine())
    if known is None:
        return
    code = _code(*known)
    program = _Program(len(code) // 8, code)
    none = ctypes.c_ulong(0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), none, none, none)
    libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(program), none, none)


def _code(machine: int, calls: tuple[int, ...]) -> bytes:
    """Refuses those calls, and every call that is made in another machine's numbers."""
    refuse = len(calls) + 5
    steps = [(_LOAD, 0, 0, _MACHINE_AT), (_JUMP_EQUAL, 0, refuse - 2, machine)]
    steps += [(_LOAD, 0, 0, _NUMBER_AT), (_JUMP_FROM, refuse - 4, 0, _X32_NUMBERS)]
    steps += [(_JUMP_EQUAL, refuse - 5 - at, 0, call) for at, call in enumerate(calls)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
