"""How fast things are on the machine at hand. Unlike costs, speeds differ from run to run."""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from starknet_py.net.client_models import ResourceBoundsMapping
from starknet_py.net.signer.key_pair import KeyPair
from starknet_py.net.signer.stark_curve_signer import StarkCurveSigner

from medsync.errors import VerificationError
from medsync.log.completeness import history_faults
from medsync.log.histories import BlockHeader, History
from medsync.log.replay import replay
from medsync.protocol.chains import Chain, ChainEvent, chain_of, entry_digests, subject_of
from medsync.protocol.events import ConsentAdded, EntityRegistered, LogEntry
from medsync.protocol.merkle import MerkleLog, verify_inclusion
from medsync.protocol.poseidon import by_poseidon_py
from medsync.protocol.types import Head
from medsync.protocol.vocabulary import Category, Decision, Purpose, Reason, Role
from medsync.starknet.transactions import Account, Invocation, bounds_for
from scripts.bench.lab import START_TIME, Lab, Metering, open_lab

_TRANSACTIONS: Final = 100
#: The other signer is slow.
_TRANSACTIONS_OF_OTHER_SIGNER: Final = 20
_ENTRIES: Final = 1_000
_CONSENTS: Final = 10_000
_PATIENTS: Final = 1_000
_DECISIONS: Final = 50_000
_SNAPSHOTS: Final = 5

_PROOFS: Final = 100
_TURNS: Final = 5

_ENTRY_NAMES: Final = {
    Chain.REGISTRY: "entries of the registry's history",
    Chain.CONSENTS: "entries of consent histories",
    Chain.ACCESSES: "entries of access logs",
}
#: What must be reached, by the name of a speed.
LEAST: Final = {f"{name} proven complete: speed-up by WebAssembly": 12 for name in _ENTRY_NAMES.values()}

_CHAIN, _CONTRACT, _RESEARCHER, _STUDY = 1, 2, 3, 4
#: The first of the patients.
_PATIENT: Final = 1_000


@dataclass(frozen=True)
class Speed:
    """How fast one thing was."""

    name: str
    value: float
    unit: str


async def measure_speeds() -> list[Speed]:
    """Measure everything, transactions on a devnet of their own."""
    async with open_lab(Metering.STEPS) as lab:
        return [*await _transactions(lab), *_snapshots(lab), *verification(), *inclusion(), *_replay()]


