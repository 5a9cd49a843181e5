"""Commands work as the user that owns the spool: root becomes that user, anybody else is told the command to use.

A file that root makes beside the spool (SQLite's write-ahead log) would lock the service out of its own mail.
"""

from __future__ import annotations

import os
import pwd
import shlex
import sys
from pathlib import Path

from bridge.errors import ConfigurationError


def become_owner(path: Path) -> None:
    """Make this process the owner's of ``path`` for good; nothing when it is, or when there is no such file.

    Raises ``ConfigurationError`` with the command to use.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror}; run this as the user of the service, such as "
            f"`runuser -u ticket-bridge -- {shlex.join(sys.argv)}`"
        ) from None
    if found.st_uid == os.geteuid():
        return
    name = _name(found.st_uid)
    if os.geteuid() != 0:
        raise ConfigurationError(f"{path} belongs to {name}: `runuser -u {name} -- {shlex.join(sys.argv)}`")
    os.setgroups([])
    os.setgid(found.st_gid)
    os.setuid(found.st_uid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
