"""Whom faults happen to, what they do meanwhile, and how it must end: rightly, or with a clear error, once.

What really happened is read past the proxy, by clients that nothing disturbs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp
import pytest
from starknet_py.net.client_models import TransactionExecutionStatus

from medsync.errors import MedSyncError, NetworkError, VerificationError
from medsync.log.fetch import fetch_events, fetch_log
from medsync.protocol.events import RewardDeposited, RewardWithdrawn
from medsync.protocol.types import AccessRequest, CampaignTerms, ConsentTerms
from medsync.protocol.vocabulary import Category, Purpose
from medsync.starknet import network
from medsync.starknet.clients import Erc20Client, MedSyncClient, RewardPoolClient
from medsync.starknet.network import Connection, connect
from medsync.starknet.transactions import Account, TransactionResult, UnknownOutcome
from tests.faults.proxy import SECRET, Planned, Proxy
from tests.harness.chain import Call
from tests.harness.clients import accounts_of
from tests.harness.world import World, id_of

T = TypeVar("T")

#: Seconds that a node gets for an answer that will never come.
IMPATIENT: Final = 0.3

#: Seconds that a transaction gets until it is in a block, with faults on the way, and without.
WITHIN: Final = 1.0
WITHIN_REASON: Final = 60.0

#: What one withdrawal is. A deposit is for one use.
AMOUNT: Final = 10

#: What a use of the world's campaign costs.
RATE: Final = 1_000

#: Events in a page, few enough that there are several pages.
LOG_PAGE: Final = 2
EVENTS_PAGE: Final = 8


class Scene:
    """A world with a history, and everybody's accounts behind the proxy."""

    def __init__(self, world: World, proxy: Proxy, past: Connection, through: Connection) -> None:
        self.world = world
        self.proxy = proxy
        self.past = past
        self.through = through
        #: Seconds that a transaction gets.
        self.within = WITHIN_REASON
        #: The blocks of the first and the last event that were there before the first fault.
        self.history_begins = self.history_ends = 0
        self._accounts: dict[int, Account] = {}
        self._patient = through.client._client.session
        self._impatient: aiohttp.ClientSession

    @classmethod
    async def open(cls, world: World, proxy: Proxy, url: str, stack: AsyncExitStack) -> Scene:
        """Connect, through the proxy and past it, and make the history."""
        past = await stack.enter_async_context(connect(url=url))
        through = await stack.enter_async_context(connect(url=proxy.url))
        scene = cls(world, proxy, past, through)
        impatience = aiohttp.ClientTimeout(total=IMPATIENT)
        scene._impatient = await stack.enter_async_context(aiohttp.ClientSession(timeout=impatience))
        scene._accounts = accounts_of(world.chain, past)
        scene.history_begins = await past.client.get_block_number()
        # Later than any block so far: devnet may have dated one a second after its time.
        world.wait(60)
        campaign = world.campaign()
        world.fund(campaign, 1_000 * RATE)
        mint = Call(world.token.address, "mint", [world.funder, 1_000 * RATE, 0])
        assert world.execute(world.funder, mint).error is None
        world.give()
        world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=campaign))
        for _ in range(5):
            world.ask(world.funder, campaign=id_of(campaign))
        world.send(world.relayer, "settle", patient=world.patient, grantee=world.funder, terms=campaign)
        for record in range(7):
            world.ask(patient=world.neighbour, record=record)
        scene.history_ends = await past.client.get_block_number()
        return scene

    async def with_second_node(self, stack: AsyncExitStack) -> None:
        """From now on clients have the node past the proxy as well, and ask it when the proxy fails."""
        both = f"{self.proxy.url} {self.past.client.url}"
        self.through = await stack.enter_async_context(connect(url=both))
        self._patient = self.through.client._client.session

    def prefer_proxy(self) -> None:
        """Have clients of several nodes begin with the proxy again."""
        self.through.client._client.url = self.proxy.url

    def plan(self, *planned: Planned) -> None:
        """Let these faults happen from now on; clients lose patience sooner where one waits for ever."""
        self.proxy.plan(*planned)
        self.within = WITHIN if planned else WITHIN_REASON
        silent = any(one.fault == "silence after" for one in planned)
        self.through.client._client.session = self._impatient if silent else self._patient

    def mend(self) -> None:
        """Let nothing happen any more."""
        self.plan()

    def account(self, address: int) -> Account:
        """A new account behind the proxy, which remembers nothing."""
        return Account(address, self.through.client, self._accounts[address].stark_signer)

    @property
    def campaign(self) -> CampaignTerms:
        world = self.world
        terms = world.campaign()
        return CampaignTerms(**(terms | {"purpose": Purpose.HRESCH}))

    @property
    def medsync(self) -> MedSyncClient:
        """MedSync as it really is."""
        return MedSyncClient(self.world.medsync.address, self.past.client)

    @property
    def pool(self) -> RewardPoolClient:
        """The pool as it really is."""
        return RewardPoolClient(self.world.pool.address, self.past.client)


