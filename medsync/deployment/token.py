"""Whether a contract is a token that a reward pool can hold: a pool never changes its token."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from starknet_py.net.client_models import Call, SierraContractClass
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import ContractError, VerificationError
from medsync.protocol.felt import InvalidValue, decode_short_string
from medsync.protocol.hashing import starknet_keccak
from medsync.starknet.rpc import asking, class_hash_at

#: Views of an ERC-20 (SNIP-2), their arguments, and how many felts they answer; None for text.
_VIEWS: Final = {"name": None, "symbol": None, "decimals": 1, "total_supply": 2, "balance_of": 2}

#: What the reward pool calls of its token.
_CALLED: Final = ("balance_of", "transfer", "transfer_from")

#: Names that tokens before SNIP-2 have instead.
_CAMEL_CASE: Final = {
    "total_supply": "totalSupply",
    "balance_of": "balanceOf",
    "transfer_from": "transferFrom",
}

_HOLDER: Final = 1
_MOST_DECIMALS: Final = 255
_WORD: Final = 31


class NotAToken(VerificationError):
    """The contract is not an ERC-20 that a reward pool can hold."""

    code = "NOT_A_TOKEN"


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20, as it describes itself: anybody may call a token STRK."""

    address: int
    name: str
    symbol: str
    decimals: int


async def read_token(client: FullNodeClient, address: int, *, own: Collection[int] = ()) -> Token:
    """The token at an address, once everything a reward pool calls of it is known to be there.

    `own` are classes that are not tokens: MedSync's. Raises NotAToken, with the reason, if there is no
    contract, it is of one of these classes, does not answer the views of an ERC-20 (SNIP-2), or knows only
    the camelCase names of older tokens; NetworkError if the node does not answer.

    Example:
        async with connect() as connection:
            token = await read_token(connection.client, STRK_TOKEN)
    """
    class_hash = await class_hash_at(client, address)
    if class_hash is None:
        raise NotAToken(f"There is no contract at {address:#x}, so it is not a token.")
    if class_hash in own:
        raise NotAToken(f"The contract at {address:#x} is one of MedSync's own, not a token.")
    with asking("request for the token's class"):
        contract_class = await client.get_class_by_hash(class_hash, block_number="latest")
    answers = {}
    for view, length in _VIEWS.items():
        answer = await _answer(client, address, view)
        if answer is None:
            await _refuse(client, address, view)
        if length is not None and len(answer or ()) != length:
            raise NotAToken(f"{address:#x} is not an ERC-20: it does not answer {view} with a number.")
        answers[view] = answer or []
    if isinstance(contract_class, SierraContractClass):
        # A class of Cairo 0 may be a proxy, which shows no entry points of its own.
        there = {entry.selector for entry in contract_class.entry_points_by_type.external}
        for function in _CALLED:
            if starknet_keccak(function) not in there:
                await _refuse(client, address, function)
    (decimals,) = answers["decimals"]
    if decimals > _MOST_DECIMALS:
        raise NotAToken(f"{address:#x} is not an ERC-20: it has {decimals:#x} decimal places.")
    return Token(address, _text(answers["name"]), _text(answers["symbol"]), decimals)


async def describe_token(client: FullNodeClient, address: int) -> Token:
    """What a token says of itself, without a look at whether a reward pool could hold it.

    Raises NotAToken if it does not say how many decimal places it has.
    """
    decimals = await _answer(client, address, "decimals") or ()
    if len(decimals) != 1 or decimals[0] > _MOST_DECIMALS:
        raise NotAToken(f"{address:#x} is not an ERC-20: it does not say how many decimal places it has.")
    name, symbol = [_text(await _answer(client, address, view) or ()) for view in ("name", "symbol")]
    return Token(address, name, symbol, decimals[0])


async def _answer(client: FullNodeClient, address: int, view: str) -> Sequence[int] | None:
    """What a view answers; None if the contract does not have it."""
    arguments = [_HOLDER] if view in ("balance_of", "balanceOf") else []
    try:
        with asking(f"token.{view}"):
            return await client.call_contract(
                Call(address, starknet_keccak(view), arguments), block_number="latest"
            )
    except ContractError:
        # There is no such entry point, or it panics.
        return None


async def _refuse(client: FullNodeClient, address: int, function: str) -> None:
    """Raise NotAToken for a contract without a function, and say if it only spells it otherwise."""
    if function in _CAMEL_CASE and await _answer(client, address, "balanceOf") is not None:
        raise NotAToken(
            f"The token at {address:#x} has {_CAMEL_CASE[function]} but not {function}: it knows only the "
            f"camelCase names of older tokens. The reward pool calls {', '.join(_CALLED)} (SNIP-2).",
            hint="Choose a token that has the snake_case names as well, as STRK has.",
        )
    raise NotAToken(f"The contract at {address:#x} is not an ERC-20: it has no {function}.")


def _text(felts: Sequence[int]) -> str:
    """A short string, or a ByteArray: a count, that many words of 31 bytes, a rest, and its length.

    Empty for anything else, and for text with control or invisible characters: it is only shown, and the
    token's author chose it.
    """
    try:
        if len(felts) == 1:
            return decode_short_string(felts[0])
        count, *words, rest, length = felts
        if count != len(words):
            return ""
        content = b"".join(word.to_bytes(_WORD, "big") for word in words) + rest.to_bytes(length, "big")
        text = content.decode()
        return text if text.isprintable() else ""
    except (InvalidValue, ValueError, OverflowError):
        return ""
