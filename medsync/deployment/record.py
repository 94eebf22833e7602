"""The record of a deployment: what is where on a network.

A record, `deployments/<name>.json`, holds what was asked for and what was read back from the chain, nothing
else, and is replaced as a whole or not at all. `medsync.deployment.deployer` makes and checks it.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from medsync.errors import InputError
from medsync.protocol.commitments import parse_json
from medsync.protocol.felt import InvalidValue
from medsync.protocol.json import Felt
from medsync.storage.files import NewFile, is_there, read_bytes, replace
from medsync.storage.locks import Lock
from medsync.storage.versions import UnsupportedVersion, check_form

MEDSYNC: Final = "MedSync"
REWARD_POOL: Final = "RewardPool"
PRIVATE_ANCHOR: Final = "PrivateAnchor"

#: Environment variable with the folder of the records.
FOLDER_VARIABLE: Final = "MEDSYNC_DEPLOYMENTS"

#: The contracts whose classes a deployment declares.
ContractName = Literal["MedSync", "RewardPool", "PrivateAnchor"]

#: The contracts that the deployer's account deploys itself; MedSync deploys its pools.
OwnContractName = Literal["MedSync", "PrivateAnchor"]

_FIRST_EDITION: Final = (
    "It is of the contracts' first edition, which this MedSync does not know: use the release that deployed "
    "it, or deploy again under another name (--deployment)."
)

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Time = Annotated[
    datetime,
    PlainSerializer(lambda moment: moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), when_used="json"),
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


_P = TypeVar("_P", bound=_Part)


class QuorumNode(_Part):
    """A private node that may attest."""

    stark_key: Felt = Field(description="Public key (x coordinate) by which it signs.")
    identity: Felt = Field(description="Hash of its kind and ed25519 key.")


class Quorum(_Part):
    """Whose signatures a PrivateAnchor begins with, and how many of them it needs."""

    threshold: int = Field(ge=1, le=255, strict=True)
    nodes: tuple[QuorumNode, ...]


class Request(_Part):
    """What the deployment was asked to be. It never changes, but that tokens and a PrivateAnchor may be added
    later; a resumed one must ask for the same."""

    deployer: Felt = Field(
        description="Account that sends the transactions. It gets no rights from that, but the addresses of "
        "the pools depend on it."
    )
    admin: Felt = Field(description="First administrator of MedSync.")
    tokens: tuple[Felt, ...] = Field(
        description="ERC-20s, each once, for each of which there is a reward pool.",
        json_schema_extra={"uniqueItems": True},
    )
    salt: Felt = Field(description="Salt of all addresses.")
    anchor: Quorum | None = Field(default=None, description="First nodes of the PrivateAnchor, if any.")

    @model_validator(mode="after")
    def _each_token_once(self) -> Self:
        if len(set(self.tokens)) != len(self.tokens):
            raise ValueError("a token is named twice")
        return self


class Tools(_Part):
    """Versions that made the deployment."""

    medsync: str
    scarb: str
    cairo: str
    starknet: str = Field(description="Protocol version of the network when the deployment began.")


class IncludedTransaction(_Part):
    """A transaction that did its part, and the block it is in."""

    transaction: Felt
    block: int = Field(ge=0, strict=True)


class DeclaredClass(_Part):
    """A class that is on the chain."""

    class_hash: Felt
    compiled_class_hash: Felt
    artifacts: dict[str, Sha256] = Field(
        description="Files in medsync/artifacts/ it was made of, with SHA-256."
    )
    declared: IncludedTransaction | None = Field(
        description="Null if it had been declared before this deployment."
    )


class DeployedContract(_Part):
    """A contract that the deployer's account put on the chain."""

    address: Felt
    class_hash: Felt
    constructor: dict[str, Felt] = Field(description="Constructor arguments by name, in order.")
    deployed: IncludedTransaction | None = Field(
        description="Null if it had been deployed before this deployment."
    )


