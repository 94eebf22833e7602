"""Key cards: what the account signs, what holds offline, and that the account is asked on the chain."""

import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starknet_py.net.full_node_client import FullNodeClient
from starknet_py.utils.typed_data import TypedData

from medsync.deployment.devnet import Devnet
from medsync.errors import NetworkError, VerificationError
from medsync.private.keys.cards import LONGEST_LIFE, KeyCard, sign_card
from medsync.private.keys.keys import AccessorKey
from medsync.protocol.felt import InvalidValue, encode_short_string
from medsync.starknet.accounts import predeployed_accounts
from medsync.starknet.network import Connection, connect
from medsync.starknet.signer import StarkSigner
from scripts import build
from tests.harness.records import CHAIN, NOW, RESEARCHER
from tests.harness.world import World

KEY = AccessorKey(bytes(range(64)))
SIGNER = StarkSigner(0x1234567, CHAIN)
CARD = sign_card(SIGNER, RESEARCHER, KEY, NOW + 1000)


def test_a_card_is_snip12_typed_data_written_out_in_full() -> None:
    document = {
        "types": {
            "StarknetDomain": [
                {"name": "name", "type": "shortstring"},
                {"name": "version", "type": "shortstring"},
                {"name": "chainId", "type": "shortstring"},
                {"name": "revision", "type": "shortstring"},
            ],
            "KeyCard": [
                {"name": "encryption_key", "type": "string"},
                {"name": "signing_key", "type": "string"},
                {"name": "expires_at", "type": "timestamp"},
            ],
        },
        "primaryType": "KeyCard",
        "domain": {"name": "MedSync", "version": "v2", "chainId": "SN_SEPOLIA", "revision": 1},
        "message": {
            "encryption_key": KEY.encryption.public.hex(),
            "signing_key": KEY.signing.public.hex(),
            "expires_at": str(NOW + 1000),
        },
    }
    assert CARD.typed_data() == document
    signed = TypedData.from_dict(document).message_hash(RESEARCHER)  # type: ignore[arg-type]
    assert list(CARD.signature) == SIGNER.sign_hash(signed)


def test_a_card_survives_its_file() -> None:
    text = CARD.canonical()
    assert KeyCard.read(text, "card") == CARD
    assert json.loads(text) == {
        "address": "0x7265",
        "chain": hex(CHAIN),
        "encryption_key": KEY.encryption.public.hex(),
        "signing_key": KEY.signing.public.hex(),
        "expires_at": NOW + 1000,
        "signature": [hex(part) for part in CARD.signature],
    }
    assert KEY.reveal().hex() not in text.decode()


@pytest.mark.parametrize(
    "change",
    [
        {"address": "0x0"},
        {"address": "0x07265"},
        {"address": 5},
        {"chain": None},
        {"encryption_key": "00" * 31},
        {"signing_key": "AB" * 32},
        {"expires_at": "1"},
        {"expires_at": 0},
        {"expires_at": 2**53},
        {"signature": "0x1"},
        {"signature": ["0x1"] * 65},
        {"note": 1},
    ],
)
def test_what_is_no_card_is_refused(change: dict[str, Any]) -> None:
    document = json.loads(CARD.canonical()) | change
    with pytest.raises(InvalidValue, match=r"^card: "):
        KeyCard.read(json.dumps(document), "card")


def test_a_card_is_for_one_chain_and_some_time() -> None:
    CARD.check(chain=CHAIN, now=NOW + 999)
    with pytest.raises(VerificationError, match="another chain"):
        CARD.check(chain=encode_short_string("SN_MAIN"), now=NOW)
    with pytest.raises(VerificationError, match="has expired"):
        CARD.check(chain=CHAIN, now=NOW + 1000)
    with pytest.raises(VerificationError, match="more than a year"):
        CARD.check(chain=CHAIN, now=NOW + 999 - LONGEST_LIFE)


# --- on the chain -------------------------------------------------------------------------------------------


@pytest.fixture
async def connection(devnet: Devnet) -> AsyncIterator[Connection]:
    async with connect(url=devnet.rpc_url) as connection:
        yield connection


async def test_the_account_says_that_it_signed(connection: Connection) -> None:
    account, other = (await predeployed_accounts(connection))[:2]
    card = sign_card(account.stark_signer, account.address, KEY, NOW + 1000)
    await card.verify(connection.client, chain=connection.chain_id, now=NOW)
    forged: list[dict[str, Any]] = [
        {"address": other.address},
        {"address": 0x1234},
        {"signing_key": bytes(32)},
        {"encryption_key": bytes(32)},
        {"expires_at": NOW + 1001},
        {"signature": ()},
        {"signature": (*card.signature, 1)},
        {"signature": (card.signature[0], card.signature[1] + 1)},
        {"signature": sign_card(other.stark_signer, account.address, KEY, NOW + 1000).signature},
        {"signature": sign_card(account.stark_signer, other.address, KEY, NOW + 1000).signature},
    ]
    for change in forged:
        with pytest.raises(VerificationError, match="did not sign this key card"):
            await card.model_copy(update=change).verify(connection.client, chain=connection.chain_id, now=NOW)
    with pytest.raises(VerificationError, match="expired"):
        await card.verify(connection.client, chain=connection.chain_id, now=NOW + 1000)


async def test_a_contract_that_says_yes_to_nothing_signed_is_believed_for_itself_only(
    world: World, connection: Connection
) -> None:
    """Whoever controls an address vouches for it; a contract that is no account vouches for nothing."""
    card = CARD.model_copy(update={"address": world.medsync.address, "chain": connection.chain_id})
    with pytest.raises(VerificationError, match="did not sign"):
        await card.verify(connection.client, chain=connection.chain_id, now=NOW)
    account = world.deploy("Account", SIGNER.public_key, package=build.MOCKS)
    signer = StarkSigner(0x1234567, connection.chain_id)
    own = sign_card(signer, account.address, KEY, NOW + 1000)
    await own.verify(connection.client, chain=connection.chain_id, now=NOW)
    with pytest.raises(VerificationError, match="did not sign"):
        await own.model_copy(update={"expires_at": NOW + 1001}).verify(
            connection.client, chain=connection.chain_id, now=NOW
        )


async def test_silence_is_no_verdict() -> None:
    """Nothing listens on the port of a socket that is bound and closed again."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    client = FullNodeClient(f"http://127.0.0.1:{port}/rpc")
    with pytest.raises(NetworkError):
        await CARD.verify(client, chain=CHAIN, now=NOW)


@given(st.integers(0, 63), st.integers(1, 255))
def test_other_keys_are_another_message(place: int, change: int) -> None:
    keys = bytearray(KEY.encryption.public + KEY.signing.public)
    keys[place] ^= change
    other = CARD.model_copy(update={"encryption_key": bytes(keys[:32]), "signing_key": bytes(keys[32:])})
    assert other.typed_data() != CARD.typed_data()
