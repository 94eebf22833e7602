"""What became of a transaction, one command may fail to learn; the next one has to know that it was sent.

`Account` does not do the same twice if it is asked again. Here is how that outlives the process: a file for
each account and chain holds what is unsettled, as long as anything is.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError
from starknet_py.net.client_models import Call

from medsync.deployment.devnet import state_dir
from medsync.errors import InputError
from medsync.protocol.felt import check_felt
from medsync.starknet.transactions import Account, Sent
from medsync.storage.files import NewFile, is_there, read_bytes, replace

_WHAT: Final = "The list of unsettled transactions"

Felt = Annotated[int, AfterValidator(lambda value: check_felt(value, "a field element") or value)]


class _Call(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    to: Felt
    selector: Felt
    calldata: list[Felt]


class _Transaction(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    hash: Felt
    nonce: Felt
    #: When it was handed over, in unix seconds.
    at: float
    calls: list[_Call]


_FILE: Final = TypeAdapter(list[_Transaction], config=ConfigDict(defer_build=True))


def recall(account: Account) -> None:
    """Tell an account what earlier commands did not learn. Raises InputError if the file is malformed."""
    path = _path(account)
    if not is_there(path):
        return
    try:
        kept = _FILE.validate_json(read_bytes(path, _WHAT), strict=True)
    except ValidationError:
        raise InputError(
            f"{_WHAT} {path} is none.",
            hint="Look at what this account did in the last minutes, then remove the file.",
        ) from None
    account.recall(
        {
            one.hash: Sent(
                one.nonce, [Call(call.to, call.selector, call.calldata) for call in one.calls], one.at
            )
            for one in kept
        }
    )


def keep(account: Account) -> None:
    """Have the next command know what this one did not learn."""
    path = _path(account)
    if not account.unsettled:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return
    kept = [
        _Transaction(
            hash=one,
            nonce=sent.nonce,
            at=sent.at,
            calls=[
                _Call(to=call.to_addr, selector=call.selector, calldata=call.calldata) for call in sent.calls
            ],
        )
        for one, sent in account.unsettled.items()
    ]
    replace(NewFile(path, _FILE.dump_json(kept), _WHAT, private=True))


def _path(account: Account) -> Path:
    return state_dir() / f"unsettled-{account.chain_id:x}-{account.address:x}.json"