# --- what changes something ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """An operation that sends a transaction."""

    name: str
    run: Callable[[Scene, Account], Awaitable[TransactionResult[Any]]]
    who: Callable[[World], int]
    #: How often it has happened so far.
    count: Callable[[Scene], Awaitable[int]]
    #: Whether this is the result of the one that made the count so high.
    is_right: Callable[[TransactionResult[Any], int], bool]


async def _deposit(scene: Scene, account: Account) -> TransactionResult[Any]:
    pool = RewardPoolClient(scene.world.pool.address, account)
    token = Erc20Client(await pool.token(), account)
    both = token.approve(pool.address, RATE), pool.deposit(scene.campaign, RATE)
    return await account.send(*both, within=scene.within)


async def _deposits(scene: Scene) -> int:
    return (await scene.pool.campaign(scene.campaign)).granted


async def _withdraw(scene: Scene, account: Account) -> TransactionResult[Any]:
    pool = RewardPoolClient(scene.world.pool.address, account)
    return await account.send(pool.withdraw(AMOUNT, account.address), within=scene.within)


async def _withdrawals(scene: Scene) -> int:
    return (await scene.pool.withdrawn(scene.world.patient)) // AMOUNT


async def _consent(scene: Scene, account: Account) -> TransactionResult[Any]:
    terms = ConsentTerms(**(scene.world.terms() | {"purpose": Purpose.HRESCH, "reward": None}))
    medsync = MedSyncClient(scene.world.medsync.address, account)
    return await account.send(medsync.add_consent(scene.world.partner, terms), within=scene.within)


async def _consents(scene: Scene) -> int:
    world = scene.world
    return (await scene.medsync.consent(world.patient, world.partner, Purpose.HRESCH, 0)).version


async def _request(scene: Scene, account: Account) -> TransactionResult[Any]:
    wanted = AccessRequest(scene.world.patient, Purpose.HRESCH, 0, Category.OBSERVATION, 0x2EC, 0)
    medsync = MedSyncClient(scene.world.medsync.address, account)
    return await account.send(medsync.request_access(wanted), within=scene.within)


async def _requests(scene: Scene) -> int:
    return (await scene.medsync.log_head(scene.world.patient)).count


def _emitted(
    kind: type[RewardDeposited] | type[RewardWithdrawn], amount: int
) -> Callable[[TransactionResult[Any], int], bool]:
    return lambda result, _: [event.amount for event in result.events if isinstance(event, kind)] == [amount]


CHANGES: Final = (
    Change("deposit", _deposit, lambda world: world.funder, _deposits, _emitted(RewardDeposited, RATE)),
    Change(
        "withdraw", _withdraw, lambda world: world.patient, _withdrawals, _emitted(RewardWithdrawn, AMOUNT)
    ),
    Change(
        "add_consent",
        _consent,
        lambda world: world.patient,
        _consents,
        lambda result, count: result.value == (count,),
    ),
    Change(
        "request_access",
        _request,
        lambda world: world.researcher,
        _requests,
        lambda result, count: result.value[0].seq == count,
    ),
)

RIGHT: Final = "right answer"
THEN_ONCE: Final = "clear error, then once"
THEN_RIGHT: Final = "clear error, then right"


