"""What tests of deployments share: deploying, and the death of whoever does."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jsonschema

from medsync.deployment import deployer, record
from medsync.deployment.deployer import Progress
from medsync.deployment.record import Record
from medsync.starknet.network import STRK_TOKEN
from medsync.starknet.transactions import Account

CREATE_POOL = f"create RewardPool for {STRK_TOKEN:#x}"
STEPS = ("declare RewardPool", "declare MedSync", "deploy MedSync", CREATE_POOL)
ETH_TOKEN = 0x49D36570D4E46F48E99674BD3FCC84644DDD6B96F7C741B1562B82F9E004DC7
"""A second ERC-20 that every devnet has."""
SUCCESSOR = 0x5ACCE5504
"""An administrator who is nobody's default."""


class Death(BaseException):
    """Not an Exception, so that nothing on the way can catch it, as nothing can catch a power cut."""


def deaths_at(points: Iterable[tuple[str, str]]) -> Callable[[Progress], None]:
    """Die at each (step, stage) the first time it is reached."""
    ahead = set(points)

    def progress(one: Progress) -> None:
        if (one.step, one.stage) in ahead:
            ahead.remove((one.step, one.stage))
            raise Death(f"{one.step}: {one.stage}")

    return progress


async def deploy(
    account: Account, path: Path, progress: Callable[[Progress], None] = lambda one: None, **changes: Any
) -> Record:
    """Deploy with the account as administrator, unless `changes` say otherwise."""
    arguments: dict[str, Any] = {"admin": account.address, **changes}
    return await deployer.deploy(account, "devnet", path, progress=progress, **arguments)


def read(path: Path) -> Record:
    """A record that the JSON Schema and the model both take."""
    schema = json.loads((record.folder() / "schema.json").read_text())
    jsonschema.validate(json.loads(path.read_text()), schema)
    return record.read(path)


def files(folder: Path) -> list[str]:
    """The names of all files in a folder, hidden ones among them."""
    return sorted(path.name for path in folder.iterdir())