class Pool(_Part):
    """A reward pool that MedSync deployed by `create_pool`."""

    address: Felt
    token: Felt = Field(description="ERC-20 that it holds; it can never be changed.")
    symbol: str = Field(description="What the token calls itself: anybody may call a token anything.")
    salt: Felt = Field(description="Salt given to create_pool; MedSync hashes it with the creator's address.")
    created: IncludedTransaction | None = Field(
        description="Null if it had been created before this deployment."
    )


class Wiring(_Part):
    """What MedSync answered about itself when the deployment was finished."""

    admin: Felt = Field(description="MedSync.admin()")
    edition: str = Field(description="MedSync.edition()")
    pool_class_hash: Felt = Field(description="MedSync.pool_class_hash(): the class of all its pools.")
    successor: Felt = Field(description="MedSync.successor(); zero for none. Show it, never follow it.")


class Pending(_Part):
    """A transaction that was signed, and may or may not have reached the network."""

    step: str
    transaction: Felt


def _only_complete_if_whole(schema: dict[str, Any]) -> None:
    schema["if"] = {"properties": {"status": {"const": "complete"}}}
    schema["then"] = {
        "properties": {
            "classes": {"required": [MEDSYNC, REWARD_POOL]},
            "contracts": {"required": [MEDSYNC]},
            "wiring": {"not": {"type": "null"}},
            "finished_at": {"not": {"type": "null"}},
            "pending": {"type": "null"},
        }
    }
    schema["else"] = {"properties": {"wiring": {"type": "null"}, "finished_at": {"type": "null"}}}


class Record(_Part):
    """One deployment. Classes and contracts are in it once they were read back from the chain."""

    model_config = ConfigDict(
        title="MedSync deployment record",
        validate_by_name=True,
        serialize_by_alias=True,
        json_schema_extra=_only_complete_if_whole,
    )

    form: Literal["medsync.deployment/2"] = Field(default="medsync.deployment/2", alias="schema")
    status: Literal["incomplete", "complete"]
    network: str
    chain_id: str
    request: Request
    tools: Tools
    started_at: Time
    finished_at: Time | None = None
    classes: dict[ContractName, DeclaredClass] = {}
    contracts: dict[OwnContractName, DeployedContract] = {}
    pools: tuple[Pool, ...] = ()
    wiring: Wiring | None = None
    pending: Pending | None = None

    @model_validator(mode="after")
    def _complete_means_whole(self) -> Self:
        anchor = {PRIVATE_ANCHOR} if self.request.anchor else set()
        if self.complete and (
            self.classes.keys() != {MEDSYNC, REWARD_POOL} | anchor
            or self.contracts.keys() != {MEDSYNC} | anchor
            or tuple(pool.token for pool in self.pools) != self.request.tokens
            or self.wiring is None
            or self.finished_at is None
            or self.pending is not None
        ):
            raise ValueError(
                "a complete deployment names classes, contracts, pools, wiring and end, and nothing pending"
            )
        return self

    @property
    def complete(self) -> bool:
        return self.status == "complete"

    @property
    def medsync(self) -> int:
        """The address of MedSync. Raises InputError while it is not deployed."""
        return self._address(MEDSYNC)

    @property
    def reward_pool(self) -> int:
        """The address of the first reward pool; `pools` has all. Raises InputError while there is none."""
        if self.request.tokens and not self.pools:
            raise self._incomplete(REWARD_POOL)
        if not self.pools:
            raise InputError(
                f"The deployment on {self.network} has no reward pool.",
                hint="`medsync deploy --token` creates one.",
            )
        return self.pools[0].address

    @property
    def private_anchor(self) -> int | None:
        """The address of PrivateAnchor; None if the deployment has none. Raises InputError as the others."""
        return self._address(PRIVATE_ANCHOR) if self.request.anchor else None

    @property
    def first_block(self) -> int:
        """A block before which no contract had an event: where looking for events may begin."""
        blocks = [contract.deployed.block if contract.deployed else 0 for contract in self.contracts.values()]
        return min(blocks, default=0)

    def _address(self, name: OwnContractName) -> int:
        if name not in self.contracts:
            raise self._incomplete(name)
        return self.contracts[name].address

    def _incomplete(self, missing: str) -> InputError:
        return InputError(
            f"The deployment on {self.network} is incomplete: {missing} is not deployed.",
            hint="Run `medsync deploy` again: it resumes.",
        )

    def replace(self, **changes: Any) -> Self:
        """The record with some members changed, validated as a whole."""
        return type(self)(**{**dict(self), **changes})

    def to_json(self) -> str:
        """The record as its file holds it."""
        return self.model_dump_json(indent=2) + "\n"