async def happens_once(scene: Scene, change: Change, *planned: Planned, faulty_tries: int = 1) -> str:
    """Try a change until it succeeds, at last without faults, and see that it happened once in all.

    Every error on the way must be clear: of MedSync, without a secret, and true in what it says was sent.
    """
    account = scene.account(change.who(scene.world))
    before = await change.count(scene)
    scene.plan(*planned)
    failed = 0
    unknown = False
    while isinstance(result := await _attempt(change.run(scene, account)), MedSyncError):
        failed += 1
        await _assert_true(scene, result, await change.count(scene) - before, unknown)
        unknown = unknown or isinstance(result, UnknownOutcome)
        assert failed <= faulty_tries, f"without a fault: {result}"
        if failed == faulty_tries:
            scene.mend()
    scene.mend()
    scene.proxy.release()
    count = await change.count(scene)
    assert count - before == 1, f"{change.name} happened {count - before} times"
    assert change.is_right(result, count), result
    receipt = await scene.past.client.get_transaction_receipt(result.hash)
    assert receipt.block_number == result.block_number
    return THEN_ONCE if failed else RIGHT


async def _attempt(run: Awaitable[T]) -> T | MedSyncError:
    try:
        return await run
    except MedSyncError as error:
        return error


async def _assert_true(scene: Scene, error: MedSyncError, happened: int, unknown: bool) -> None:
    """What an error says of the transaction is so; `unknown` if an earlier try may have sent it."""
    said = f"{error} {error.hint}"
    assert SECRET not in said
    if isinstance(error, UnknownOutcome):
        assert happened in (0, 1)
        assert hex(error.transaction) in str(error)
        assert "look it up" in error.hint
        if happened:
            receipt = await scene.past.client.get_transaction_receipt(error.transaction)
            assert receipt.execution_status is TransactionExecutionStatus.SUCCEEDED
    elif isinstance(error, NetworkError) and "succeeded" in str(error):
        assert happened == 1
    else:
        assert happened == 0 or unknown, said


# --- what only reads ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """An operation that sends nothing."""

    name: str
    run: Callable[[Scene, Connection], Coroutine[Any, Any, Any]]


async def _log(scene: Scene, connection: Connection) -> Any:
    return await fetch_log(
        connection.client,
        scene.world.medsync.address,
        scene.world.neighbour,
        from_block=scene.history_begins,
        chunk_size=LOG_PAGE,
    )


async def _events(scene: Scene, connection: Connection) -> Any:
    world = scene.world
    contracts = {world.medsync.address: "MedSync", world.pool.address: "RewardPool"}
    return await fetch_events(
        connection.client,
        contracts,
        from_block=scene.history_begins,
        to_block=scene.history_ends,
        chunk_size=EVENTS_PAGE,
    )


async def _views(scene: Scene, connection: Connection) -> Any:
    pool = RewardPoolClient(scene.world.pool.address, connection.client)
    return await pool.is_published(), await pool.claimable(scene.world.patient)


async def _connect(scene: Scene, connection: Connection) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        if connection.client._client.session is scene._impatient:
            patch.setattr(network, "TIMEOUT", IMPATIENT)
        async with connect(url=connection.client.url) as opened:
            return opened.chain_id, opened.is_local


LOG: Final = Reading("fetch_log", _log)
EVENTS: Final = Reading("fetch_events", _events)
READINGS: Final = (LOG, EVENTS, Reading("views", _views), Reading("connect", _connect))


async def reads_right(scene: Scene, reading: Reading, *planned: Planned) -> str:
    """Read while faults happen, and again without them: the answer is right, or there is a clear error."""
    truth = await reading.run(scene, scene.past)
    scene.plan(*planned)
    outcome = RIGHT
    answer = await _attempt(reading.run(scene, scene.through))
    scene.mend()
    if isinstance(answer, MedSyncError):
        # Not that it is somebody's input, or another network: nothing of that is so.
        assert isinstance(answer, NetworkError | VerificationError), repr(answer)
        assert SECRET not in f"{answer} {answer.hint}"
        outcome = THEN_RIGHT
        answer = await reading.run(scene, scene.through)
    assert answer == truth, f"{reading.name} answered wrongly"
    return outcome
