"""Where accounts come from: encrypted keystores, the environment, or a local devnet's own.

Keystores are the JSON files that starkli and Ethereum's wallets write (Web3 Secret Storage, version 3). No
private key and no password is ever part of a message, a `repr` or the chain of an error.
"""

import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json, normalize_keys
from starknet_py.constants import EC_ORDER
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import InputError, NetworkError, PublicNetworkError
from medsync.protocol.commitments import parse_json
from medsync.protocol.felt import InvalidValue, check_address, parse_felt
from medsync.starknet.network import Connection
from medsync.starknet.signer import StarkSigner, public_key_of
from medsync.starknet.transactions import Account
from medsync.storage.files import NewFile, read_bytes, write_new

ADDRESS_VARIABLE: Final = "MEDSYNC_ACCOUNT_ADDRESS"
KEY_VARIABLE: Final = "MEDSYNC_PRIVATE_KEY"
KEYSTORE_VARIABLE: Final = "MEDSYNC_KEYSTORE"
PASSWORD_VARIABLE: Final = "MEDSYNC_KEYSTORE_PASSWORD"

#: scrypt's work factor for new keystores: 2**18, as Ethereum's wallets set it; about a second.
_SCRYPT_N: Final = 2**18

#: Most work that opening a keystore may take, four times that of new ones: N r p of scrypt, which takes 128
#: times as many bytes, or rounds of PBKDF2.
_MOST_WORK: Final = 2**23
_MOST_KEY_BYTES: Final = 64

_DEVNET_PREFIX: Final = "devnet:"


async def load_account(
    connection: Connection, source: str | None = None, *, password: str | None = None
) -> Account:
    """The account that `source` names, ready to send.

    `source` is `devnet:<n>`, the n-th predeployed account of a local devnet (from 0), or
    `<address>@<keystore>`, an account's address and the path of its keystore, opened with `password`. Without
    it the environment says:
    `MEDSYNC_ACCOUNT_ADDRESS` with `MEDSYNC_PRIVATE_KEY`, or with `MEDSYNC_KEYSTORE`. A password that is not
    given is taken from `MEDSYNC_KEYSTORE_PASSWORD`.

    Raises InputError for what cannot be found, read or opened; PublicNetworkError for a devnet's account on
    another network: its key is public.
    """
    if source is None:
        address, key = _from_environment(os.environ, password)
    elif source.startswith(_DEVNET_PREFIX):
        address, key = await _predeployed(connection, source)
    else:
        text, at, keystore = source.partition("@")
        if not at:
            # Neither it nor an invalid address is quoted: it may be a key in the wrong place.
            raise InputError("The account is neither devnet:<n> nor <address>@<keystore>.")
        address = _address(text, "The account's address")
        key = read_keystore(Path(keystore), _password(password, os.environ))
    return make_account(connection.client, connection.chain_id, address, key)


def make_account(client: FullNodeClient, chain_id: int, address: int, private_key: int) -> Account:
    """The account at an address with a private key. Raises `InvalidValue`, not showing it, for a bad key."""
    return Account(address, client, StarkSigner(private_key, chain_id))


def read_keystore(path: Path, password: str) -> int:
    """The private key in a keystore. Raises InputError if there is none or the password does not open it."""
    content = read_bytes(path, "The keystore")
    try:
        keystore = normalize_keys(parse_json(content))
        _check_work(keystore["crypto"]["kdfparams"])
        key = int.from_bytes(decode_keyfile_json(keystore, _utf8(password)), "big")
    except Exception as error:  # The library raises what its parts raise, KeyError and TypeError among it.
        wrong = isinstance(error, ValueError) and "MAC" in str(error)
        reason = "the password does not open it" if wrong else "it is not a keystore of version 3"
        raise InputError(f"The keystore {path} is of no use: {reason}.") from None
    public_key_of(key)
    return key


