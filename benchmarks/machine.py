"""What the measuring machine is, what a process costs on it, and its physical limits: syncs and loopback."""

from __future__ import annotations

import os
import platform
import re
import socket
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import percentile, rss, syncs

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Of a process and all its descendants, those that ended included."""

    cpu_s: float
    rss_mb: float


def usage(pid: int) -> Usage:
    """Processor seconds so far, and resident memory now."""
    cpu, memory, waiting = 0.0, 0.0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
            memory += rss(one)
        except OSError:  # it ended meanwhile; its parent has its time
            continue
        cpu += sum(map(int, fields[11:15])) / _TICKS
        waiting += map(int, children)
    return Usage(cpu, memory)


def machine() -> dict[str, str]:
    """What reads of figures need to know."""
    cpus = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.+)", cpus)
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    disk = subprocess.run(["stat", "-f", "-c", "%T", "."], capture_output=True, text=True, check=False).stdout
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory[1]) / 1e6:.1f} GB" if memory else "unknown",
        "kernel": platform.release(),
        "file system": disk.strip(),
        "Python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        "load before": f"{os.getloadavg()[0]:.1f} (0 on a quiet machine)",
    }


def limits() -> dict[str, float]:
    """What nobody on this machine gets past."""
    took = syncs(2_000)
    return {
        "4 KB append and fdatasync, one after the other, per second": 1000 / statistics.fmean(took),
        "4 KB append and fdatasync, p99, ms": percentile(took, 0.99),
        "loopback round trips of 100 bytes, per second": _loopback(100, 20_000, back=100),
        "loopback, MB per second": _loopback(1 << 16, 8_000, back=0) * (1 << 16) / 1e6,
    }


def _loopback(size: int, times: int, *, back: int) -> float:
    """Messages a second through one TCP connection, each answered with ``back`` bytes; with 0, all of them once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                left = size * times
                while left > 0 and (got := connection.recv(1 << 20)):
                    left -= len(got)
                    if back:
                        connection.sendall(bytes(back))
                connection.sendall(b"." if not back else b"")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with socket.create_connection(listening.getsockname(), timeout=30) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            began = time.perf_counter()
            for _ in range(times):
                client.sendall(bytes(size))
                if back:
                    client.recv(back)
            if not back:
                client.recv(1)
            took = time.perf_counter() - began
        thread.join(30)
    return times / took