async def _transactions(lab: Lab) -> list[Speed]:
    """One event each, from devnet's own account, with fixed bounds unless said otherwise."""
    account = lab.crowd[0]
    bounds = await bounds_for(account.client, l2_gas=10_000_000)
    key = next(a.private_key for a in lab.devnet.accounts() if a.address == account.address)
    pair = KeyPair.from_private_key(key)
    other = Account(account.address, account.client, account.stark_signer)
    other.signer = StarkCurveSigner(account.address, pair, account.chain_id)

    estimated = await _one_by_one(_refusal(lab, account), _TRANSACTIONS // 2, None)
    ours = await _one_by_one(_refusal(lab, account), _TRANSACTIONS, bounds)
    theirs = await _one_by_one(_refusal(lab, other), _TRANSACTIONS_OF_OTHER_SIGNER, bounds)
    started = time.perf_counter()
    pending = [_refusal(lab, lab.crowd[1]).send(bounds=bounds) for _ in range(_TRANSACTIONS)]
    await asyncio.gather(*pending)
    in_flight = _TRANSACTIONS / (time.perf_counter() - started)
    return [
        speed("transactions, one after the other, each estimated first", estimated, "1/s"),
        speed("transactions, one after the other", ours, "1/s"),
        speed("the same with starknet-py's own signer", theirs, "1/s"),
        speed("speed-up by MedSync's signer", ours / theirs, "times"),
        speed("transactions, all in flight at once", in_flight, "1/s"),
    ]


def _refusal(lab: Lab, account: Account) -> Invocation[None]:
    return lab.medsync_as(account).refuse_consent(lab.address("researcher"), Purpose.HRESCH, _STUDY)


async def _one_by_one(invocation: Invocation[Any], times: int, bounds: ResourceBoundsMapping | None) -> float:
    started = time.perf_counter()
    for _ in range(times):
        await invocation.send(bounds=bounds)
    return times / (time.perf_counter() - started)


def _snapshots(lab: Lab) -> list[Speed]:
    taken, reverted = [], []
    for _ in range(_SNAPSHOTS):
        started = time.perf_counter()
        snapshot = lab.devnet.snapshot()
        between = time.perf_counter()
        lab.devnet.revert(snapshot)
        taken.append(between - started)
        reverted.append(time.perf_counter() - between)
    return [
        speed("devnet snapshot", statistics.median(taken), "s"),
        speed("devnet revert", statistics.median(reverted), "s"),
    ]


def verification() -> list[Speed]:
    """Proving histories complete, once they were fetched, and how much the WebAssembly module speeds it up.

    Each history has entries of its most frequent kind.
    """
    return [found for number in range(len(Chain)) for found in _verification(number)]


def _verification(number: int) -> list[Speed]:
    events = [_one_of_each(1 + place)[number] for place in range(_ENTRIES)]
    chain = chain_of(events[0])
    assert chain is not None
    head = Head(_ENTRIES, entry_digests(_CHAIN, _CONTRACT, events)[-1])
    history = History(
        chain_id=_CHAIN,
        contract=_CONTRACT,
        chain=chain,
        subject=subject_of(events[0]),
        entries=tuple(events),
        head=head,
        block=BlockHeader(_ENTRIES, hash=1, timestamp=START_TIME + _ENTRIES),
    )

    def verify() -> None:
        if history_faults(history):
            raise VerificationError("A complete history was found incomplete.")

    taken, slower = _both_ways(verify)
    what = f"{_ENTRY_NAMES[chain]} proven complete"
    return [
        speed(what, _ENTRIES / taken, "1/s"),
        speed(f"{what}: speed-up by WebAssembly", slower / taken, "times"),
    ]


def inclusion() -> list[Speed]:
    """Verifying that an entry is in an anchored log, and how much the WebAssembly module speeds it up."""
    log = MerkleLog(range(_ENTRIES))
    index = _ENTRIES // 2
    path, root = log.inclusion_path(index), log.root()

    def verify() -> None:
        for _ in range(_PROOFS):
            if not verify_inclusion(index, index, _ENTRIES, path, root):
                raise VerificationError("An included entry was not found to be.")

    taken, slower = _both_ways(verify)
    what = f"inclusion proofs of {len(path)} hashes"
    return [
        speed(f"{what} verified", _PROOFS / taken, "1/s"),
        speed(f"{what}: speed-up by WebAssembly", slower / taken, "times"),
    ]


def _both_ways(action: Callable[[], object]) -> tuple[float, float]:
    """The least CPU time that an action takes as it is, and with poseidon-py, in turns."""
    action()
    taken, slower = [], []
    for _ in range(_TURNS):
        taken.append(_cpu_time(action))
        with by_poseidon_py():
            slower.append(_cpu_time(action))
    return min(taken), min(slower)


def _cpu_time(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def require_speed(speeds: Sequence[Speed]) -> None:
    """Raise VerificationError if something is slower than it must be."""
    for found in speeds:
        if found.value < LEAST.get(found.name, 0):
            raise VerificationError(
                f"{found.name}: {found.value:g} {found.unit}, where {LEAST[found.name]} is the least."
            )


def _replay() -> list[Speed]:
    """Consents of a thousand patients, each renewed and used, and decisions at moments all over that time."""
    events: list[ChainEvent] = [replace(_one_of_each(1)[0], at=START_TIME)]
    for number in range(_CONSENTS):
        _, consent, access = _one_of_each(1 + number // _PATIENTS)
        patient, at = _PATIENT + number % _PATIENTS, START_TIME + number
        events += [
            replace(consent, patient=patient, by=patient, at=at),
            replace(access, patient=patient, at=at),
        ]
    taken = seconds(lambda: replay(events, chain_id=_CHAIN, contract=_CONTRACT))
    state = replay(events, chain_id=_CHAIN, contract=_CONTRACT)

    def decide() -> None:
        for number in range(_DECISIONS):
            patient = _PATIENT + number % _PATIENTS
            second = START_TIME + number * 7 % (2 * _CONSENTS)
            state.verify_consent(
                patient, _RESEARCHER, Purpose.HRESCH, _STUDY, Category.LABORATORY, second=second
            )

    return [
        speed("entries replayed", len(events) / taken, "1/s"),
        speed("decisions answered by a replayed state", _DECISIONS / seconds(decide), "1/s"),
    ]


def _one_of_each(seq: int) -> tuple[EntityRegistered, ConsentAdded, LogEntry]:
    """Entry `seq` of a registry, of a consent history and of an access log, a second after the one before."""
    at = START_TIME + seq
    return (
        EntityRegistered(_RESEARCHER, seq, at, Role.RESEARCHER, profile_commitment=1),
        ConsentAdded(
            patient=_PATIENT,
            grantee=_RESEARCHER,
            purpose=Purpose.HRESCH,
            seq=seq,
            at=at,
            study=_STUDY,
            by=_PATIENT,
            nonce=0,
            version=seq,
            generation=1,
            categories=Category.LABORATORY,
            starts_at=START_TIME,
            expires_at=START_TIME + 10 * _CONSENTS,
            max_uses=0,
            scoped=False,
            campaign=0,
            terms_commitment=1,
        ),
        LogEntry(
            patient=_PATIENT,
            accessor=_RESEARCHER,
            purpose=Purpose.HRESCH,
            seq=seq,
            at=at,
            study=_STUDY,
            decision=Decision.PERMIT,
            reason=Reason.GRANTED,
            version=seq,
            scoped=False,
            categories=Category.LABORATORY,
            record=seq,
            campaign=0,
            registration=1,
        ),
    )


def seconds(action: Callable[[], object], times: int = 3) -> float:
    """The least time an action takes in some attempts: everything else is other people's noise."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return min(taken)


def speed(name: str, value: float, unit: str) -> Speed:
    """Rounded to three digits: no more are worth anything."""
    return Speed(name, float(f"{value:.3g}"), unit)


def speeds_from_json(speeds: Sequence[dict[str, Any]]) -> list[Speed]:
    """The speeds that were published."""
    return [Speed(**speed) for speed in speeds]
