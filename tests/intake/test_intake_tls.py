"""STARTTLS: nothing said before the handshake counts after it, and certificates change without a restart."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest
import trustme

from bridge.errors import ConfigurationError
from bridge.intake import TlsFiles
from tests.intake.conftest import ADDRESS, Client, Start, body

MAIL = b"Subject: x\r\n\r\nHello\r\n"


def write(directory: Path, authority: trustme.CA, name: str = "mx.example.com") -> TlsFiles:
    files = TlsFiles(directory / "tls.crt", directory / "tls.key")
    leaf = authority.issue_cert(name)
    files.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    files.key.write_bytes(leaf.private_key_pem.bytes())
    return files


def secured(client: Client, authority: trustme.CA, behind: bytes = b"") -> Client:
    client.send(b"STARTTLS\r\n" + behind)
    assert client.reply() == "220 2.0.0 Ready to start TLS"
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Client(context.wrap_socket(client.sock, server_hostname="mx.example.com"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_starttls(start: Start, tmp_path: Path, authority: trustme.CA) -> None:
    running = start("127.0.0.1:0", "lmtp://127.0.0.1:0", tls=write(tmp_path, authority))
    for number, hello, word in ((0, "EHLO", b"ESMTPS"), (1, "LHLO", b"LMTPS")):
        plain = running.client(number)
        assert plain.say(f"{hello} x").endswith("\n250 STARTTLS")
        assert plain.say("STARTTLS x") == "501 5.5.4 This command takes no argument"
        plain.say("MAIL FROM:<a@b.example>")
        with secured(plain, authority) as client:
            assert client.say("MAIL FROM:<a@b.example>").startswith("503 5.5.1 ")
            assert "STARTTLS" not in client.say(f"{hello} x")
            assert client.say("STARTTLS") == "454 4.7.0 TLS is not available now"
            assert client.say("MAIL FROM:<a@b.example>", f"RCPT TO:<{ADDRESS}>", "DATA")[:3] == "354"
            client.send(MAIL * 5_000 + b".\r\n")
            assert client.reply()[:3] == "250"
            assert client.say("QUIT")[:3] == "221"
        assert body(running.store.mails[-1].raw) == MAIL * 5_000
        assert b" with " + word + b" id " in running.store.mails[-1].raw
    assert running.intake.counters.tls == 2


def test_commands_behind_starttls_are_forgotten_or_break_the_handshake(
    start: Start, tmp_path: Path, authority: trustme.CA
) -> None:
    """What is injected in clear text is never obeyed inside the encrypted part (CVE-2011-0411)."""
    running = start(tls=write(tmp_path, authority))
    plain = running.client()
    plain.say("EHLO x")
    with secured(plain, authority, b"EHLO evil\r\nMAIL FROM:<evil@x.example>\r\n") as client:
        assert client.say("NOOP") == "250 2.0.0 OK"
        assert client.say("RCPT TO:<support@example.com>").startswith("503 ")
        assert client.say("EHLO x").startswith("250-")
        assert client.say("RCPT TO:<support@example.com>") == "503 5.5.1 need MAIL command"


def test_tls_required(start: Start, tmp_path: Path, authority: trustme.CA) -> None:
    running = start(tls=write(tmp_path, authority), tls_required=True)
    plain = running.client()
    plain.say("EHLO x")
    assert plain.say("MAIL FROM:<a@b.example>") == "530 5.7.0 STARTTLS first"
    assert plain.say("NOOP") == "250 2.0.0 OK"
    with secured(plain, authority) as client:
        client.begin()
        client.send(MAIL + b".\r\n")
        assert client.reply()[:3] == "250"


def test_a_client_that_goes_away_while_secured(start: Start, tmp_path: Path, authority: trustme.CA) -> None:
    running = start(tls=write(tmp_path, authority))
    running.store.gate.clear()
    plain = running.client()
    plain.say("EHLO x")
    with secured(plain, authority) as client:
        client.begin()
        client.send(MAIL + b".\r\n")
        assert running.store.entered.wait(5)
    running.store.gate.set()
    time.sleep(0.1)
    assert len(running.store.mails) == 1
    assert running.intake.connections == 0


def test_a_handshake_that_fails(start: Start, tmp_path: Path, authority: trustme.CA) -> None:
    running = start(tls=write(tmp_path, authority), command_s=0.5)
    with running.client() as client:
        client.say("EHLO x", "STARTTLS")
        client.send(b"this is no handshake\r\n" * 10)
        client.sock.settimeout(5)
        try:
            while client.sock.recv(4096):
                pass
        except ConnectionError:
            pass
    with running.client() as client:
        client.say("EHLO x", "STARTTLS")
        client.sock.settimeout(5)
        try:
            while client.sock.recv(4096):
                pass
        except (TimeoutError, ConnectionError):
            pass
    time.sleep(0.1)
    assert running.intake.counters.tls_failed == 2
    assert running.intake.connections == 0


def test_a_new_certificate_without_a_restart(start: Start, tmp_path: Path, authority: trustme.CA) -> None:
    files = write(tmp_path, authority)
    running = start(tls=files)
    other = trustme.CA()
    write(tmp_path, other)
    for trusted in (authority, other):
        plain = running.client()
        plain.say("EHLO x")
        with secured(plain, trusted) as client:
            assert client.say("NOOP")[:3] == "250"
        running.intake.reload_tls()
    files.key.write_text("garbage")
    with pytest.raises(ConfigurationError, match=r"tls\.crt"):
        running.intake.reload_tls()
    plain = running.client()
    plain.say("EHLO x")
    with secured(plain, other) as client:
        assert client.say("NOOP")[:3] == "250"


def test_files_that_do_not_serve_are_said(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        start(tls=TlsFiles(tmp_path / "none.crt", tmp_path / "none.key"))


def test_no_certificate_nothing_to_reload(start: Start) -> None:
    running = start()
    running.intake.reload_tls()
    with running.client() as client:
        assert "STARTTLS" not in client.say("EHLO x")
