"""Account files: what an account's address follows from, and where its key is.

MedSync's own accounts are pairs of files in one folder: `<name>.json` in the format of starkli's account
files, and `<name>.keystore.json`, a keystore. Account files of starkli and the accounts file of sncast
(Starknet Foundry) are read as they are.
"""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from starknet_py.hash.address import compute_address

from medsync.errors import InputError
from medsync.protocol.commitments import parse_json
from medsync.protocol.felt import InvalidValue, check_address, decode_short_string, parse_felt
from medsync.storage.files import read_bytes

#: Class of the accounts that MedSync makes: OpenZeppelin's account, release 1.0.0. It is what sncast uses by
#: default on Sepolia and Mainnet, and what starknet-devnet 0.10 gives its predeployed accounts.
#: Source: Starknet Foundry book, "account create"; `crates/sncast/src/helpers/constants.rs`.
OPEN_ZEPPELIN_CLASS: Final = 0x05B4B537EAA2399E3AA99C4E2E0208EBD6C71BC1467938CD52C798C601E43564

#: sncast's own place for its accounts.
SNCAST_FILE: Final = Path("~/.starknet_accounts/starknet_open_zeppelin_accounts.json")

#: What sncast calls networks; any other has the name of its chain.
_SNCAST_NETWORKS: Final = {"SN_MAIN": "alpha-mainnet", "SN_SEPOLIA": "alpha-sepolia"}

