"""Runs the pipeline in a process of its own that can be killed (design §7).

Promises: whatever a mail does to its reader, the caller gets an answer or ``UnreadableMail`` within
``WALL_S`` seconds twice over, and nothing but the one worker dies. A worker gets no secret: the service takes them out
of the environment before the first one starts, and no argument carries one. Fails with ``UnreadableMail`` when the
mail broke two workers, or raised. Large mails are lent, not sent (``lending``). Small mails share a trip to a worker;
one that breaks it is found by trying each of them alone.
"""

from __future__ import annotations

import asyncio
import io
import math
import resource
import signal
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import anyio
import anyio.to_process
from anyio import BrokenWorkerProcess

from bridge import mail as mails
from bridge import pipeline, sensitivity
from bridge.errors import ConfigurationError, UnreadableMail
from bridge.lending import Loan, blank, lent, loan, taken
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

BATCH, BATCH_BYTES = 8, 256 * 1024
"""Calls, and bytes of mail, that one trip to a worker takes: the trip costs as much as reading a small mail."""

T = TypeVar("T")


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


def _read(mail: Loan | bytes) -> InboundMail:
    _limit(len(mail))
    return pipeline.read(taken(mail))


def _decide(
    mail: InboundMail, envelope: Envelope, addressed: pipeline.Addressed, policy: pipeline.Policy, context: Context
) -> Decision:
    _limit(mail.size)
    return pipeline.decide(mail, envelope, addressed, policy, context)


def _attachment(mail: Loan | bytes, path: str, into: Loan | None) -> bytes | None:
    """The part, or nothing when it was written into what was lent for it; None when there is none."""
    _limit(len(mail))
    try:
        data = mails.attachment_bytes(taken(mail), path)
    except KeyError:
        return None
    if into is None:
        return data
    into.fill(data)
    return b""


def _load(text: str | None, name: str) -> None:
    """Load rules as mail will, in the process that will, so that they are ready for the first one."""
    _limit(0)
    sensitivity.load(text, name=name)


class Isolation:
    """A bounded pool of worker processes, started when first needed."""

    def __init__(self, workers: int = 2) -> None:
        """``workers`` is how many mails are read at the same time."""
        self._workers = workers
        self._first = anyio.CapacityLimiter(workers)
        self._again = anyio.CapacityLimiter(1)
        self._waiting: deque[_Call] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def read(self, raw: bytes) -> InboundMail:
        """``pipeline.read`` in a worker. Raises ``UnreadableMail``."""
        async with lent(raw) as mail:
            return await self._run(_read, mail, size=len(raw))

    async def decide(
        self,
        mail: InboundMail,
        envelope: Envelope,
        addressed: pipeline.Addressed,
        policy: pipeline.Policy,
        context: Context,
    ) -> Decision:
        """``pipeline.decide`` in a worker. Raises ``UnreadableMail``."""
        return await self._run(_decide, mail, envelope, addressed, policy, context, size=mail.size)

    async def attachment(self, raw: bytes, path: str) -> BinaryIO:
        """``mail.attachment_bytes`` in a worker, as a file in memory that the caller closes.

        Raises ``UnreadableMail``, and ``KeyError`` when there is none.
        """
        file = blank()
        with ExitStack() as unless_given:
            if file is not None:
                unless_given.enter_context(file)
            async with lent(raw) as mail:
                data = await self._run(_attachment, mail, path, None if file is None else loan(file))
            if data is None:
                raise KeyError(path)
            unless_given.pop_all()
        return io.BytesIO(data) if file is None else file

    async def check_rules(self, text: str | None, name: str) -> None:
        """Load sensitivity rules, and run their examples, in a worker. Raises ``ConfigurationError``."""
        try:
            await self._run(_load, text, name)
        except UnreadableMail as error:
            raise ConfigurationError(
                f"{name}: the sensitivity rules did not load within the limits of one mail: {error.defect}"
            ) from None

    async def _run(self, function: Callable[..., T], *args: object, size: int = BATCH_BYTES) -> T:
        """A worker's death may be a busy machine's fault: the mail gets a second try, alone, and one at a time does."""
        call = _Call(function, args, size, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._start()
        try:
            found: T = await call.done
        except (BrokenWorkerProcess, TimeoutError):
            pass
        else:
            return found
        try:
            [(found, failure)] = await _once(self._again, [call])
        except TimeoutError:
            raise UnreadableMail("timeout") from None
        except BrokenWorkerProcess:
            raise UnreadableMail("crash") from None
        if failure is not None:
            raise failure
        return found

    def _start(self) -> None:
        """Give what waits to workers that are free."""
        while self._waiting and len(self._running) < self._workers:
            task = asyncio.create_task(self._serve(self._next_batch()))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _next_batch(self) -> list[_Call]:
        """As many small calls as one trip to a worker takes, in their order; a large one goes alone."""
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and len(batch) < BATCH and size + self._waiting[0].size <= BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += batch[-1].size
        return batch

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _serve(self, batch: list[_Call]) -> None:
        try:
            results = await _once(self._first, batch)
        except (BrokenWorkerProcess, TimeoutError) as broke:
            for call in batch:
                _tell(call, broke, None)
            return
        for call, (found, failure) in zip(batch, results, strict=True):
            _tell(call, failure, found)


@dataclass(slots=True)
class _Call:
    """One call that waits for a worker."""

    function: Callable[..., Any]
    args: tuple[object, ...]
    size: int
    done: asyncio.Future[Any]


def _tell(call: _Call, error: Exception | None, found: object) -> None:
    """Hand a result to the one who waits for it, if it still does."""
    if call.done.done():
        return
    if error is not None:
        call.done.set_exception(error)
    else:
        call.done.set_result(found)


def _in_turn(calls: Sequence[tuple[Callable[..., Any], tuple[object, ...]]]) -> list[tuple[Any, Exception | None]]:
    """In the worker: each call's result or error; whatever a mail made its reader raise is told by its class only."""
    results: list[tuple[Any, Exception | None]] = []
    for function, args in calls:
        try:
            results.append((function(*args), None))
        except ConfigurationError as error:
            results.append((None, error))
        except Exception as error:  # noqa: BLE001 - see above
            results.append((None, UnreadableMail(type(error).__name__)))
    return results


async def _once(limiter: anyio.CapacityLimiter, calls: Sequence[_Call]) -> list[tuple[Any, Exception | None]]:
    """The clock runs from the worker's start, not from the wait for one."""
    asked = [(call.function, call.args) for call in calls]
    async with limiter:
        try:
            with anyio.fail_after(WALL_S):
                return await anyio.to_process.run_sync(
                    _in_turn, asked, cancellable=True, limiter=anyio.CapacityLimiter(1)
                )
        except (BrokenWorkerProcess, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - what came back could not be carried or understood
            return [(None, UnreadableMail(type(error).__name__))] * len(calls)
