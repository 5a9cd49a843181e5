"""``ticket-bridge check``: looks at everything that the bridge needs, and says each thing it looked at."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from bridge import composition, sensitivity
from bridge.delivery import NOBODY, TicketApi
from bridge.errors import ApiError, BridgeError, Problem
from bridge.settings import Settings
from bridge.spool import is_postgres


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was looked at."""

    ok: bool
    what: str
    found: str


async def run(settings: Settings, *, offline: bool, ticket: str) -> list[Result]:
    """Look at everything, in the order in which a mail meets it."""
    results = [*_configuration(settings), *_listen(settings), await _spool(settings)]
    if not offline:
        results += await _api(settings, ticket)
    return results


def _configuration(settings: Settings) -> Iterator[Result]:
    domains, mailboxes = ", ".join(settings.mail_domains), ", ".join(settings.mailboxes)
    yield Result(True, "configuration", f"valid; mail for {mailboxes} at {domains}")
    try:
        keys = composition.address_keys(settings)
        composition.spool_keys(settings)
        sensitivity.load(composition.policy(settings).rules, name=composition.rules_name(settings))
    except BridgeError as error:
        yield Result(False, "rules and keys", str(error))
        return
    yield Result(True, "rules and keys", "the sensitivity rules load and their examples hold")
    long = [name for name in settings.mailboxes if keys.keys and len(name.encode()) > 15]
    if settings.signed_addresses != "off" and long:
        yield Result(False, "mailboxes", f"{', '.join(long)}: over 15 octets, too long for signed addresses (RFC 5321)")
    if settings.effective_number_policy == "accept":
        yield Result(
            True,
            "number policy",
            "accept: whoever guesses a ticket's number can answer it; set BRIDGE_AUTHSERV_ID to close this",
        )


def _listen(settings: Settings) -> Iterator[Result]:
    """Each TCP address is free, or something answers there with our name."""
    for where in settings.listen:
        rest = where.partition("://")[2] or where
        host, _, port = rest.rpartition(":")
        if "+unix" in where or not port.isdigit() or port == "0":
            yield Result(True, f"listen {where}", "not probed")
            continue
        yield _port(settings, where, host.strip("[]"), int(port))


def _port(settings: Settings, where: str, host: str, port: int) -> Result:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        return Result(False, f"listen {where}", f"{host}: {error.strerror}")
    with socket.socket(family, kind, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError as error:
            greeting = _greeting(address)
            if settings.effective_hostname in greeting:
                return Result(True, f"listen {where}", "held by this bridge")
            return Result(False, f"listen {where}", error.strerror or type(error).__name__)
    return Result(True, f"listen {where}", "free")


def _greeting(address: tuple[object, ...]) -> str:
    try:
        with socket.create_connection((str(address[0]), int(str(address[1]))), timeout=3) as sock:
            return sock.recv(512).decode("ascii", "replace")
    except OSError:
        return ""


async def _spool(settings: Settings) -> Result:
    """It opens, and a file beside it can be written and synced; one that is not there yet can be made."""
    what = "spool"
    path = None if is_postgres(settings.spool_url) else composition.spool_path(settings)
    if path is not None and not path.exists():
        return await _spool_to_be(path)
    try:
        spool = await composition.open_spool(settings, exclusive=False)
    except BridgeError as error:
        return Result(False, what, str(error))
    try:
        counts, usage = await spool.counts(), spool.usage()
    finally:
        await spool.close()
    try:
        if path is not None:
            await asyncio.to_thread(_durable, path.parent)
    except OSError as error:
        return Result(False, what, f"its directory cannot be written and synced: {error.strerror}")
    waiting = ", ".join(f"{number} {state}" for state, number in counts.by_state.items() if number) or "empty"
    free = f"{usage.bytes_free / 1e9:.1f} GB {'below its high-water mark' if path is None else 'free'}"
    if not usage.accepting:
        return Result(False, what, f"{waiting}; {free}: past its high-water mark or short of disk, mail gets 452")
    return Result(True, what, f"writable and durable; {waiting}; {free}")


async def _spool_to_be(path: Path) -> Result:
    try:
        await asyncio.to_thread(_durable_for, path)
    except OSError as error:
        return Result(False, "spool", f"{path} cannot be made: {error.filename}: {error.strerror}")
    return Result(True, "spool", f"not there yet; {path} can be made, in a directory that is writable and durable")


def _durable_for(path: Path) -> None:
    """The spool makes its own directory, but no more."""
    _durable(path.parent if path.parent.exists() else path.parent.parent)


def _durable(directory: Path) -> None:
    probe = directory / f".check-{uuid4().hex}"
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"check")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        probe.unlink()


async def _api(settings: Settings, ticket: str) -> list[Result]:
    """It answers, the key works and has both scopes, and reaches ``ticket``."""
    api = composition.ticket_api(settings)
    try:
        results = [await _readable(settings, api)]
        if results[0].ok or "read:support" in results[0].found:
            results.append(await _writable(api))
        if ticket:
            results.append(await _reaches(api, ticket))
        return results
    finally:
        await api.close()


async def _readable(settings: Settings, api: TicketApi) -> Result:
    what = f"API {settings.api_url}"
    try:
        await api.list_tickets()
    except Problem as error:
        if error.status == 403 and error.code != "account_inactive":
            return Result(
                False,
                what,
                "the key has no read:support: mail of unknown outcome will be held, and numbers cannot be resolved",
            )
        return Result(False, what, f"{error} {error.request_id}".strip())
    except ApiError as error:
        return Result(False, what, str(error))
    return Result(True, what, "answers; the key works and has read:support")


async def _writable(api: TicketApi) -> Result:
    """A reply on a ticket that nobody has: 404 needs the scope, and changes nothing."""
    what = "key, write:support"
    try:
        await api.post_message(NOBODY, "check", encrypted=False)
    except Problem as error:
        if error.status == 404 and error.is_problem:
            return Result(True, what, "there")
        return Result(False, what, str(error))
    except ApiError as error:
        return Result(False, what, str(error))
    return Result(False, what, f"the API took a message for {NOBODY}, which cannot exist")


async def _reaches(api: TicketApi, ticket: str) -> Result:
    what = f"ticket {ticket}"
    try:
        answer = await api.get_ticket(ticket)
    except ApiError as error:
        return Result(False, what, str(error))
    return Result(True, what, f"reached: {answer.body.get('id')}, status {answer.body.get('status')}")
