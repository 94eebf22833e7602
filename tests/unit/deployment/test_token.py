"""A reward pool's token must be an ERC-20 as the pool calls it; what is not is refused with the reason."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starknet_py.net.client_errors import ClientError
from starknet_py.net.client_models import Call, DeprecatedContractClass, SierraContractClass
from starknet_py.net.full_node_client import FullNodeClient
from starkware.starknet.public.abi import get_selector_from_name

from medsync.deployment.token import NotAToken, Token, read_token
from medsync.errors import NetworkError

ADDRESS = 0x70CE4
CLASS = 0xC1A55

#: A ByteArray: no whole word, and a rest of 4 bytes.
COIN = [0, int.from_bytes(b"Coin", "big"), 4]
VIEWS = {"name": COIN, "symbol": [int.from_bytes(b"CO", "big")], "decimals": [6]}
SNAKE: Mapping[str, list[int]] = VIEWS | {
    "total_supply": [5, 0],
    "balance_of": [0, 0],
    "transfer": [1],
    "transfer_from": [1],
}
CAMEL: Mapping[str, list[int]] = VIEWS | {
    "totalSupply": [5, 0],
    "balanceOf": [0, 0],
    "transfer": [1],
    "transferFrom": [1],
}


class Node:
    """A node that knows one contract, by the entry points it has and what they answer."""

    def __init__(self, functions: Mapping[str, list[int]], *, proxy: bool = False, code: int = 21) -> None:
        self.answers = {get_selector_from_name(name): answer for name, answer in functions.items()}
        self.proxy = proxy
        self.code = code

    async def get_class_hash_at(self, address: int, block_number: str) -> int:
        if address != ADDRESS:
            raise error(20)
        return CLASS

    async def get_class_by_hash(self, class_hash: int, block_number: str) -> Any:
        there = [] if self.proxy else [SimpleNamespace(selector=selector) for selector in self.answers]
        kind = DeprecatedContractClass if self.proxy else SierraContractClass
        made = object.__new__(kind)
        object.__setattr__(made, "entry_points_by_type", SimpleNamespace(external=there))
        return made

    async def call_contract(self, call: Call, block_number: str) -> list[int]:
        if call.selector not in self.answers:
            raise error(self.code)
        return self.answers[call.selector]


def error(code: int) -> ClientError:
    return ClientError("refused", code=cast(Any, code))


async def read(node: Node, address: int = ADDRESS, own: tuple[int, ...] = ()) -> Token:
    return await read_token(cast(FullNodeClient, node), address, own=own)


@pytest.mark.parametrize(
    "functions", [SNAKE, SNAKE | CAMEL], ids=["snake_case only", "both names, as STRK has"]
)
async def test_a_token_says_what_it_is_called(functions: Mapping[str, list[int]]) -> None:
    assert await read(Node(functions)) == Token(ADDRESS, "Coin", "CO", 6)


async def test_a_proxy_shows_no_entry_points_and_is_believed_by_its_answers() -> None:
    assert (await read(Node(SNAKE, proxy=True))).symbol == "CO"


@pytest.mark.parametrize(
    ("felts", "text"),
    [
        ([0], ""),
        ([1, int.from_bytes(b"a" * 31, "big"), int.from_bytes(b"b", "big"), 1], "a" * 31 + "b"),
        ([0, int.from_bytes("é".encode(), "big"), 2], "é"),
        ([0, 0xFF, 1], ""),
        # What would write over the terminal, and what turns the direction of text.
        ([0, int.from_bytes(b"\x1b[2JUSDC", "big"), 8], ""),
        ([0, int.from_bytes("\u202eCDSU".encode(), "big"), 7], ""),
        ([5, 0, 0], ""),
        ([0, 1, 2**200], ""),
        ([1, 2], ""),
        ([], ""),
    ],
)
async def test_a_name_is_only_shown_and_never_fails(felts: list[int], text: str) -> None:
    assert (await read(Node({**SNAKE, "name": felts}))).name == text


@pytest.mark.parametrize("missing", SNAKE)
async def test_each_function_is_missed(missing: str) -> None:
    node = Node({name: answer for name, answer in SNAKE.items() if name != missing})
    with pytest.raises(NotAToken, match=f"is not an ERC-20: it has no {missing}"):
        await read(node)


@pytest.mark.parametrize("code", [21, 40], ids=["no entry point", "a panic"])
async def test_a_camel_case_token_is_refused_with_the_reason(code: int) -> None:
    with pytest.raises(NotAToken, match="has totalSupply but not total_supply: it knows only the camelCase"):
        await read(Node(CAMEL, code=code))


async def test_views_in_both_ways_and_transfers_in_one() -> None:
    both = {**SNAKE, **CAMEL}
    del both["transfer_from"]
    with pytest.raises(NotAToken, match="has transferFrom but not transfer_from"):
        await read(Node(both))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"balance_of": [1]}, "does not answer balance_of with a number"),
        ({"total_supply": []}, "does not answer total_supply with a number"),
        ({"decimals": [6, 6]}, "does not answer decimals with a number"),
        ({"decimals": [256]}, "has 0x100 decimal places"),
    ],
)
async def test_answers_of_another_shape(changes: dict[str, list[int]], problem: str) -> None:
    with pytest.raises(NotAToken, match=problem):
        await read(Node({**SNAKE, **changes}))


async def test_no_contract_and_our_own() -> None:
    with pytest.raises(NotAToken, match="There is no contract at 0x1234567"):
        await read(Node(SNAKE), 0x1234567)
    with pytest.raises(NotAToken, match="is one of MedSync's own"):
        await read(Node(SNAKE), own=(CLASS,))


async def test_a_node_that_fails_is_no_verdict_on_the_token() -> None:
    with pytest.raises(NetworkError):
        await read(Node(CAMEL, code=-32603))
