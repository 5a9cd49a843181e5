"""Real mail clients in front of the bridge (Debian: swaks, nodejs with npm)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.main_job.running import NUMBER, TICKET, Api, Bridge, eventually

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
