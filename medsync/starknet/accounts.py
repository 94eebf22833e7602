"""Where accounts come from: MedSync's folder, other tools' files, the environment, or a local devnet.

Keystores are the JSON files that starkli and Ethereum's wallets write (Web3 Secret Storage, version 3). No
private key and no passphrase is ever part of a message, a `repr` or the chain of an error.
"""

import asyncio
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from starknet_py.constants import EC_ORDER
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import InputError, NetworkError, PublicNetworkError
from medsync.protocol.commitments import parse_json
from medsync.protocol.felt import InvalidValue, check_address, parse_felt
from medsync.starknet import account_files
from medsync.starknet.account_files import AccountSource, Blueprint
from medsync.starknet.network import Connection
from medsync.starknet.signer import StarkSigner, public_key_of
from medsync.starknet.transactions import Account
from medsync.storage.files import NewFile, is_there, read_bytes, write_new
from medsync.storage.passphrase import (
    WrongPassphrase,
    new_passphrase,
    possible_passphrases,
    required_passphrase,
)

ADDRESS_VARIABLE: Final = "MEDSYNC_ACCOUNT_ADDRESS"
KEY_VARIABLE: Final = "MEDSYNC_PRIVATE_KEY"
KEYSTORE_VARIABLE: Final = "MEDSYNC_KEYSTORE"

#: scrypt's work factor for new keystores: 2**18, as Ethereum's wallets set it; about a second.
_SCRYPT_N: Final = 2**18

#: Most work that opening a keystore may take, four times that of new ones: N r p of scrypt, which takes 128
#: times as many bytes, or rounds of PBKDF2.
_MOST_WORK: Final = 2**23
_MOST_KEY_BYTES: Final = 64

_DEVNET_PREFIX: Final = "devnet:"
_SNCAST_PREFIX: Final = "sncast:"

#: The ways to name an account, for people.
ACCOUNT_HELP: Final = (
    "An account is <name>, <file>, <file>@<keystore>, <address>@<keystore>, sncast:<name>, or devnet:<n>."
)


async def load_account(
    connection: Connection,
    source: str | None = None,
    *,
    passphrase: str | Callable[[], str] | None = None,
) -> Account:
    """The account that `source` names, ready to send: see `find_account`.

    A keystore is opened with `passphrase`, or with what it returns if it is a function, which is called only
    if a keystore is to be opened. Without it the environment says: see `medsync.storage.passphrase`.

    Raises InputError for what cannot be found, read or opened, and for a keystore with the key of another
    account; PublicNetworkError as `find_account`.
    """
    found = await find_account(connection, source)
    return make_account(
        connection.client, connection.chain_id, found.address, open_key(found, passphrase=passphrase)
    )


async def find_account(connection: Connection, source: str | None = None) -> AccountSource:
    """The account that `source` names, its key still in the keystore. `source` is one of

    - `devnet:<n>`: the n-th predeployed account of a local devnet, from 0;
    - `<name>`: an account that `medsync account new` made;
    - `<file>`: an account file of starkli (it ends with .json or has a slash), with the keystore of
      `MEDSYNC_KEYSTORE`;
    - `<file>@<keystore>` or `<address>@<keystore>`;
    - `sncast:<name>` or `sncast:<name>@<file>`: an account in the accounts file of sncast.

    Without `source` the environment says: `MEDSYNC_ACCOUNT_ADDRESS` with `MEDSYNC_PRIVATE_KEY`, or with
    `MEDSYNC_KEYSTORE`.

    Raises InputError for what cannot be found or read; PublicNetworkError for a devnet's account on another
    network: its key is public.
    """
    if source is None:
        return _from_environment(os.environ)
    if source.startswith(_DEVNET_PREFIX):
        address, key = await _predeployed(connection, source)
        return AccountSource(address, private_key=key)
    if source.startswith(_SNCAST_PREFIX):
        name, _, file = source.removeprefix(_SNCAST_PREFIX).partition("@")
        return account_files.read_sncast(name, connection.chain_id, Path(file) if file else None)
    return _from_files(source, os.environ)


def open_key(found: AccountSource, *, passphrase: str | Callable[[], str] | None = None) -> int:
    """The private key of an account that was found; `passphrase` as for `load_account`.

    Raises InputError if the keystore cannot be read or opened, or holds the key of another account.
    """
    if found.private_key is not None:
        key = found.private_key
    else:
        assert found.keystore is not None
        if passphrase is None:
            passphrase = required_passphrase(account=True)
        key = read_keystore(found.keystore, passphrase() if callable(passphrase) else passphrase)
    if found.public_key not in (None, public_key_of(key)):
        raise InputError(f"The key is not that of the account {found.address:#x}: the public keys differ.")
    return key


