"""What became of a transaction, one command may fail to learn; the next one has to know that it was sent.

`Account` does not do the same twice if it is asked again. Here is how that outlives the process: a file for
each account and chain holds what is unsettled, as long as anything is.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from starknet_py.net.client_models import Call

from medsync.deployment.devnet import state_dir
from medsync.errors import InputError
from medsync.protocol.commitments import parse_json
from medsync.protocol.felt import InvalidValue
from medsync.protocol.json import Felt
from medsync.starknet.transactions import Account, Sent
from medsync.storage.files import NewFile, is_there, read_bytes, replace
from medsync.storage.versions import UnsupportedVersion, check_form

_WHAT: Final = "The list of unsettled transactions"
_LOOK: Final = "Look at what this account did in the last minutes, then remove the file."


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


class _Unsettled(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    form: Literal["medsync.unsettled/1"] = "medsync.unsettled/1"
    transactions: list[_Transaction]


def recall(account: Account) -> None:
    """Tell an account what earlier commands did not learn. Raises InputError if the file is malformed."""
    path = _path(account)
    if not is_there(path):
        return
    content = read_bytes(path, _WHAT)
    try:
        document = parse_json(content)
        # Before there were versions, the file held a list.
        form = {"form": "medsync.unsettled/0"} if isinstance(document, list) else document
        check_form(form, _Unsettled.model_fields["form"].default, f"{_WHAT} {path}", older=_LOOK)
        noted = _Unsettled.model_validate_json(content, strict=True)
    except UnsupportedVersion:
        raise
    except (ValidationError, InvalidValue):
        raise InputError(f"{_WHAT} {path} is malformed.", hint=_LOOK) from None
    account.recall(
        {
            transaction.hash: Sent(
                transaction.nonce,
                [Call(call.to, call.selector, call.calldata) for call in transaction.calls],
                transaction.at,
            )
            for transaction in noted.transactions
        }
    )


def keep(account: Account) -> None:
    """Have the next command know what this one did not learn."""
    path = _path(account)
    if not account.unsettled:
        with contextlib.suppress(OSError):
            path.unlink()
        return
    transactions = [
        _Transaction(
            hash=transaction_hash,
            nonce=sent.nonce,
            at=sent.at,
            calls=[
                _Call(to=call.to_addr, selector=call.selector, calldata=call.calldata) for call in sent.calls
            ],
        )
        for transaction_hash, sent in account.unsettled.items()
    ]
    content = _Unsettled(transactions=transactions).model_dump_json()
    replace(NewFile(path, content.encode(), _WHAT, private=True))


def _path(account: Account) -> Path:
    return state_dir() / f"unsettled-{account.chain_id:x}-{account.address:x}.json"
