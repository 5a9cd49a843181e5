"""What is handed out: builds that come out the same twice, and run on every supported Python that is there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks

VERSIONS = ("3.11", "3.12", "3.13", "3.14")


def pythons() -> dict[str, str]:
    """Every supported Python that is there, in PATH or beside pyenv's."""
    found = {}
    for version in VERSIONS:
        for path in [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]:
            told = path and subprocess.run([path, "-c", "import venv, ensurepip"], check=False, capture_output=True)
            if path and told and told.returncode == 0:
                found.setdefault(version, str(path))
    return found


def run(*arguments: str | Path, **options: object) -> str:
    done = subprocess.run(
        [str(one) for one in arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist of what is committed and what is changed, built from a copy."""
    source = tmp_path_factory.mktemp("source") / "project"
    kept = run("git", "ls-files", cwd=ROOT).splitlines()
    for name in kept:
        if (ROOT / name).is_file() and not name.startswith("tests/corpus"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    for turn in ("one", "two"):
        if turn == "two":
            for path in source.rglob("*"):
                os.utime(path, (1_600_000_000, 1_600_000_000))
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out / turn, source)
    return out


@pytest.mark.system
@pytest.mark.timeout(300)
def test_builds_come_out_the_same(built: Path) -> None:
    one, two = (
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (built / turn).iterdir()}
        for turn in ("one", "two")
    )
    assert one == two
    assert len(one) == 2
    (wheel,) = (built / "one").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "bridge").rglob("*") if path.is_file()}
    wanted = {name for name in package if "__pycache__" not in name}
    tracked = set(run("git", "ls-files", "bridge", cwd=ROOT).splitlines())
    assert wanted & tracked <= names, "templates, rules, locales and mails are in it"
    (sdist,) = (built / "one").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "README.md",
        "LICENSE",
        "requirements/run.lock",
        "systemd/ticket-bridge.service",
        "docs/operations.md",
    ):
        assert name in held, name


@pytest.mark.system
@pytest.mark.timeout(300)
def test_the_wheel_runs_on_every_python_that_is_there(built: Path, tmp_path: Path) -> None:
    (wheel,) = (built / "one").glob("*.whl")
    found = pythons()
    assert found
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for version, python in found.items():
        place = tmp_path / version
        run("uv", "venv", "-q", "--python", python, place, env=_with_uv())
        install = ["uv", "pip", "install", "-q", "--python", place / "bin/python"]
        run(*install, "--require-hashes", "-r", ROOT / "requirements/run.lock", env=_with_uv())
        run(*install, "--no-deps", wheel, env=_with_uv())
        tool = place / "bin/ticket-bridge"
        assert run(tool, "--version", cwd=tmp_path) == f"ticket-bridge {wanted}\n"
        run(tool, "demo", "--once", cwd=tmp_path)
        run(place / "bin/python", "-c", "import importlib.metadata as m; m.version('ticket-bridge')", cwd=tmp_path)
        print(f"Python {version}: {python}")


def _with_uv() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.mark.system
@pytest.mark.timeout(300)
def test_the_install_of_the_readme(tmp_path: Path) -> None:
    (block,) = (one for one in blocks([ROOT / "README.md"]) if "test_ops_packaging" in one.markers.get("run by", ""))
    newest = list(pythons().values())[-1]
    text = block.text.replace("/opt/ticket-bridge", str(tmp_path / "opt")).replace("python3 -m", f"{newest} -m")
    run("bash", "-euo", "pipefail", "-c", text, cwd=ROOT)
    assert "ticket-bridge" in run(tmp_path / "opt/bin/ticket-bridge", "--version", cwd=tmp_path)
    shutil.rmtree(ROOT / "build", ignore_errors=True)
