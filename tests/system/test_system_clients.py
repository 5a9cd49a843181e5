"""Real mail clients and a real relay in front of the bridge (Debian: swaks, nodejs with npm, postfix)."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.main_job.running import NUMBER, TICKET, Api, Bridge, eventually
from tests.main_job.test_main_job import message

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def run(*arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=200, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_swaks(bridge: Bridge, api: Api, tmp_path: Path) -> None:
    picture = tmp_path / "bild å.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    server = ["swaks", "--server", f"127.0.0.1:{bridge.port}", "--from", "kund@example.net"]
    run(*server, "--to", f"support+{TICKET}@example.com", "--body", "Hello from swaks", "--header", "Subject: Re: x")
    run(
        *(*server, "--to", "support@example.com", "--header", f"Subject: Re: [#{NUMBER}] x"),
        *("--body", "By number, with a picture", "--attach-type", "image/png", "--attach", f"@{picture}"),
    )
    assert eventually(lambda: api.bodies()[1:] and api.bodies()) == ["Hello from swaks", "By number, with a picture"]
    assert len(api.new()[1]["attachments"]) == 1


NODEMAILER = """
const mailer = require('nodemailer');
const [port, to] = process.argv.slice(2);
const transport = mailer.createTransport({host: '127.0.0.1', port: Number(port), ignoreTLS: true});
transport.sendMail({
  from: 'Kund <kund@example.net>', to, subject: 'Sv: fråga',
  text: 'Hej från nodemailer – åäö',
  html: '<p>Hej från <b>nodemailer</b> – åäö</p>',
  attachments: [{filename: 'räkning.txt', content: 'Belopp: 100'}],
}).then(info => console.log(JSON.stringify(info.accepted)), error => { console.error(error); process.exit(1); });
"""


def test_nodemailer(bridge: Bridge, api: Api, tmp_path: Path) -> None:
    run("npm", "install", "--silent", "--no-audit", "--no-fund", "nodemailer@7.0.3", cwd=tmp_path)
    (tmp_path / "send.js").write_text(NODEMAILER)
    address = f"support+{TICKET}@example.com"
    assert json.loads(run("node", "send.js", str(bridge.port), address, cwd=tmp_path)) == [address]
    assert eventually(api.bodies) == ["Hej från nodemailer – åäö"]
    assert [file["filename"] for file in api.new()[0]["attachments"]] == ["räkning.txt"]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def postfix(bridge: Bridge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Postfix of its own (queue, data and configuration in a fresh directory) that relays to the bridge."""
    base = Path("/tmp") / f"pf-{os.getpid()}"
    shutil.rmtree(base, ignore_errors=True)
    etc, queue, data = base / "etc", base / "queue", base / "data"
    for directory in (etc, queue, data):
        directory.mkdir(parents=True)
    shutil.chown(data, pwd.getpwnam("postfix").pw_name)
    port = free_port()
    (etc / "main.cf").write_text(
        f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {base}/mail.log
maillog_file_prefixes = {base}
myhostname = mx.example.com
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
recipient_delimiter = +
relay_domains = example.com
transport_maps = inline:{{ {{example.com=smtp:[127.0.0.1]:{bridge.port}}} }}
smtpd_recipient_restrictions = reject_unverified_recipient, permit_mynetworks, reject
address_verify_map =
address_verify_poll_count = 6
unverified_recipient_reject_code = 550
message_size_limit = 25000000
"""
    )
    (etc / "master.cf").write_text(
        f"""127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
    )
    run("postfix", "-c", str(etc), "start")
    try:
        yield port
    finally:
        subprocess.run(["postfix", "-c", str(etc), "stop"], check=False, capture_output=True)
        print((base / "mail.log").read_text() if (base / "mail.log").exists() else "no mail.log")
        shutil.rmtree(base, ignore_errors=True)


def test_through_postfix(postfix: int, bridge: Bridge, api: Api) -> None:
    import smtplib

    with smtplib.SMTP("127.0.0.1", postfix, timeout=60) as relay:
        relay.sendmail("kund@example.net", [f"support+{TICKET}@example.com"], message("Genom Postfix åäö").as_bytes())
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            relay.sendmail("kund@example.net", ["nobody@example.com"], message("x").as_bytes())
    assert next(iter(refused.value.recipients.values()))[0] == 550
    assert eventually(api.bodies, 60) == ["Genom Postfix åäö"]
    assert len(bridge.queue()) == 1, "recipient probes leave no trace"
