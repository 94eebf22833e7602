#!/usr/bin/env python3
"""Create or complete `.venv` from the committed locks. Needs only Python and, once, a package index.

Run by `make setup` before anything is installed: hence the standard library alone, and syntax that older
interpreters know, to tell them what is wanted. Every step may be interrupted: run it again to resume.
`--lock` rewrites the locks from pyproject.toml instead.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
LOCK = "requirements.lock"
BOOTSTRAP_LOCK = "requirements-bootstrap.lock"
MIN_PYTHON = (3, 11)
MIN_UV = (0, 9)


class SetupError(Exception):
    """Something the person at the keyboard has to change; the message says what."""


def check_python(version: "tuple[int, ...]" = sys.version_info[:3]) -> None:
    """Refuse interpreters older than MIN_PYTHON, naming a newer one if PATH holds one."""
    if tuple(version[:2]) >= MIN_PYTHON:
        return
    newer = [name for name in (f"python3.{minor}" for minor in range(14, 10, -1)) if shutil.which(name)]
    raise SetupError(
        f"Python 3.{MIN_PYTHON[1]} or newer is needed, and {sys.executable} is {version[0]}.{version[1]}: "
        + f"{'' if newer else 'install one and '}run `make PYTHON={newer[0] if newer else '<its path>'} ...`."
    )


def check_platform(platform: str = sys.platform) -> None:
    """Refuse platforms that starknet-devnet and the locked binary packages do not exist for."""
    if not platform.startswith(("linux", "darwin")):
        raise SetupError(f"Linux or macOS is needed (on Windows: WSL); this is {platform}.")


def run(*command: "str | Path") -> None:
    """Run a command in the repository with its output shown. Raises SetupError, naming it, if it fails."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    }
    words = [str(part) for part in command]
    status = subprocess.run(words, cwd=ROOT, env={**kept, "UV_PYTHON_DOWNLOADS": "never"}).returncode
    if status:
        raise SetupError(
            f"`{' '.join(words)}` failed with status {status}; its own message is above.\n"
            "A package without a wheel for this platform is compiled: that takes a C compiler and the\n"
            "headers of Python and GMP (libgmp-dev). Run the same command again to resume."
        )


def uv_version(executable: "str | Path") -> "tuple[int, int]":
    """The (major, minor) of a uv, or (0, 0) if it cannot be run."""
    try:
        output = subprocess.run(
            [str(executable), "--version"], stdout=subprocess.PIPE, check=True
        ).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    match = re.match(r"uv (\d+)\.(\d+)", output)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)


def find_uv() -> "str | Path":
    """uv from PATH if it is recent enough, else the locked one, installed into .tools/ on first use."""
    on_path = shutil.which("uv")
    if on_path and uv_version(on_path) >= MIN_UV:
        return on_path
    local = TOOLS / "bin" / "uv"
    if uv_version(local) < MIN_UV:
        print(f"No uv {MIN_UV[0]}.{MIN_UV[1]} or newer on PATH: installing one into .tools/.", flush=True)
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            raise SetupError(
                "This Python lacks venv: install uv or your system's python3-venv package."
            ) from None
        run(sys.executable, "-m", "venv", "--clear", TOOLS)
        pip = (TOOLS / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
        run(*pip, "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", BOOTSTRAP_LOCK)
    return local


def install(uv: "str | Path", venv: Path = VENV, interpreter: "str | Path" = sys.executable) -> None:
    """Make an environment hold exactly what the lock says, and this project in place.

    An incomplete environment, left by an interruption, is created again; what was downloaded already is in
    uv's cache.
    """
    python, ready = venv / "bin" / "python", venv / ".ready"
    if not ready.exists() or not python.exists() or subprocess.run([str(python), "-c", ""]).returncode:
        run(uv, "venv", "--quiet", "--clear", "--python", interpreter, venv)
    else:
        ready.unlink()
    pip = (uv, "pip")
    into = ("--quiet", "--python", python)
    run(*pip, "sync", *into, "--require-hashes", "--build-constraints", BOOTSTRAP_LOCK, LOCK)
    run(*pip, "install", *into, "--no-deps", "--no-build-isolation", "--editable", ROOT)
    ready.touch()


def lock(uv: "str | Path") -> None:
    """Rewrite both locks: for every platform, with every file's hash, without a registry's name."""
    oldest = f"{MIN_PYTHON[0]}.{MIN_PYTHON[1]}"
    resolve = (
        *(uv, "pip", "compile", "--quiet", "--upgrade", "--universal", "--generate-hashes"),
        *("--python-version", oldest, "--custom-compile-command", "make lock", "--output-file"),
    )
    run(*resolve, LOCK, "--extra", "dev", "pyproject.toml")
    run(*resolve, BOOTSTRAP_LOCK, "--group", "bootstrap")


def main() -> None:
    try:
        check_python()
        check_platform()
        uv = find_uv()
        if sys.argv[1:] == ["--lock"]:
            lock(uv)
        else:
            print(f"Setting up .venv from {LOCK} (about a minute the first time).", flush=True)
            install(uv)
    except SetupError as error:
        sys.exit(f"setup: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
