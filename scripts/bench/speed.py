"""How fast things are on the machine at hand. Unlike costs, speeds differ from run to run."""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
        return [*await _transactions(lab), *_snapshots(lab), *verification(), *inclusion(), *replaying()]


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
    seqs = range(1, _ENTRIES + 1)
    histories: list[list[ChainEvent]] = [
        [_registration(seq) for seq in seqs],
        [_consent(_PATIENT, seq, START_TIME + seq) for seq in seqs],
        [_access(_PATIENT, seq, START_TIME + seq) for seq in seqs],
    ]
    return [found for entries in histories for found in _verification(entries)]


def _verification(entries: Sequence[ChainEvent]) -> list[Speed]:
    chain = chain_of(entries[0])
    assert chain is not None
    history = History(
        chain_id=_CHAIN,
        contract=_CONTRACT,
        chain=chain,
        subject=subject_of(entries[0]),
        entries=tuple(entries),
        head=Head(len(entries), entry_digests(_CHAIN, _CONTRACT, entries)[-1]),
        block=BlockHeader(1, hash=1, timestamp=entries[-1].at),
    )

    def verify() -> None:
        if history_faults(history):
            raise VerificationError("A complete history was found incomplete.")

    taken, slower = _both_ways(verify)
    what = f"{_ENTRY_NAMES[chain]} proven complete"
    return [
        speed(what, len(entries) / taken, "1/s"),
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


def missed(speeds: Sequence[Speed]) -> list[str]:
    """What is slower than it must be."""
    return [
        f"{found.name}: {found.value:g} {found.unit}, where {LEAST[found.name]} is the least"
        for found in speeds
        if found.value < LEAST.get(found.name, 0)
    ]


def replaying() -> list[Speed]:
    """Consents of a thousand patients, each renewed and used, and decisions at moments all over that time."""
    events: list[ChainEvent] = [_registration(1)]
    for number in range(_CONSENTS):
        patient, seq, at = _PATIENT + number % _PATIENTS, 1 + number // _PATIENTS, START_TIME + 1 + number
        events += [_consent(patient, seq, at), _access(patient, seq, at)]
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


def _registration(seq: int) -> EntityRegistered:
    return EntityRegistered(_RESEARCHER, seq, START_TIME + seq, Role.RESEARCHER, profile_commitment=1)


def _consent(patient: int, seq: int, at: int) -> ConsentAdded:
    return ConsentAdded(
        patient=patient,
        grantee=_RESEARCHER,
        purpose=Purpose.HRESCH,
        seq=seq,
        at=at,
        study=_STUDY,
        by=patient,
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
    )


def _access(patient: int, seq: int, at: int) -> LogEntry:
    return LogEntry(
        patient=patient,
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
