"""A shell for which one folder is a disk of its own: `python small_disk.py FOLDER MEGABYTES USER`.

The disk goes away with the shell and what that has started, and nobody else sees it. Root needs the right to mount, and
becomes USER (a number) afterwards; others need a kernel that gives users name spaces, and stay who they are. Exits with
77 where the kernel gives neither.
"""

import ctypes
import os
import sys

FORBIDDEN = 77
# sched.h and sys/mount.h
_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
_RECURSIVE, _PRIVATE = 0x4000, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def enter(folder: str, megabytes: str, user: int) -> None:
    own = os.geteuid()
    call(_libc.unshare, _NEW_MOUNTS if own == 0 else _NEW_MOUNTS | _NEW_USERS)
    if own != 0:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{own} {own} 1"),
            ("gid_map", f"{os.getegid()} {os.getegid()} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    call(_libc.mount, None, b"/", None, _RECURSIVE | _PRIVATE, None)
    options = f"size={megabytes}m,mode=0700,uid={user}"
    call(_libc.mount, b"tmpfs", folder.encode(), b"tmpfs", 0, options.encode())


def call(function: ctypes._CFuncPtr, *arguments: object) -> None:
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), function.__name__)


def main(folder: str, megabytes: str, user: str) -> None:
    try:
        enter(folder, megabytes, int(user))
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(FORBIDDEN)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    os.execv("/bin/sh", ["sh"])


main(*sys.argv[1:])