def create_keystore(path: Path, password: str, private_key: int | None = None) -> int:
    """Write a new keystore with a private key, a fresh one if none is given, and return its public key.

    Only the user may read the file. Raises InputError if there is a file already, the folder cannot be
    written, or the password is empty.
    """
    if not password:
        raise InputError("A keystore needs a password.")
    key = 1 + secrets.randbelow(EC_ORDER - 1) if private_key is None else private_key
    public_key = public_key_of(key)
    content = create_keyfile_json(
        key.to_bytes(32, "big"), _utf8(password), kdf="scrypt", iterations=_SCRYPT_N
    )
    # It is the Ethereum address of the key: a hash that has no meaning here.
    del content["address"]
    write_new([NewFile(path, json.dumps(content).encode(), "The keystore", private=True)])
    return public_key


async def predeployed_accounts(connection: Connection) -> list[Account]:
    """A local devnet's predeployed accounts, in its order. Raises PublicNetworkError on another network."""
    return [
        make_account(connection.client, connection.chain_id, address, key)
        for address, key in await _predeployed_keys(connection)
    ]


def _from_environment(environment: Mapping[str, str], password: str | None) -> tuple[int, int]:
    if ADDRESS_VARIABLE not in environment:
        raise InputError(
            "No account is named.",
            hint=f"Use devnet:<n>, <address>@<keystore>, or set {ADDRESS_VARIABLE}.",
        )
    address = _address(environment[ADDRESS_VARIABLE], ADDRESS_VARIABLE)
    if keystore := environment.get(KEYSTORE_VARIABLE):
        return address, read_keystore(Path(keystore), _password(password, environment))
    if text := environment.get(KEY_VARIABLE):
        # Not `parse_felt`, whose error quotes what it was given.
        if re.fullmatch("0x[0-9a-fA-F]{1,64}", text) is None:
            raise InputError(f"{KEY_VARIABLE} must be 0x and at most 64 hexadecimal digits.")
        return address, int(text, 16)
    raise InputError(f"{ADDRESS_VARIABLE} needs {KEYSTORE_VARIABLE} or {KEY_VARIABLE} beside it.")


async def _predeployed(connection: Connection, source: str) -> tuple[int, int]:
    if not connection.is_local:
        raise PublicNetworkError(f"{source} is an account of a local devnet; its key is public knowledge.")
    number = source.removeprefix(_DEVNET_PREFIX)
    known = await _predeployed_keys(connection)
    if not (number.isascii() and number.isdigit() and len(number) < 4 and int(number) < len(known)):
        raise InputError(f"{source!r}: this devnet has accounts devnet:0 to devnet:{len(known) - 1}.")
    return known[int(number)]


async def _predeployed_keys(connection: Connection) -> list[tuple[int, int]]:
    """Addresses and private keys of a devnet's accounts."""
    answer = await connection.devnet_rpc("devnet_getPredeployedAccounts", with_balance=False)
    try:
        known = [
            (parse_felt(item["address"], "address"), parse_felt(item["private_key"], "key"))
            for item in answer
        ]
        for address, key in known:
            check_address(address, "address")
            public_key_of(key)
    except (TypeError, LookupError, InvalidValue):
        # What is wrong with them stays unsaid: they hold keys.
        raise NetworkError("The devnet's answer does not contain valid accounts.") from None
    return known


def _address(text: str, name: str) -> int:
    try:
        address = parse_felt(text, name)
        check_address(address, name)
    except InvalidValue:
        raise InputError(f"{name} must be 0x and hexadecimal digits of a contract address.") from None
    return address


def _check_work(parameters: Mapping[str, Any]) -> None:
    """Raise ValueError if opening a keystore would take hours, or all memory there is."""
    work = parameters.get("n", 0) * parameters.get("r", 0) * parameters.get("p", 0)
    if work > _MOST_WORK or parameters.get("c", 0) > _MOST_WORK or parameters["dklen"] > _MOST_KEY_BYTES:
        raise ValueError("too much work")


def _password(password: str | None, environment: Mapping[str, str]) -> str:
    found = password if password is not None else environment.get(PASSWORD_VARIABLE)
    if found is None:
        raise InputError("The keystore needs its password.", hint=f"Set {PASSWORD_VARIABLE}.")
    return found


def _utf8(password: str) -> Any:
    """The password as every other tool encodes it. eth-keyfile asks for text, and would make it Latin-1."""
    return password.encode()
