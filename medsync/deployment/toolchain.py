"""The pinned tools MedSync is built and tested with: where they are, and how to get them.

Scarb is optional: the built artifacts are committed. starknet-devnet is needed for the tests and the demo. It
is taken from PATH if its version is right, else from the user's cache, where `install_devnet` builds it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from medsync.errors import ToolError
from medsync.starknet.network import DEVNET_URL_VARIABLE
from medsync.storage.locks import Lock

SCARB_VERSION = "2.19.4"
"""Scarb and, inside it, the Cairo compiler. Another version compiles to other class hashes."""
DEVNET_VERSION = "0.10.1"
STARKNET_VERSION = "0.14.4"
"""The protocol version DEVNET_VERSION runs; every published cost is measured under it."""


DEVNET_BUILD_PROFILE = {
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG": "0",
}
"""Cargo settings of the devnet build, unless the caller's environment has its own.

Measured on two cores: 16 minutes to build and 78 transactions/s, against 24 minutes and 116/s for the full
release profile. A newcomer waits for the build first, and the tests stay well within their time either way.
"""

BUILD_WAIT = 3 * 3_600.0
"""Seconds to wait for another process that builds a tool: far longer than a build takes."""

_DEVNET_FROM_ELSEWHERE = f"""\
  - put a prebuilt starknet-devnet {DEVNET_VERSION} on PATH, or
  - run its container image and say where it listens:
      docker run -d -p 127.0.0.1:5050:5050 shardlabs/starknet-devnet-rs:{DEVNET_VERSION} \\
        --seed 2026 --accounts 16 --initial-balance 1000000000000000000000000 --chain-id MEDSYNC_DEVNET
      export {DEVNET_URL_VARIABLE}=http://127.0.0.1:5050"""


@dataclass(frozen=True)
class Tool:
    """A program looked for: the version wanted, and the best candidate found, if any."""

    name: str
    wanted: str
    path: Path | None = None
    version: str | None = None

    @property
    def ok(self) -> bool:
        """Whether a candidate with exactly the wanted version was found."""
        return self.version == self.wanted

    def __str__(self) -> str:
        if self.path is None:
            return f"{self.name} {self.wanted} is not installed"
        if self.ok:
            return f"{self.name} {self.version} ({self.path})"
        return (
            f"{self.name} {self.wanted} is wanted, but {self.path} is {self.version or 'of no known version'}"
        )


def cache_dir() -> Path:
    """Where MedSync keeps what can be made again: `$XDG_CACHE_HOME/medsync`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medsync"


def version_of(executable: Path) -> str | None:
    """The version a program reports under `--version`, or None if it cannot be run or does not say."""
    try:
        done = subprocess.run(
            [executable, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\d+\.\d+\.\d+\S*", done.stdout)
    return match.group() if match else None


def find(name: str, wanted: str, *elsewhere: Path) -> Tool:
    """Look for a program on PATH and then in further folders.

    The first candidate with the wanted version wins; without one, the first of any version is reported.
    """
    on_path = shutil.which(name)
    candidates = [Path(on_path)] if on_path else []
    candidates += [folder / name for folder in elsewhere if os.access(folder / name, os.X_OK)]
    found = [Tool(name, wanted, path, version_of(path)) for path in candidates]
    return next((tool for tool in found if tool.ok), found[0] if found else Tool(name, wanted))


def scarb() -> Tool:
    """The Scarb on PATH, of whatever version."""
    return find("scarb", SCARB_VERSION)


def devnet() -> Tool:
    """starknet-devnet from PATH, or the one `install_devnet` built."""
    return find("starknet-devnet", DEVNET_VERSION, _devnet_root() / "bin")


def require_devnet() -> Path:
    """The path of a starknet-devnet of the pinned version.

    Raises ToolError, naming the ways to get one, if there is none.
    """
    tool = devnet()
    if tool.path is None or not tool.ok:
        raise ToolError(
            f"{tool}.", hint="Run `make devnet` to build it with cargo, or:\n" + _DEVNET_FROM_ELSEWHERE
        )
    return tool.path


def install_devnet() -> Path:
    """Return the path of a starknet-devnet of the pinned version, building it with cargo if there is none.

    The build happens in the cache folder, needs no privileges, and continues where an interrupted one ended.
    Raises ToolError if cargo or a C compiler is missing, or the build fails.
    """
    tool = devnet()
    if tool.path is not None and tool.ok:
        return tool.path
    cargo, compiler = shutil.which("cargo"), shutil.which("cc")
    if cargo is None or compiler is None:
        missing = "cargo" if cargo is None else "a C compiler (cc)"
        raise ToolError(
            f"{tool}, and {missing} to build it is missing too. One of three ways gets you a devnet:",
            hint="  - install Rust (rustup) and a C toolchain, and run this again, or\n"
            + _DEVNET_FROM_ELSEWHERE,
        )
    root = _devnet_root()
    root.mkdir(parents=True, exist_ok=True)
    print(
        f"{tool}.\nBuilding {DEVNET_VERSION} with cargo into {root}: once, about 16 minutes on two cores.\n"
        f"It can be interrupted and resumed. To avoid it:\n{_DEVNET_FROM_ELSEWHERE}",
        flush=True,
    )
    path = root / "bin" / "starknet-devnet"
    with Lock(root / "lock", f"The build in {root}", wait=BUILD_WAIT, waiting=print):
        if version_of(path) != DEVNET_VERSION:  # Another process may have built it while this one waited.
            _cargo_install(Path(cargo), root)
        if version_of(path) != DEVNET_VERSION:
            raise ToolError(f"cargo made {path}, but it does not report version {DEVNET_VERSION}.")
        # Several gigabytes, of no use once the program is there.
        shutil.rmtree(root / "target", ignore_errors=True)
    return path


def _devnet_root() -> Path:
    return cache_dir() / f"devnet-{DEVNET_VERSION}"


def _cargo_install(cargo: Path, root: Path) -> None:
    command = [
        str(cargo),
        "install",
        "starknet-devnet",
        "--version",
        DEVNET_VERSION,
        "--locked",
        "--root",
        str(root),
    ]
    # A target folder that stays where it is lets cargo resume; its default one is new for every attempt.
    environment = DEVNET_BUILD_PROFILE | os.environ | {"CARGO_TARGET_DIR": str(root / "target")}
    if subprocess.run(command, env=environment).returncode:
        raise ToolError(
            f"cargo could not build starknet-devnet {DEVNET_VERSION}; its own message is above.",
            hint="Run this again to resume, or:\n" + _DEVNET_FROM_ELSEWHERE,
        )