_NAME: Final = re.compile(r"(?!0[xX])[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_RESERVED: Final = ("me", "devnet", "sncast")


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What the address of an account follows from, and all that deploying it takes beside the key.

    Example:
        >>> from medsync.starknet.account_files import Blueprint
        >>> hex(Blueprint(public_key=0x1).address)
        '0x1e4a771d65a7601a683c4f2242b150d8b96c8d1ac3c606acb3a69483f3d6223'
    """

    public_key: int
    class_hash: int = OPEN_ZEPPELIN_CLASS
    salt: int = 0

    @property
    def constructor(self) -> list[int]:
        """The arguments of the account's constructor."""
        return [self.public_key]

    @property
    def address(self) -> int:
        """Where the account is, or will be, on every network."""
        return int(
            compute_address(class_hash=self.class_hash, constructor_calldata=self.constructor, salt=self.salt)
        )


@dataclass(frozen=True, slots=True)
class AccountSource:
    """An account that was found: its address, and where its key is. Nothing is decrypted yet."""

    address: int
    #: File with the encrypted key; None if the key was found unencrypted.
    keystore: Path | None = None
    private_key: int | None = field(default=None, repr=False)
    #: None where it is not known what the address follows from.
    blueprint: Blueprint | None = None
    #: None where it is not known before the keystore is opened.
    public_key: int | None = None


def folder() -> Path:
    """Where `medsync account new` keeps accounts: `$XDG_DATA_HOME/medsync/accounts`."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "medsync" / "accounts"


def path_of(name: str) -> Path:
    """The account file of a name, whether it exists or not.

    Raises InputError, not quoting it, for what cannot be a name: it may be a key in the wrong place.
    """
    if not is_name(name):
        raise InputError(
            "An account's name is 1 to 64 letters, digits, - and _, begins with a letter or digit, and is "
            f"not an address or one of {', '.join(_RESERVED)}."
        )
    return folder() / f"{name}.json"


def is_name(text: str) -> bool:
    """Whether an account may be called so."""
    return _NAME.fullmatch(text) is not None and text not in _RESERVED


def names() -> list[str]:
    """The names of the accounts in the folder, sorted."""
    return sorted(path.stem for path in folder().glob("*.json") if is_name(path.stem))


def to_json(blueprint: Blueprint, keystore: Path) -> str:
    """The content of an account file: starkli's format, with the place of the keystore beside it."""
    document = {
        "version": 1,
        "variant": {
            "type": "open_zeppelin",
            "version": 1,
            "public_key": hex(blueprint.public_key),
            "legacy": False,
        },
        "deployment": {
            "status": "undeployed",
            "class_hash": hex(blueprint.class_hash),
            "salt": hex(blueprint.salt),
        },
        "keystore": str(keystore),
    }
    return json.dumps(document, indent=2) + "\n"


def read_account_file(path: Path, keystore: Path | None = None) -> AccountSource:
    """The account that a file in starkli's format describes; `keystore` overrides the one the file names.

    Whether the file calls the account deployed does not matter: the chain is asked. Raises InputError if the
    file cannot be read, is not of this format, or its account has no address yet that could be computed.
    """
    file = _validated(_AccountFile, _json(path, "account file"), f"The account file {path}")
    if keystore is None and file.keystore is not None:
        keystore = path.parent / Path(file.keystore).expanduser()
    variant, deployment = file.variant, file.deployment
    blueprint = _blueprint(variant.type, variant.public_key, deployment.class_hash, deployment.salt)
    address = _address_of(deployment.address, blueprint, f"The account file {path}")
    return AccountSource(address, keystore, blueprint=blueprint, public_key=variant.public_key)


def read_sncast(name: str, chain_id: int, path: Path | None = None) -> AccountSource:
    """An account in the accounts file of sncast, by its name there and the chain it is used on.

    `path` is the file; by default sncast's own. Raises InputError if it cannot be read, is not of this
    format, or has no such account with a key.
    """
    path = (path or SNCAST_FILE).expanduser()
    chain = decode_short_string(chain_id)
    network = _SNCAST_NETWORKS.get(chain, chain)
    accounts = _json(path, "accounts file of sncast")
    known = accounts.get(network) if isinstance(accounts, dict) else None
    if not isinstance(known, dict) or name not in known:
        there = ", ".join(sorted(known)) if isinstance(known, dict) and known else "none"
        raise InputError(
            f"{path} has no account of that name for {network}.", hint=f"Accounts there: {there}."
        )
    entry = _validated(_SncastAccount, known[name], f"The entry of that account in {path}")
    if entry.private_key is None:
        raise InputError(f"The entry of that account in {path} has no private key.")
    blueprint = _blueprint(entry.type, entry.public_key, entry.class_hash, entry.salt)
    address = _address_of(entry.address, blueprint, f"The entry of that account in {path}")
    return AccountSource(
        address, private_key=entry.private_key, blueprint=blueprint, public_key=entry.public_key
    )


def _blueprint(
    kind: str, public_key: int | None, class_hash: int | None, salt: int | None
) -> Blueprint | None:
    """What the address of an OpenZeppelin account follows from, if all of it is known."""
    if kind != "open_zeppelin" or public_key is None or class_hash is None or salt is None:
        return None
    return Blueprint(public_key, class_hash, salt)


def _address_of(known: int | None, blueprint: Blueprint | None, what: str) -> int:
    if known is not None:
        return known
    if blueprint is not None:
        return blueprint.address
    raise InputError(
        f"{what} does not say where the account is.",
        hint="MedSync computes addresses of OpenZeppelin accounts only: deploy this one with the tool that "
        "wrote the file.",
    )


def _felt(value: Any) -> int:
    try:
        return parse_felt(value, "")
    except InvalidValue:
        # Not its own message, which quotes the text: some of these are keys.
        raise ValueError("not 0x and hexadecimal digits of a field element") from None


def _address(value: Any) -> int:
    address = _felt(value)
    check_address(address, "the address")
    return address


_Felt = Annotated[int, PlainValidator(_felt)]
_Address = Annotated[int, PlainValidator(_address)]


class _Part(BaseModel):
    # What is not known is left alone: these files are other tools'.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Variant(_Part):
    type: str
    public_key: _Felt | None = None


class _Deployment(_Part):
    status: Literal["deployed", "undeployed"]
    class_hash: _Felt
    salt: _Felt | None = None
    address: _Address | None = None


class _AccountFile(_Part):
    version: Literal[1]
    variant: _Variant
    deployment: _Deployment
    keystore: str | None = None


class _SncastAccount(_Part):
    type: str = "open_zeppelin"
    private_key: _Felt | None = Field(default=None, repr=False)
    public_key: _Felt | None = None
    address: _Address | None = None
    class_hash: _Felt | None = None
    salt: _Felt | None = None


_P = TypeVar("_P", bound=_Part)


def _validated(kind: type[_P], content: Any, what: str) -> _P:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, detail["loc"])) or "document"
        raise InputError(f"{what} cannot be used: {place}: {detail['msg']}.") from None


def _json(path: Path, what: str) -> Any:
    try:
        return parse_json(read_bytes(path, f"The {what}"))
    except InvalidValue as error:
        raise InputError(f"The {what} {path} cannot be used: {error}.") from None