def folder() -> Path:
    """Where the records are.

    That is `$MEDSYNC_DEPLOYMENTS`; else `deployments` in the current folder, if there is such a folder; else
    one in the user's data folder, `$XDG_DATA_HOME/medsync/deployments`. Raises InputError if the variable
    names something else than a folder.
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        path = Path(named)
        if is_there(path) and not path.is_dir():
            raise InputError(
                f"{FOLDER_VARIABLE}: {path} is not a folder.",
                hint="Name the folder of the records; --deployment names a single one.",
            )
        return path
    here = Path("deployments")
    if here.is_dir():
        return here
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "medsync" / "deployments"


def path_of(name: str) -> Path:
    """The file of a deployment: `name` itself if it is a path, else `deployments/<name>.json`.

    Raises InputError for a name that is neither.
    """
    if name.endswith(".json") or "/" in name:
        return Path(name)
    if name in ("", "schema") or name.startswith(".") or not name.isascii() or not name.isprintable():
        raise InputError(f"{name!r} cannot be the name of a deployment.")
    return folder() / f"{name}.json"


def read_deployment(name: str) -> Record:
    """Read a deployment's record by its name, usually its network's, or by its path.

    Names are looked up in `folder()`. Raises InputError if there is no such record or it is not valid.

        contract = read_deployment("sepolia").medsync
    """
    return read(path_of(name))


def read(path: Path) -> Record:
    """Read a record. Raises InputError if the file cannot be read or is not a valid record."""
    if not is_there(path):
        raise InputError(
            f"There is no deployment record {path}.",
            hint="`medsync deploy` makes one. A record that you have is named by --deployment, or looked for "
            f"in the folder {FOLDER_VARIABLE}.",
        )
    return _parse(path, Record, "deployment record")


def read_quorum(path: Path) -> Quorum:
    """Read a file of nodes. Raises InputError if it cannot be read or is not valid.

    Whether nodes and threshold can be is for the contract to say.
    """
    return _parse(path, Quorum, "file of nodes")


def _parse(path: Path, kind: type[_P], what: str) -> _P:
    content = read_bytes(path, f"The {what}")
    try:
        document = parse_json(content)  # It refuses what two readers could understand differently.
        if kind is Record:
            check_form(
                document,
                Record.model_fields["form"].default,
                f"The {what} {path}",
                member="schema",
                older=_FIRST_EDITION,
            )
        return kind.model_validate_json(content)
    except UnsupportedVersion:
        raise
    except InvalidValue as error:
        problem = str(error)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        problem = f"{'.'.join(map(str, detail['loc'])) or 'document'}: {detail['msg']}"
    raise InputError(f"{path} is not a valid {what}: {problem}.")


def find_all() -> list[Path]:
    """The files of all recorded deployments, by name."""
    return sorted(path for path in folder().glob("*.json") if path.name != "schema.json")


def schema() -> str:
    """The JSON Schema of a record, as `deployments/schema.json` holds it."""
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(document | Record.model_json_schema(mode="serialization"), indent=2) + "\n"


def read_if_there(path: Path) -> Record | None:
    return read(path) if is_there(path) else None


def write(path: Path, record: Record) -> None:
    """Replace a record as a whole. Raises InputError where no file can be made."""
    replace(NewFile(path, record.to_json().encode(), "The deployment record"))


def exclusive(path: Path) -> Lock:
    """Let one process at a time deploy into a folder.

    Raises InUse, naming the other, and InputError where nothing can be written.
    """
    try:
        return Lock(path.parent / ".lock", f"The folder of deployment records {path.parent}")
    except InputError as error:
        error.hint = (
            error.hint
            or f"Set {FOLDER_VARIABLE} to a folder that can be written, or name one by --deployment."
        )
        raise
