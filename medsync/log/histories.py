"""A provable history as a value: its entries, the head they must lead to, and the block it was read at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from medsync.protocol.chains import Chain, ChainEvent
from medsync.protocol.events import AccessEvent, ConsentEvent, RegistryEvent
from medsync.protocol.felt import InvalidValue, check_felt, check_uint
from medsync.protocol.types import Head

E_co = TypeVar("E_co", bound=ChainEvent, covariant=True)

_TITLES: Final[Mapping[Chain, str]] = {
    Chain.CONSENTS: "The consent history of {}",
    Chain.ACCESSES: "The access log of {}",
    Chain.REGISTRY: "The history of the registry",
}


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """The block as of which heads were read: what an answer is true for, and no later one.

    >>> BlockHeader(12, hash=0xB10C, timestamp=1_767_225_600).number
    12
    """

    number: int
    hash: int
    #: When it was made, in unix seconds. Entries of later blocks are not earlier, but may be of this second.
    timestamp: int

    def __post_init__(self) -> None:
        check_uint(self.number, 64, "block number")
        check_felt(self.hash, "block hash")
        check_uint(self.timestamp, 40, "block time")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a history was proven before: what a later proof can continue from.

    Keep it only from accepted blocks. The block's hash tells a reorganisation of the chain from a false
    answer.

    >>> Checkpoint(seq=0, head=0, block_hash=0xB10C).seq  # of an empty history
    0
    """

    #: Number of the last entry that is known; zero for an empty history.
    seq: int
    #: The head after that entry.
    head: int
    #: Hash of the block as of which it was the head.
    block_hash: int

    def __post_init__(self) -> None:
        check_uint(self.seq, 32, "seq")
        check_felt(self.head, "head")
        check_felt(self.block_hash, "block hash")


@dataclass(frozen=True, slots=True)
class History(Generic[E_co]):
    """One provable history as of a block: all entries in order, or all after a checkpoint.

    >>> history = History(
    ...     chain_id=0x534E5F5345504F4C4941, contract=5, chain=Chain.ACCESSES, subject=7, entries=(),
    ...     head=Head(0, 0), block=BlockHeader(12, hash=0xB10C, timestamp=1_767_225_600),
    ... )
    >>> history.title, history.checkpoint.seq
    ('The access log of 0x7', 0)
    """

    chain_id: int
    contract: int
    chain: Chain
    #: The patient; zero for the registry.
    subject: int
    entries: tuple[E_co, ...]
    #: Count and head that the contract kept as of the block.
    head: Head
    block: BlockHeader
    #: What the entries continue from; None if they begin with the first.
    known: Checkpoint | None = None

    @property
    def title(self) -> str:
        """What it is, for people, as the beginning of a sentence."""
        return _TITLES[self.chain].format(f"{self.subject:#x}")

    @property
    def checkpoint(self) -> Checkpoint:
        """Where a later proof can continue."""
        return Checkpoint(self.head.count, self.head.head, self.block.hash)

    def followed_by(self, later: "History[E_co]") -> "History[E_co]":
        """This history with the entries of a later part, which continues from this one's checkpoint.

        Raises `InvalidValue` if it continues from something else.
        """
        same = (self.chain_id, self.contract, self.chain, self.subject)
        if (later.chain_id, later.contract, later.chain, later.subject) != same:
            raise InvalidValue("later: it is another history")
        if later.known != self.checkpoint:
            raise InvalidValue("later: it does not continue from the checkpoint of this history")
        return replace(later, entries=(*self.entries, *later.entries), known=self.known)


@dataclass(frozen=True, slots=True)
class PatientHistory:
    """A patient's consents and accesses and the registry they were judged by, as of the same block.

    >>> heads = Heads(
    ...     chain_id=0x534E5F5345504F4C4941, contract=5, patient=7, of={chain: Head(0, 0) for chain in Chain},
    ...     block=BlockHeader(12, hash=0xB10C, timestamp=1_767_225_600),
    ... )
    >>> history = PatientHistory(
    ...     consents=heads.history(Chain.CONSENTS, ()),
    ...     accesses=heads.history(Chain.ACCESSES, ()),
    ...     registry=heads.history(Chain.REGISTRY, ()),
    ... )
    >>> hex(history.patient), len(history.entries)
    ('0x7', 0)
    """

    consents: History[ConsentEvent]
    accesses: History[AccessEvent]
    registry: History[RegistryEvent]

    def __post_init__(self) -> None:
        expected = {
            "consents": (Chain.CONSENTS, self.patient),
            "accesses": (Chain.ACCESSES, self.patient),
            "registry": (Chain.REGISTRY, 0),
        }
        for name, (chain, subject) in expected.items():
            history: History[ChainEvent] = getattr(self, name)
            if (history.chain, history.subject) != (chain, subject):
                raise InvalidValue(f"{name}: it is the history of something else")
            if (history.chain_id, history.contract) != (self.chain_id, self.contract):
                raise InvalidValue(f"{name}: it is from another chain or contract than the consents")
            if history.block != self.block:
                raise InvalidValue(f"{name}: it is as of another block than the consents")

    @property
    def chain_id(self) -> int:
        """The network's id: its name as a short string."""
        return self.consents.chain_id

    @property
    def contract(self) -> int:
        """The `MedSync` contract."""
        return self.consents.contract

    @property
    def patient(self) -> int:
        """The patient's address."""
        return self.consents.subject

    @property
    def block(self) -> BlockHeader:
        """The block as of which the three heads were read."""
        return self.consents.block

    @property
    def histories(self) -> tuple[History[RegistryEvent], History[ConsentEvent], History[AccessEvent]]:
        """All three, the registry first."""
        return self.registry, self.consents, self.accesses

    @property
    def entries(self) -> tuple[ChainEvent, ...]:
        """The entries of all three, history by history: entries of different ones have no mutual order."""
        return (*self.registry.entries, *self.consents.entries, *self.accesses.entries)

    @property
    def checkpoints(self) -> dict[Chain, Checkpoint]:
        """Where later proofs of the three can continue."""
        return {history.chain: history.checkpoint for history in self.histories}

    def followed_by(self, later: "PatientHistory") -> "PatientHistory":
        """These histories with later parts, which continue from their checkpoints.

        Raises `InvalidValue` as `History.followed_by` does.
        """
        return PatientHistory(
            consents=self.consents.followed_by(later.consents),
            accesses=self.accesses.followed_by(later.accesses),
            registry=self.registry.followed_by(later.registry),
        )


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of a patient's histories and of the registry's, read from the contract as of one block.

    >>> heads = Heads(
    ...     chain_id=0x534E5F5345504F4C4941, contract=5, patient=7, of={Chain.REGISTRY: Head(0, 0)},
    ...     block=BlockHeader(12, hash=0xB10C, timestamp=1_767_225_600),
    ... )
    >>> heads.history(Chain.REGISTRY, entries=()).title
    'The history of the registry'
    """

    chain_id: int
    contract: int
    patient: int
    block: BlockHeader
    of: Mapping[Chain, Head]

    def history(
        self, chain: Chain, entries: Iterable[ChainEvent], known: Checkpoint | None = None
    ) -> History[Any]:
        """Entries as the history that must lead to its head, not proven yet."""
        subject = 0 if chain is Chain.REGISTRY else self.patient
        return History(
            chain_id=self.chain_id,
            contract=self.contract,
            chain=chain,
            subject=subject,
            entries=tuple(entries),
            head=self.of[chain],
            block=self.block,
            known=known,
        )
