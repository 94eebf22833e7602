"""The bridge between a private node and Starknet: it anchors what the node did and issues tickets.

One `step` does three things, each of which may be stopped anywhere and repeated:

1. **collect**: the application's operations become entries of the log, in the journal.
2. **anchor**: attestors sign the new root, and `PrivateAnchor` checks that the log only grew.
3. **issue**: patients' logs are fetched and proven complete; a permitted request becomes a ticket. Where the
   consent has a sealed scope, only if the opening of its terms was given: a scope that nobody here can read
   releases nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from medsync.errors import ContractError, MedSyncError, VerificationError
from medsync.log.fetch import fetch_consents, fetch_log, fetch_raw
from medsync.log.histories import History
from medsync.private.bridge.attestor import Attestation, AttestationRequest, Attestor, check_claim
from medsync.private.bridge.journal import FINAL, EntryOutcome, IssuedTicket, Journal, ProcessedEntry
from medsync.private.keys.cards import KeyCard
from medsync.private.keys.keys import BridgeKey, RecordVersion
from medsync.private.records.application import Found, RecordStore
from medsync.private.records.tickets import LIFE, SignedTicket
from medsync.private.records.vault import KeyVault, UnknownRecord
from medsync.protocol.anchor import state_digest
from medsync.protocol.chains import entry_digests
from medsync.protocol.commitments import Domain, Opening
from medsync.protocol.events import AccessEvent, ConsentAdded, LogEntry, selector_of
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import AnchorHead
from medsync.protocol.vocabulary import Category, Decision
from medsync.starknet.anchor import PrivateAnchorClient, verify_node_signature
from medsync.starknet.rpc import newest_block
from medsync.storage.files import NewFile, read_bytes, replace
from medsync.storage.locks import Lock

#: Seconds after which a logged permit gets no ticket any more.
OLDEST_ENTRY: Final = 3_600

#: Most entries that one anchor brings, so that a request stays a file of moderate size.
MOST_ENTRIES: Final = 10_000

#: Operations asked for at once.
_PAGE: Final = 500

_log = logging.getLogger(__name__)


@dataclass
class BridgeStep:
    """What one step did."""

    #: Entries that were appended to the log.
    collected: int = 0
    #: Size of the log that is anchored now.
    anchored: int = 0
    #: Transaction that anchored, if one was sent.
    transaction: int | None = None
    #: What kept the log from being anchored, if something did.
    trouble: MedSyncError | None = None
    #: Files of the tickets that were issued.
    issued: list[Path] = field(default_factory=list)
    #: What became of each log entry that was looked at.
    processed: list[ProcessedEntry] = field(default_factory=list)


class Bridge:
    """Everything a bridge works with. Only one at a time can be opened on a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        store: RecordStore,
        vault: KeyVault,
        key: BridgeKey,
        contract: int,
        first_block: int,
        anchor: PrivateAnchorClient,
        attestors: Sequence[Attestor] = (),
        openings: Sequence[Opening] = (),
        ticket_life: int = LIFE,
        oldest_entry: int = OLDEST_ENTRY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`folder` holds the journal and the subfolders `cards`, `tickets`, `requests` and `attestations`.

        `contract` is the MedSync contract, `first_block` any block before its first event. `openings` are of
        the terms of consents with a sealed scope. Compare the patient's records with an opening before you
        give it: the bridge makes sure that it is there, and does not interpret it. Raises VerificationError
        for an opening that does not open its commitment, and InUse if another bridge has the folder.
        """
        for opening in openings:
            opening.verify()
        #: Terms commitments whose opening is here.
        self._opened = {opening.commitment for opening in openings if opening.domain is Domain.TERMS}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = Lock(
            folder / "bridge.lock",
            f"The bridge's folder {folder}",
            hint="One bridge at a time: stop the other.",
        )
        try:
            self.journal = Journal(folder / "journal.db")
        except BaseException:
            self._lock.release()
            raise
        self.folder, self.store, self.vault, self.key = folder, store, vault, key
        self.contract, self.first_block, self.anchor = contract, first_block, anchor
        self.attestors = attestors
        self.ticket_life, self.oldest_entry, self.clock = ticket_life, oldest_entry, clock
        for name in ("cards", "tickets", "requests", "attestations"):
            (folder / name).mkdir(exist_ok=True, mode=0o700)

    def close(self) -> None:
        """Close the journal and let another bridge have the folder."""
        self.journal.close()
        self._lock.release()

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def step(self) -> BridgeStep:
        """Collect, anchor, issue. What keeps the log from being anchored does not keep tickets waiting."""
        done = BridgeStep()
        done.collected = await self.collect()
        try:
            await self.anchor_log(done)
        except MedSyncError as error:
            done.trouble = error
        await self.issue(done)
        _log.info(
            "A step is done: %d operations collected, %d anchored, %d tickets issued.",
            done.collected,
            done.anchored,
            len(done.issued),
            extra={"collected": done.collected, "anchored": done.anchored, "tickets": len(done.issued)},
        )
        return done

    # --- 1. collect ---

    async def collect(self) -> int:
        """Append what the application did since the last time to the log; how many entries that were.

        Raises VerificationError if the node does not have any more what it had then.
        """
        appended = 0
        for app in self.store.apps:
            last = self.journal.last(app.context.id)
            if last is not None and await app.operations(last.seq, 1) != [last]:
                raise VerificationError(
                    f"The node's data is not what it was: operation {last.seq}, which is in the log, is"
                    " another now, or gone. The node was set back, or tampered with.",
                    hint="Restore the node's newest data. Nothing was anchored or issued.",
                )
            following = 0 if last is None else last.seq + 1
            while operations := await app.operations(following, _PAGE):
                if [operation.seq for operation in operations] != list(
                    range(following, following + len(operations))
                ):
                    raise VerificationError(f"The node's operations from {following} on are out of order.")
                self.journal.append(app.context.id, operations)
                following += len(operations)
                appended += len(operations)
                _log.info(
                    "Collected %d operations of context %s.",
                    len(operations),
                    app.context.id,
                    extra={"context": app.context.id, "operations": len(operations)},
                )
        return appended

    # --- 2. anchor ---

    async def anchor_log(self, done: BridgeStep) -> None:
        """Have the new root attested and anchored.

        Raises VerificationError if this log does not extend the chain's, or too few attestors signed;
        ContractError and NetworkError as sending does. Nothing is lost then: the next step tries again.
        """
        head = await self.anchor.head()
        self.journal.check_prefix(head.size, head.root)
        done.anchored = head.size
        size = min(len(self.journal.log), head.size + MOST_ENTRIES)
        if size == head.size:
            return
        request = await self.request(head, size)
        attestations = await self.attested(head, request)
        if len(attestations) < head.threshold:
            raise VerificationError(
                f"{len(attestations)} of the {head.threshold} attestations needed are here.",
                hint=f"Have other institutions attest {self._request_path(request)}.",
            )
        chosen = sorted(attestations, key=lambda attestation: attestation.node)[: head.threshold]
        sending = self.anchor.anchor(
            request.statement,
            self.journal.log.consistency_path(head.size, size),
            [attestation.node_signature for attestation in chosen],
        )
        try:
            result = await sending.send()
        except ContractError:
            # Another bridge of the same log may have been faster; a fork is found by the check.
            now = await self.anchor.head()
            self.journal.check_prefix(now.size, now.root)
            if now.size < size:
                raise
            done.anchored = now.size
            _log.info("Another bridge anchored size %d.", now.size, extra={"size": now.size})
            return
        done.anchored, done.transaction = size, result.hash
        _log.info(
            "Anchored size %d with transaction %#x.",
            size,
            result.hash,
            extra={
                "size": size,
                "root": hex(request.root),
                "transaction": hex(result.hash),
                "nodes": [attestation.node for attestation in chosen],
            },
        )
        self._request_path(request).unlink(missing_ok=True)

    async def request(self, head: AnchorHead, size: int) -> AttestationRequest:
        """The request for a root of that size, also kept as a file for attestors elsewhere.

        One that was made before for the same root is made again as it was: attestors may have signed it.
        """
        states = [(app.context.id, (await app.node.state(app.context.id)).root) for app in self.store.apps]
        request = AttestationRequest(
            chain=self.anchor.chain_id,
            anchor=self.anchor.address,
            epoch=head.epoch,
            previous_size=head.size,
            previous_root=head.root,
            peaks=self.journal.log.peaks(head.size),
            size=size,
            root=self.journal.log.root(size),
            state=state_digest(states),
            operations=list(self.journal.operations(head.size, size)),
        )
        path = self._request_path(request)
        with suppress(FileNotFoundError, ValueError):
            former = AttestationRequest.read(path.read_bytes(), "it")
            if former.model_copy(update={"state": request.state}) == request:
                return former
        replace(NewFile(path, request.canonical(), "The attestation request", private=True))
        _log.info(
            "Attestors are asked for size %d by %s.", size, path, extra={"size": size, "file": str(path)}
        )
        return request

    def _request_path(self, request: AttestationRequest) -> Path:
        return self.folder / "requests" / f"{request.epoch}-{request.size}.json"

    async def attested(self, head: AnchorHead, request: AttestationRequest) -> list[Attestation]:
        """The good attestations of a request: the own attestors', and those that lie in the folder."""
        found: dict[int, Attestation] = {}
        refusals: list[str] = []
        for path in sorted((self.folder / "attestations").glob("*.json")):
            with suppress(ValueError):
                attestation = Attestation.read(path.read_bytes(), "it")
                if await self._is_good(head, request, attestation):
                    found[attestation.node] = attestation
        for attestor in self.attestors:
            if len(found) >= head.threshold:
                break
            try:
                attestation = await attestor.attest(request)
            except MedSyncError as error:
                refusals.append(error.message)
                continue
            if await self._is_good(head, request, attestation):
                found[attestation.node] = attestation
        if len(found) < head.threshold and refusals:
            raise VerificationError(
                f"{len(found)} of the {head.threshold} attestations needed are here; refused:",
                findings=refusals,
            )
        for refusal in refusals:
            _log.warning("An attestor refused, others sufficed: %s", refusal)
        return list(found.values())

    async def _is_good(self, head: AnchorHead, request: AttestationRequest, attestation: Attestation) -> bool:
        """Whether the contract will take a signature. One bad signature would make it refuse them all."""
        same = ("chain", "anchor", "epoch", "size", "root")
        if any(getattr(attestation, name) != getattr(request, name) for name in same):
            return False
        if attestation.node >= head.nodes:
            return False
        node = await self.anchor.node(attestation.node)
        try:
            check_claim(attestation, request, node.identity)
        except (InvalidValue, VerificationError):
            return False
        return verify_node_signature(
            node,
            attestation.node_signature,
            self.anchor.address,
            head,
            request.statement,
            chain_id=request.chain,
        )

    # --- 3. issue ---

    async def issue(self, done: BridgeStep) -> None:
        """Look at every new log entry of the node's patients, and issue tickets for what is permitted."""
        client = self.anchor.client
        newest = await newest_block(client)
        for patient in sorted(self.vault.patients() & await self._patients_until(newest.number)):
            history = await fetch_log(client, self.contract, patient, from_block=self.first_block)
            processed = self.journal.processed(patient)
            digests = entry_digests(history.chain_id, history.contract, history.entries)
            for entry, digest in zip(history.entries, digests, strict=True):
                if not isinstance(entry, LogEntry):
                    continue
                former = processed.get(entry.seq)
                if former in FINAL:
                    continue
                judged = await self._judge(history, entry, digest, newest.timestamp)
                result = ProcessedEntry(patient, entry.seq, digest, judged.outcome, entry.at, judged.unopened)
                self.journal.add(result, judged.ticket)
                _log.log(
                    # One that waits is looked at again in every step.
                    logging.DEBUG if judged.outcome is former else logging.INFO,
                    "Entry %d in the log of %#x: %s.",
                    entry.seq,
                    patient,
                    judged.outcome,
                    extra={"patient": hex(patient), "seq": entry.seq, "outcome": str(judged.outcome)},
                )
                done.processed.append(result)
        self.journal.advance(newest.number)
        done.issued += self.deliver()

    async def _patients_until(self, block: int) -> set[int]:
        """The patients in whose logs there is something new, or something that waits.

        A node that hides events here only delays tickets: every log that is read is proven complete.
        """
        # The block that was looked at last may have been growing then.
        first = self.first_block if self.journal.block is None else self.journal.block
        keys = [[selector_of(LogEntry)]]
        events = await fetch_raw(self.anchor.client, self.contract, first, max(first, block), keys)
        return {event.keys[1] for event in events} | self.journal.waiting()

    async def _judge(
        self, history: History[AccessEvent], entry: LogEntry, digest: int, newest: int
    ) -> _Judgement:
        """What becomes of a log entry. The log it stands in was proven complete."""
        if entry.decision not in (Decision.PERMIT, Decision.EMERGENCY):
            return _Judgement(EntryOutcome.NOT_PERMITTED)
        if newest - entry.at > self.oldest_entry:
            return _Judgement(EntryOutcome.TOO_OLD)
        found = await self.store.find(entry.record) if entry.record else None
        if found is None:
            return _Judgement(EntryOutcome.NO_RECORD)
        if refused := _mismatch(found, entry):
            return _Judgement(refused)
        if entry.scoped and (terms := await self._terms(entry)) not in self._opened:
            return _Judgement(EntryOutcome.NO_OPENING, unopened=terms)
        card = await self._card(entry.accessor)
        if card is None:
            return _Judgement(EntryOutcome.WAITING)
        try:
            signed = await self._ticket(history, entry, digest, found, card)
        except UnknownRecord:
            # An erasure was interrupted: the key is the first that goes.
            return _Judgement(EntryOutcome.NOT_CURRENT)
        issued = IssuedTicket(
            digest, found.id, entry.accessor, signed.ticket.deadline, signed.canonical().decode()
        )
        return _Judgement(EntryOutcome.ISSUED, issued)

    async def _terms(self, entry: LogEntry) -> int:
        """The terms commitment of the consent that a log entry rests on, whatever became of it since.

        It is in no entry of the log, so the patient's consent history is fetched and proven complete.
        """
        consents = await fetch_consents(
            self.anchor.client, self.contract, entry.patient, from_block=self.first_block
        )
        decided = entry.accessor, entry.purpose, entry.study, entry.version
        for event in consents.entries:
            if isinstance(event, ConsentAdded) and decided == (
                event.grantee,
                event.purpose,
                event.study,
                event.version,
            ):
                return event.terms_commitment
        raise VerificationError(
            f"Entry {entry.seq} in the log of {entry.patient:#x} rests on version {entry.version} of a"
            " consent that is not in the patient's consent history.",
            hint="Ask another node.",
        )

    async def _card(self, accessor: int) -> KeyCard | None:
        """The accessor's key card that is good for longest, if a good one is in the folder."""
        good = []
        for path in sorted((self.folder / "cards").glob("*.json")):
            with suppress(InvalidValue, VerificationError):
                card = KeyCard.read(read_bytes(path, "The key card"), "The key card")
                if card.address == accessor:
                    await card.verify(self.anchor.client, chain=self.anchor.chain_id, now=int(self.clock()))
                    good.append(card)
        return max(good, key=lambda card: card.expires_at, default=None)

    async def _ticket(
        self, history: History[AccessEvent], entry: LogEntry, digest: int, found: Found, card: KeyCard
    ) -> SignedTicket:
        record = RecordVersion(found.id, found.version, found.commitment)
        wrapped = await found.app.keys(found.id)
        return SignedTicket.issue(
            self.key,
            chain=history.chain_id,
            contract=history.contract,
            context=found.app.context.id,
            entry=entry,
            digest=digest,
            record=record,
            card=card,
            data_key=self.vault.unwrap(record, wrapped.keys),
            now=int(self.clock()),
            life=self.ticket_life,
        )

    def deliver(self) -> list[Path]:
        """Write the files of tickets that are good and not there yet; remove those that have run out."""
        now = int(self.clock())
        folder = self.folder / "tickets"
        wanted = {f"{ticket.digest:#x}.json": ticket for ticket in self.journal.tickets(after=now)}
        for path in folder.glob("*.json"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)
                _log.info("Removed ticket %s, which has run out.", path, extra={"file": str(path)})
        written = []
        for name, ticket in wanted.items():
            path = folder / name
            if not path.exists():
                replace(NewFile(path, ticket.text.encode(), "The ticket", private=True))
                written.append(path)
                _log.info("Issued ticket %s.", path, extra={"file": str(path)})
        return written


@dataclass(frozen=True)
class _Judgement:
    """What becomes of a log entry."""

    outcome: EntryOutcome
    ticket: IssuedTicket | None = None
    #: Terms commitment whose opening is missing, if one is.
    unopened: int | None = None


def _mismatch(found: Found, entry: LogEntry) -> EntryOutcome | None:
    """What keeps a record from being what a log entry permitted."""
    if found.erased or not found.current:
        return EntryOutcome.NOT_CURRENT
    if found.patient != entry.patient:
        return EntryOutcome.WRONG_PATIENT
    if Category(found.categories) & ~entry.categories:
        return EntryOutcome.NOT_COVERED
    return None
