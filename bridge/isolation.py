"""Runs the pipeline in a process of its own that can be killed (design §7).

Promises: whatever a mail does to its reader, the caller gets an answer or ``UnreadableMail`` within
``WALL_S`` seconds twice over, and nothing but the one worker dies. A worker gets no secret: the service takes them out
of the environment before the first one starts, and no argument carries one. Fails with ``UnreadableMail`` when the
mail broke two workers, or raised.
"""

from __future__ import annotations

import math
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple, Unpack

import anyio
import anyio.to_process
from anyio import BrokenWorkerProcess

from bridge import mail as mails
from bridge import pipeline, sensitivity
from bridge.errors import ConfigurationError, UnreadableMail
from bridge.model import Context, Decision, Envelope, InboundMail

CPU_S = 2
"""Seconds of processor time that one mail gets, and one second more for every ``CPU_BYTES`` of it."""
CPU_BYTES = 8 * 1024 * 1024
WALL_S = 30.0
"""Seconds one call may take by the clock: many times the processor time, for machines that are busy."""
MEMORY_BASE = 256 * 1024 * 1024
MEMORY_FACTOR = 12
MEMORY_MAX = 640 * 1024 * 1024
"""Memory that one mail may take: the base plus the factor times its size, at most the maximum; bytes."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def _limit(size: int) -> None:
    """Bound this process for one mail of ``size`` bytes. Only the soft limits move, so that the next mail may too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(usage.ru_utime + usage.ru_stime) + CPU_S + size // CPU_BYTES
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    memory = min(MEMORY_BASE + MEMORY_FACTOR * size, MEMORY_MAX)
    resource.setrlimit(resource.RLIMIT_AS, (_base() + memory, resource.RLIM_INFINITY))


_bases: list[int] = []


def _base() -> int:
    """Address space that the interpreter and its libraries had before the first mail, bytes."""
    if not _bases:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        _bases.append(pages * resource.getpagesize())
    return _bases[0]


def _read(raw: bytes) -> InboundMail:
    _limit(len(raw))
    return pipeline.read(raw)


def _decide(
    mail: InboundMail, envelope: Envelope, addressed: pipeline.Addressed, policy: pipeline.Policy, context: Context
) -> Decision:
    _limit(mail.size)
    return pipeline.decide(mail, envelope, addressed, policy, context)


def _attachment(raw: bytes, path: str) -> bytes | None:
    _limit(len(raw))
    try:
        return mails.attachment_bytes(raw, path)
    except KeyError:
        return None


def _load(text: str | None, name: str) -> None:
    """Load rules as mail will, in the process that will, so that they are ready for the first one."""
    _limit(0)
    sensitivity.load(text, name=name)


class Isolation:
    """A bounded pool of worker processes, started when first needed."""

    def __init__(self, workers: int = 2) -> None:
        """``workers`` is how many mails are read at the same time."""
        self._first = anyio.CapacityLimiter(workers)
        self._again = anyio.CapacityLimiter(1)

    async def read(self, raw: bytes) -> InboundMail:
        """``pipeline.read`` in a worker. Raises ``UnreadableMail``."""
        return await self._run(_read, raw)

    async def decide(
        self,
        mail: InboundMail,
        envelope: Envelope,
        addressed: pipeline.Addressed,
        policy: pipeline.Policy,
        context: Context,
    ) -> Decision:
        """``pipeline.decide`` in a worker. Raises ``UnreadableMail``."""
        return await self._run(_decide, mail, envelope, addressed, policy, context)

    async def attachment(self, raw: bytes, path: str) -> bytes:
        """``mail.attachment_bytes`` in a worker. Raises ``UnreadableMail``, and ``KeyError`` when there is none."""
        data = await self._run(_attachment, raw, path)
        if data is None:
            raise KeyError(path)
        return data

    async def check_rules(self, text: str | None, name: str) -> None:
        """Load sensitivity rules, and run their examples, in a worker. Raises ``ConfigurationError``."""
        try:
            await self._run(_load, text, name)
        except UnreadableMail as error:
            raise ConfigurationError(
                f"{name}: the sensitivity rules did not load within the limits of one mail: {error.defect}"
            ) from None

    async def _run(self, function: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """A worker's death may be a busy machine's fault: the mail gets a second try, and only one at a time does."""
        try:
            return await _once(self._first, function, *args)
        except (BrokenWorkerProcess, TimeoutError):
            pass
        try:
            return await _once(self._again, function, *args)
        except TimeoutError:
            raise UnreadableMail("timeout") from None
        except BrokenWorkerProcess:
            raise UnreadableMail("crash") from None


async def _once(limiter: anyio.CapacityLimiter, function: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
    """The clock runs from the worker's start, not from the wait for one."""
    async with limiter:
        try:
            with anyio.fail_after(WALL_S):
                return await anyio.to_process.run_sync(
                    function, *args, cancellable=True, limiter=anyio.CapacityLimiter(1)
                )
        except (BrokenWorkerProcess, TimeoutError, ConfigurationError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the mail made its reader raise
            raise UnreadableMail(type(error).__name__) from None
