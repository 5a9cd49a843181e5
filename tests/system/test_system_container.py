"""The Dockerfile without a container engine: its steps are executed in a copy-on-write view of this machine's own root.

What is played: FROM gives this machine's root instead of the named image; each RUN is run by ``/bin/sh -c`` in the
view, each COPY copies; the second stage begins in a fresh view; then the entry point runs as the image's user on a root
that is read-only but for the volume, without capabilities, and the health check is run against it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """(name, rest) of each instruction; ENV and the like may go over several lines."""
    for line in re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name:
            yield name, rest.strip()


@dataclass
class Stage:
    """One stage: a view of the root, and what the image says of itself."""

    top: Path
    environ: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0"
    said: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.top / "root"

    def begin(self) -> None:
        self.top.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", self.top], check=True)
        for name in ("upper", "work", "root"):
            (self.top / name).mkdir()
        options = f"lowerdir=/,upperdir={self.top}/upper,workdir={self.top}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], check=True)
        # The image has its Python in PATH; here it is the one that runs this test.
        python = self.root / "usr/local/bin/python"
        python.unlink(missing_ok=True)
        python.write_text(f'#!/bin/sh\nexec {Path(sys.executable).resolve()} "$@"\n')
        python.chmod(0o755)
        (self.root / "root").chmod(0o755)  # it may stand there, and the image's user must reach it
        subprocess.run(["mount", "--rbind", "/proc", self.root / "proc"], check=True)
        subprocess.run(["mount", "--rbind", "/dev", self.root / "dev"], check=True)

    def end(self) -> None:
        subprocess.run(["umount", "-R", "-l", self.top], check=False, capture_output=True)

    def run(self, command: str) -> None:
        environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **_network(), **self.environ}
        done = subprocess.run(
            ["chroot", self.root, "/bin/sh", "-ec", f"cd {self.workdir} && {command}"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == 0, f"RUN {command}\n{done.stdout}{done.stderr}"

    def place(self, path: str) -> Path:
        return self.root / str(Path(self.workdir) / path).lstrip("/")


def _network() -> dict[str, str]:
    """How pip reaches its index on this machine."""
    return {
        name: value for name, value in os.environ.items() if name.lower().endswith("_proxy") or name.startswith("PIP_")
    }


def _copy(stage: Stage, stages: dict[str, Stage], rest: str) -> None:
    words = shlex.split(rest)
    source = ROOT
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *names, target = words
    for name in names:
        found = source / name.lstrip("/")
        into = stage.place(target)
        if found.is_dir():
            shutil.copytree(
                found, into, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            into = into / found.name if target.endswith(("/", ".")) else into
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, into)


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Stage]:
    stages: dict[str, Stage] = {}
    stage = Stage(tmp_path)
    try:
        for name, rest in instructions((ROOT / "Dockerfile").read_text()):
            if name == "FROM":
                called = rest.partition(" AS ")[2] or "last"
                stages[called] = stage = Stage(tmp_path / called)
                stage.begin()
            elif name == "WORKDIR":
                stage.workdir = rest
                stage.place(".").mkdir(parents=True, exist_ok=True)
            elif name == "COPY":
                _copy(stage, stages, rest)
            elif name == "RUN":
                stage.run(rest)
            elif name == "ENV":
                stage.environ |= dict(word.split("=", 1) for word in shlex.split(rest))
            elif name == "USER":
                stage.user = rest
            else:
                stage.said[name] = rest
        yield stage
    finally:
        for made in reversed(stages.values()):
            made.end()


def _inside(stage: Stage, command: list[str], **settings: str) -> list[str]:
    """Run by the image's user, without any capability, on a root that cannot be written."""
    environ = [f"{name}={value}" for name, value in {**stage.environ, **settings}.items()]
    confined = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--clear-groups"]
    user = [f"--reuid={stage.user}", f"--regid={stage.user}"]
    return ["chroot", str(stage.root), *confined, *user, "env", "-i", *environ, *command]


def test_every_step_is_executed_and_the_result_serves(image: Stage) -> None:
    volume, upper = image.said["VOLUME"], image.top / "upper"
    assert image.said["EXPOSE"] == "8025"
    kept = image.top / "volume"
    shutil.copytree(image.root / volume.lstrip("/"), kept)
    owner = (image.root / volume.lstrip("/")).stat()
    assert (str(owner.st_uid), owner.st_mode & 0o777) == (image.user, 0o700)
    os.chown(kept, owner.st_uid, owner.st_gid)
    kept.chmod(0o700)
    subprocess.run(["mount", "-o", "remount,ro", image.root], check=True)
    subprocess.run(["mount", "--bind", kept, image.root / volume.lstrip("/")], check=True)
    assert not list(upper.rglob("*.pyc.*"))
    entry = json.loads(image.said["ENTRYPOINT"])
    assert "sh" not in entry[0].rpartition("/")[2], "no shell is needed"
    settings = {
        "BRIDGE_MAIL_DOMAINS": "example.com",
        "BRIDGE_HOSTNAME": "bridge.example.com",
        "BRIDGE_API_URL": "http://127.0.0.1:9",
        "BRIDGE_API_KEY": "k",
        "BRIDGE_SPOOL_MIN_FREE_BYTES": "0",
    }
    health = json.loads(image.said["HEALTHCHECK"].partition("CMD ")[2])
    assert subprocess.run(_inside(image, health), check=False, capture_output=True).returncode != 0
    with subprocess.Popen(
        _inside(image, [*entry, *json.loads(image.said["CMD"])], **settings), stderr=subprocess.PIPE
    ) as serving:
        try:
            for _ in range(100):
                if subprocess.run(_inside(image, health), check=False, capture_output=True).returncode == 0:
                    break
                assert serving.poll() is None, serving.stderr and serving.stderr.read()
                time.sleep(0.3)
            else:
                pytest.fail("it is not healthy")
            told = subprocess.run(
                _inside(image, [*entry, "queue", "list", "--json"], **settings), check=True, capture_output=True
            )
            assert told.stdout == b""
        finally:
            serving.terminate()
            assert serving.wait(30) == 0
    assert (kept / "spool.db").stat().st_uid == int(image.user)


@pytest.mark.parametrize("name", ["Dockerfile", "config/postfix/Dockerfile"])
def test_hadolint_has_nothing_to_say(name: str) -> None:
    tool = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([tool, ROOT / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["Dockerfile", "config/postfix/Dockerfile"])
def test_base_images_are_pinned(name: str) -> None:
    for word, rest in instructions((ROOT / name).read_text()):
        if word == "FROM":
            assert re.search(r":\d+\.\d+(\.\d+)?-", rest), rest


def test_only_what_the_build_copies_is_sent_to_it() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        word
        for file in ("Dockerfile", "config/postfix/Dockerfile")
        for name, rest in instructions((ROOT / file).read_text())
        if name == "COPY" and not rest.startswith("--from")
        for word in shlex.split(rest)[:-1]
    ]
    for word in copied:
        assert any(word == one or word.startswith(f"{one}/") for one in allowed), word
