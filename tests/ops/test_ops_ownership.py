"""Commands and the spool's owner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge import ownership
from bridge.errors import ConfigurationError


def test_the_owner_goes_on(tmp_path: Path) -> None:
    ownership.become_owner(tmp_path)
    ownership.become_owner(tmp_path / "none")


def test_another_user_is_told_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 7)
    monkeypatch.setattr("sys.argv", ["ticket-bridge", "queue", "list", "--ticket", "a b"])
    with pytest.raises(ConfigurationError, match=r"runuser -u \S+ -- ticket-bridge queue list --ticket 'a b'"):
        ownership.become_owner(tmp_path)


def test_an_owner_without_a_name_and_a_directory_that_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 7)
    with pytest.raises(ConfigurationError, match=f"belongs to #{tmp_path.stat().st_uid}"):
        ownership.become_owner(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="Not a directory; run this as the user of the service"):
        ownership.become_owner(tmp_path / "file" / "spool.db")


def test_root_becomes_the_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, object]] = []
    for name in ("setgroups", "setgid", "setuid"):
        monkeypatch.setattr(f"os.{name}", lambda value, name=name: done.append((name, value)))
    (tmp_path / "spool.db").touch()
    real = Path.stat

    def owned(path: Path, **options: bool) -> os.stat_result:
        return os.stat_result([*real(path, **options)[:4], 1234, 5678, *real(path, **options)[6:]])

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(Path, "stat", owned)
    ownership.become_owner(tmp_path / "spool.db")
    assert done == [("setgroups", []), ("setgid", 5678), ("setuid", 1234)]
