"""A real Postfix with real milters, run from the files in config/ with ports and paths put in."""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CONFIG = Path(__file__).parents[2] / "config"
AUTHSERV_ID = "mx.example.com"
SIGNER = "example.net"
"""The customer's domain: it signs, and its DMARC policy is p=reject."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def example(name: str, **replaced: str) -> str:
    """A file of config/ with settings replaced. What is not in it cannot be replaced: the test fails."""
    text = (CONFIG / name).read_text()
    for key, value in replaced.items():
        text, found = re.subn(rf"(?m)^({key}\b[ \t]*=?[ \t]*).*$", lambda match, v=value: match[1] + v, text)
        assert found == 1, f"{name} has no setting {key}"
    return text


class Signer:
    """Signs as the customer's mail server does (RFC 6376, relaxed/relaxed, rsa-sha256)."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.record = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"

    def sign(self, raw: bytes) -> bytes:
        header, _, body = raw.partition(b"\r\n\r\n")
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip() for line in body.split(b"\r\n")]
        canonical = b"\r\n".join(lines).rstrip(b"\r\n") + b"\r\n"
        digest = base64.b64encode(hashlib.sha256(canonical).digest()).decode()
        field = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={SIGNER}; s=s1; h=from:subject; bh={digest}; b="
        found = {line.split(b":")[0].lower(): line for line in header.split(b"\r\n")}
        signed = b"".join(self._relaxed(found[name]) + b"\r\n" for name in (b"from", b"subject"))
        signed += self._relaxed(b"DKIM-Signature: " + field.encode())
        signature = base64.b64encode(self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())).decode()
        return f"DKIM-Signature: {field}{signature}\r\n".encode() + raw

    @staticmethod
    def _relaxed(line: bytes) -> bytes:
        name, _, value = line.partition(b":")
        return name.strip().lower() + b":" + re.sub(rb"[ \t]+", b" ", value).strip()


class Milter:
    """OpenDKIM or OpenDMARC in the foreground."""

    def __init__(self, arguments: list[str], port: int) -> None:
        self.port = port
        self._child = subprocess.Popen(arguments)
        for _ in range(200):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{arguments[0]} did not start")

    def stop(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait(20)


def open_dkim(directory: Path, signer: Signer) -> Milter:
    port = free_port()
    keys, conf = directory / "keys", directory / "opendkim.conf"
    keys.write_text(f"s1._domainkey.{SIGNER} {signer.record}\n")
    text = example(
        "opendkim/opendkim.conf.example", Socket=f"inet:{port}@127.0.0.1", UserID="root", InternalHosts="192.0.2.1"
    )
    conf.write_text(f"{text}TestPublicKeys {keys}\n")
    return Milter(["opendkim", "-f", "-x", str(conf)], port)


def open_dmarc(directory: Path) -> Milter:
    port = free_port()
    records, ignored, conf = directory / "dmarc", directory / "ignore.hosts", directory / "opendmarc.conf"
    records.write_text(f"_dmarc.{SIGNER} v=DMARC1; p=reject\n_dmarc.example.org v=DMARC1; p=none\n")
    ignored.write_text("192.0.2.1\n")
    text = example(
        "opendmarc/opendmarc.conf.example",
        Socket=f"inet:{port}@127.0.0.1",
        UserID="root",
        IgnoreHosts=str(ignored),
        SPFSelfValidate="no",  # it asks the DNS
    )
    conf.write_text(f"{text}TestDNSData {records}\n")
    return Milter(["opendmarc", "-f", "-c", str(conf)], port)


class Postfix:
    """A Postfix of its own: queue, data and configuration in a fresh directory."""

    def __init__(self, route: str, milters: Iterable[int] = (), **changed: str) -> None:
        """Where the domain's mail goes in Postfix's words, the milters' ports, and other settings of main.cf."""
        self._base = Path(f"/tmp/pf-{os.getpid()}-{free_port()}")
        self._etc, queue, data = self._base / "etc", self._base / "queue", self._base / "data"
        for directory in (self._etc, queue, data):
            directory.mkdir(parents=True)
        shutil.chown(data, pwd.getpwnam("postfix").pw_name)
        self.port = free_port()
        checks = self._etc / "header_checks"
        checks.write_text(example("postfix/header_checks.example"))
        main = example(
            "postfix/main.cf.example",
            **{
                "transport_maps": f"inline:{{ {{example.com={route}}} {self._others(changed)} }}",
                "smtpd_milters": ", ".join(f"inet:127.0.0.1:{port}" for port in milters),
                "header_checks": f"regexp:{checks}",
                "address_verify_negative_refresh_time": "2s",
                **{name: value for name, value in changed.items() if name != "others"},
            },
        )
        (self._etc / "main.cf").write_text(
            f"""{main}
queue_directory = {queue}
data_directory = {data}
maillog_file = {self._base}/mail.log
maillog_file_prefixes = {self._base}
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
mynetworks = 192.0.2.0/24
address_verify_poll_count = 6
address_verify_poll_delay = 1s
minimal_backoff_time = 2s
queue_run_delay = 2s
"""
        )
        master = Path("/usr/share/postfix/master.cf.dist").read_text()
        master = re.sub(r"(?m)^smtp( +inet .*)$", rf"127.0.0.1:{self.port}\1", master)
        master = re.sub(r"(?m)^(\S+ +(?:inet|unix|unix-dgram) +\S+ +\S+) +y ", r"\1 n ", master)
        (self._etc / "master.cf").write_text(master)
        self._run("start")

    @staticmethod
    def _others(changed: dict[str, str]) -> str:
        return changed.get("others", "")

    def _run(self, command: str) -> None:
        done = subprocess.run(
            ["postfix", "-c", str(self._etc), command], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr + self.log()

    def log(self) -> str:
        log = self._base / "mail.log"
        return log.read_text() if log.exists() else "no mail.log"

    def stop(self) -> None:
        print(self.log())
        self._run("abort")
        shutil.rmtree(self._base, ignore_errors=True)