def make_account(client: FullNodeClient, chain_id: int, address: int, private_key: int) -> Account:
    """The account at an address with a private key. Raises `InvalidValue`, not showing it, for a bad key."""
    return Account(address, client, StarkSigner(private_key, chain_id))


def read_keystore(path: Path, passphrase: str) -> int:
    """The private key in a keystore.

    Raises InputError if there is none, WrongPassphrase if the passphrase does not open it.
    """
    # Here, not at the top: it brings libraries of its own, and most commands open no keystore.
    from eth_keyfile.keyfile import normalize_keys

    content = read_bytes(path, "The keystore")
    forms = possible_passphrases(passphrase)
    try:
        keystore = normalize_keys(parse_json(content))
        _check_work(keystore["crypto"]["kdfparams"])
        key = next(filter(None, (_opened(keystore, form) for form in forms)), None)
    except Exception:  # The library raises what its parts raise, KeyError and TypeError among it.
        raise InputError(f"The file {path} is not a keystore of version 3.") from None
    if key is None:
        raise WrongPassphrase(f"the keystore {path}", account=True)
    public_key_of(key)
    return key


def create_keystore(path: Path, passphrase: str, private_key: int | None = None) -> int:
    """Write a new keystore with a private key, a fresh one if none is given, and return its public key.

    Only the user may read the file. Raises InputError if there is a file already, the folder cannot be
    written, or the passphrase is too short.
    """
    public_key, file = _new_keystore(path, passphrase, private_key)
    write_new([file])
    return public_key


def create_account(
    name: str, passphrase: str, *, keystore: Path | None = None, class_hash: int | None = None
) -> AccountSource:
    """Make a key, its keystore and an account file in MedSync's folder; nothing is sent.

    `keystore` is where the keystore goes, by default beside the account file. The salt of the address is the
    public key, so that the address can be found again from the keystore alone. `class_hash` is the class of
    the account, by default `OPEN_ZEPPELIN_CLASS`; its constructor must take the public key and nothing else.

    Raises InputError, and leaves no file behind, if the name cannot be one or is taken, there is a keystore
    already, no file can be written, or the passphrase is too short.

    Example:
        made = create_account("deployer", passphrase)
        async with connect("sepolia", url, allow_public=True) as connection:
            account = await load_account(connection, "deployer", passphrase=passphrase)
    """
    path, place = free_places(name, keystore)
    public_key, keystore_file = _new_keystore(place, passphrase)
    blueprint = Blueprint(
        public_key, account_files.OPEN_ZEPPELIN_CLASS if class_hash is None else class_hash, salt=public_key
    )
    content = account_files.to_json(blueprint, place.absolute() if keystore else Path(place.name))
    hint = "Set XDG_DATA_HOME to a folder that can be written."
    if keystore is not None:
        hint = f"{hint[:-1]}, or name another file for the keystore."
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(f"The folder {path.parent} cannot be made: {error.strerror}.", hint=hint) from None
    try:
        write_new([NewFile(path, content.encode(), "The account"), keystore_file])
    except InputError as error:
        error.hint = error.hint or hint
        raise
    return AccountSource(blueprint.address, place, blueprint=blueprint, public_key=public_key)


def free_places(name: str, keystore: Path | None = None) -> tuple[Path, Path]:
    """The files of a new account: account file and keystore. Raises InputError if one of them is there."""
    path = account_files.path_of(name)
    place = keystore or path.with_suffix(".keystore.json")
    if is_there(path):
        raise InputError(
            f"There is an account {name} already: {path}.",
            hint=f"Choose another name. `medsync account show {name}` says where it stands.",
        )
    if is_there(place):
        raise InputError(
            f"There is a file {place} already, and a keystore is never overwritten.",
            hint="Name another file. Deleting a keystore loses the account.",
        )
    return path, place


def _new_keystore(path: Path, passphrase: str, private_key: int | None = None) -> tuple[int, NewFile]:
    """The public key and the keystore file of a private key, a fresh one if none is given."""
    from eth_keyfile.keyfile import create_keyfile_json

    sealed_with = new_passphrase(passphrase)
    key = 1 + secrets.randbelow(EC_ORDER - 1) if private_key is None else private_key
    public_key = public_key_of(key)
    content = create_keyfile_json(
        key.to_bytes(32, "big"),
        sealed_with,  # type: ignore[arg-type]  # see `_opened`
        kdf="scrypt",
        iterations=_SCRYPT_N,
    )
    # It is the Ethereum address of the key: a hash that has no meaning here.
    del content["address"]
    return public_key, NewFile(path, json.dumps(content).encode(), "The keystore", private=True)


def _opened(keystore: dict[str, Any], passphrase: bytes) -> int | None:
    """The private key in a keystore; None if this is not its passphrase."""
    from eth_keyfile.keyfile import decode_keyfile_json

    try:
        # eth-keyfile's annotation asks for text, which it would encode as Latin-1; it takes bytes as well.
        return int.from_bytes(decode_keyfile_json(keystore, passphrase), "big")  # type: ignore[arg-type]
    except ValueError as error:
        if "MAC" not in str(error):
            raise
        return None


async def predeployed_accounts(connection: Connection) -> list[Account]:
    """A local devnet's predeployed accounts, in its order. Raises PublicNetworkError on another network."""
    return [
        make_account(connection.client, connection.chain_id, address, key)
        for address, key in await _predeployed_keys(connection)
    ]


def _from_files(source: str, environment: Mapping[str, str]) -> AccountSource:
    """An account by its name, its file, or its address, the latter two with a keystore."""
    text, at, named = source.partition("@")
    keystore = Path(named) if at else None
    if text.startswith(("0x", "0X")) and keystore is not None:
        return AccountSource(_address(text, "The account's address"), keystore)
    if text.endswith(".json") or "/" in text:
        found = account_files.read_account_file(Path(text), keystore)
        if found.keystore is None and environment.get(KEYSTORE_VARIABLE):
            found = replace(found, keystore=Path(environment[KEYSTORE_VARIABLE]))
        if found.keystore is None:
            raise InputError(
                f"The account file {text} does not say where its keystore is.",
                hint=f"Write {text}@<keystore>, or set {KEYSTORE_VARIABLE}.",
            )
        return found
    if account_files.is_name(source):
        path = account_files.path_of(source)
        if is_there(path):
            return account_files.read_account_file(path)
    # Neither it nor an invalid address is quoted: it may be a key in the wrong place.
    raise InputError(
        f"There is no account of that name in {account_files.folder()}.",
        hint=f"Accounts there: {', '.join(account_files.names()) or 'none'}. `medsync account new` makes "
        f"one. {ACCOUNT_HELP}",
    )


def _from_environment(environment: Mapping[str, str]) -> AccountSource:
    if ADDRESS_VARIABLE not in environment:
        raise InputError(
            "No account is named.",
            hint=f"Use --account, or set {ADDRESS_VARIABLE}. {ACCOUNT_HELP}",
        )
    address = _address(environment[ADDRESS_VARIABLE], ADDRESS_VARIABLE)
    if keystore := environment.get(KEYSTORE_VARIABLE):
        return AccountSource(address, Path(keystore))
    if text := environment.get(KEY_VARIABLE):
        # Not `parse_felt`, whose error quotes what it was given.
        if re.fullmatch("0x[0-9a-fA-F]{1,64}", text) is None:
            raise InputError(f"{KEY_VARIABLE} must be 0x and at most 64 hexadecimal digits.")
        return AccountSource(address, private_key=int(text, 16))
    raise InputError(f"{ADDRESS_VARIABLE} needs {KEYSTORE_VARIABLE} or {KEY_VARIABLE} beside it.")


async def _predeployed(connection: Connection, source: str) -> tuple[int, int]:
    if not connection.is_local:
        raise PublicNetworkError(f"{source} is an account of a local devnet; its key is public knowledge.")
    number = source.removeprefix(_DEVNET_PREFIX)
    known = await _predeployed_keys(connection)
    if not (number.isascii() and number.isdigit() and len(number) < 4 and int(number) < len(known)):
        raise InputError(f"{source!r}: this devnet has accounts devnet:0 to devnet:{len(known) - 1}.")
    return known[int(number)]


#: What devnets said their accounts are, by connection, as its client; it belongs to one event loop.
_PREDEPLOYED: Final[WeakKeyDictionary[FullNodeClient, asyncio.Task[list[tuple[int, int]]]]] = (
    WeakKeyDictionary()
)


async def _predeployed_keys(connection: Connection) -> list[tuple[int, int]]:
    """Addresses and private keys of a devnet's accounts, asked for once by each connection: devnet takes a
    good part of a second, and a command may name several."""
    asked = _PREDEPLOYED.get(connection.client)
    if asked is None or (asked.done() and (asked.cancelled() or asked.exception())):
        asked = _PREDEPLOYED[connection.client] = asyncio.ensure_future(_ask_predeployed_keys(connection))
        # Where everybody who waits for it is interrupted, it may fail without a word.
        asked.add_done_callback(lambda done: done.cancelled() or done.exception())
    # One of several that wait may be cancelled; the others still want the answer.
    return await asyncio.shield(asked)


async def _ask_predeployed_keys(connection: Connection) -> list[tuple[int, int]]:
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
