"""`medsync access`: asking for data, breaking the glass, and the log that tells of it."""

from __future__ import annotations

import csv as tables
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from medsync.cli import campaigns, relaying, values
from medsync.cli.chain import ME
from medsync.cli.command import command
from medsync.cli.context import Context, paid
from medsync.cli.output import Answer, Hex, Time, members
from medsync.errors import ExitCode, InputError, VerificationError
from medsync.log.completeness import history_faults
from medsync.log.exports import csv as csv_export
from medsync.log.exports import json as json_export
from medsync.log.exports.receipt import consent_receipt
from medsync.log.fetch import block_header, fetch_agreed_heads
from medsync.log.histories import BlockHeader, PatientHistory
from medsync.log.replay import JUSTIFY_WITHIN, replay_patient
from medsync.protocol.chains import Chain, ChainEvent, subject_of
from medsync.protocol.commitments import Domain
from medsync.protocol.events import (
    AccessEvent,
    ConsentAdded,
    DeletionStated,
    EmergencyJustified,
    event_name,
)
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import AccessReceipt, AccessRequest, Subject
from medsync.protocol.vocabulary import Decision
from medsync.storage.files import read_text

app = typer.Typer(no_args_is_help=True, help="Ask for access, and read, take home and verify the log of it.")

Record = Annotated[str, typer.Option("--record", help="The record asked for. " + values.COMMITMENT_HELP)]
CampaignText = Annotated[
    str,
    typer.Option(
        "--campaign", help="Campaign that pays, if the consent asks for pay: its id, or a file of its terms."
    ),
]
Statement = Annotated[
    str,
    typer.Option("--statement", help="The signed statement. " + values.COMMITMENT_HELP),
]
Entry = Annotated[int, typer.Argument(help="Number of the entry in the patient's log.", min=1, max=2**32 - 1)]

#: Most requests of one transaction.
MAX_BATCH: Final = 100


class Format(StrEnum):
    """What an export is written as."""

    JSON = "json"
    CSV = "csv"
    FHIR = "fhir"
    RECEIPT = "receipt"


class HistoryName(StrEnum):
    """One of the histories that are proven."""

    ACCESSES = "accesses"
    CONSENTS = "consents"
    REGISTRY = "registry"


#: What a proof against heads on the chain shows.
_PROVEN: Final = ("included", "append-only")


@command(app, "request")
async def request(
    context: Context,
    patient: values.PatientText,
    purpose: values.PurposeText,
    categories: values.CategoriesText,
    record: Record = "0x0",
    study: values.StudyText = "0x0",
    campaign: CampaignText = "0x0",
) -> Answer:
    """Ask for a patient's data; the answer is logged, whatever it is.

    A consent for a study is asked for with exactly that study, one that insists on pay with its campaign.
    Exit code 9 if it is not permitted.

    Example: medsync access request devnet:5 --account devnet:2 --purpose HRESCH --categories LABORATORY
    --record labs.json
    """
    medsync = await context.medsync(signing=True)
    wanted = AccessRequest(
        patient=await context.address(patient, "PATIENT"),
        purpose=values.purpose(purpose),
        study=values.study(study),
        categories=values.categories(categories),
        record=context.files.commit(record, "--record", Domain.RECORD),
        campaign=campaigns.read_id(campaign, "--campaign"),
    )
    result = await context.send(medsync.request_access(wanted))
    return {**_answer(context, [wanted.patient], [result.value[0]])[0], **paid(result)}


@command(app, "batch")
async def batch(
    context: Context,
    file: Annotated[
        Path,
        typer.Argument(
            help="Who is asked for: CSV with the columns patient and record, or a JSON list of {patient, "
            "record}. Without a record, for no record in particular."
        ),
    ],
    purpose: values.PurposeText,
    categories: values.CategoriesText,
    study: values.StudyText = "0x0",
    campaign: CampaignText = "0x0",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only judge each consent; nothing is sent or logged.")
    ] = False,
) -> Answer:
    """Ask for up to 100 patients' data in one transaction, each with its own answer.

    Purpose, study, categories and campaign are the same for all. Exit code 9 unless all are permitted. A dry
    run does not tell whether the campaign's budget is enough.

    Example: medsync access batch cohort.csv --purpose HRESCH --categories LABORATORY --study study.json
    """
    medsync = await context.medsync(signing=True)
    why, which, what = values.purpose(purpose), values.study(study), values.categories(categories)
    paying = campaigns.read_id(campaign, "--campaign")
    patients, records = [], []
    for number, (patient, record) in enumerate(_rows(file), 1):
        try:
            patients.append(await context.address(patient, "patient"))
            # What is only judged needs no commitment to a record.
            records.append(0 if dry_run else context.files.commit(record, "record", Domain.RECORD))
        except InputError as error:
            raise InputError(f"FILE: request {number} of {file}: {error.message}", hint=error.hint) from None
    if dry_run:
        grantee = medsync.account.address
        verdicts = await medsync.verify_consents(patients, grantee, why, which, what, paying)
        if any(verdict.decision is not Decision.PERMIT for verdict in verdicts):
            context.exit_code = ExitCode.NOT_PERMITTED
        return [
            {"patient": Hex(patient), **members(verdict), "meaning": verdict.reason.meaning}
            for patient, verdict in zip(patients, verdicts, strict=True)
        ]
    subjects = list(map(Subject, patients, records))
    result = await context.send(medsync.request_access_batch(why, which, what, subjects, paying))
    return {"requests": _answer(context, patients, result.value[0]), **paid(result)}


def _rows(file: Path) -> list[tuple[str, str]]:
    """Patients and records in a file, as they are written there."""
    text = read_text(file, "FILE:")
    entries: Any
    if text.lstrip().startswith("["):
        entries = values.read_json(file, "FILE")
    else:
        table = tables.DictReader(io.StringIO(text), restkey="more", skipinitialspace=True)
        try:
            entries = list(table)
        except tables.Error as error:
            raise InputError(
                f"FILE: {file} is not a CSV that can be read: {error}.",
                hint="The columns of a CSV are patient and record.",
            ) from None
    rows = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not {"patient"} <= entry.keys() <= {"patient", "record"}:
            raise InputError(
                f"FILE: request {number} of {file} is not a patient and a record.",
                hint="The columns of a CSV are patient and record, and a JSON list has {patient, record}.",
            )
        record = entry.get("record") or "0x0"
        if not (isinstance(entry["patient"], str) and isinstance(record, str)):
            raise InputError(f"FILE: request {number} of {file}: patient and record must be text.")
        rows.append((entry["patient"], record))
    if not 1 <= len(rows) <= MAX_BATCH:
        raise InputError(
            f"FILE: {file} holds {len(rows)} requests; one transaction takes 1 to {MAX_BATCH}.",
            hint="Split the file." if rows else "The first line of a CSV names its columns.",
        )
    return rows


@command(app, "emergency")
async def emergency(
    context: Context,
    patient: values.PatientText,
    categories: values.CategoriesText,
    record: Record = "0x0",
) -> Answer:
    """Break the glass: access without consent, flagged in the log. For hospitals.

    Justify it within 72 hours: see access justify. Exit code 9 if it is refused, as to others, to hospitals
    that were registered or reinstated less than 48 hours ago, and where the patient's choice forbids it.
    """
    medsync = await context.medsync(signing=True)
    who = await context.address(patient, "PATIENT")
    what = values.categories(categories)
    wanted = context.files.commit(record, "--record", Domain.RECORD)
    result = await context.send(medsync.request_emergency_access(who, what, wanted))
    answer = _answer(context, [who], [result.value[0]])[0]
    if result.value[0].decision is Decision.EMERGENCY:
        broken = await medsync.emergency(who, result.value[0].seq, medsync.account.address)
        answer["justify_until"] = Time(broken.at + JUSTIFY_WITHIN)
    return {**answer, **paid(result)}


@command(app, "justify")
async def justify(
    context: Context, patient: values.PatientText, entry: Entry, statement: Statement
) -> Answer:
    """Justify an emergency access within 72 hours, by a signed statement. For the hospital that broke in.

    Only its salted hash is logged. Hand the opening to the patient, who can check it: see access statement.
    """
    medsync = await context.medsync(signing=True)
    who = await context.address(patient, "PATIENT")
    committed = _stated(context, statement, Domain.JUSTIFICATION)
    result = await context.send(medsync.justify_emergency(who, entry, committed))
    return {"patient": Hex(who), "emergency": entry, "statement": Hex(committed), **paid(result)}


@command(app, "contest")
async def contest(
    context: Context,
    hospital: Annotated[str, typer.Argument(help="The hospital's address: " + values.ADDRESS_HELP)],
    entry: Entry,
    sign: relaying.Sign = None,
) -> Answer:
    """Contest a hospital's emergency access, once and without a deadline. For the patient."""
    medsync = await context.medsync(signing=True)
    who = await context.address(hospital, "HOSPITAL")
    act = medsync.contest_emergency(who, entry)
    if sign is not None:
        return await relaying.signed(context, sign, act)
    result = await context.send(act)
    return {"hospital": Hex(who), "emergency": entry, "contested": True, **paid(result)}


@command(app, "deletion")
async def deletion(
    context: Context,
    patient: values.PatientText,
    purpose: values.PurposeText,
    statement: Statement,
    study: values.StudyText = "0x0",
) -> Answer:
    """State what you deleted after a consent ended. For the entity that it was given to.

    Only the salted hash of the signed statement is logged: it is a statement, not a proof.
    """
    medsync = await context.medsync(signing=True)
    who, why, which = (
        await context.address(patient, "PATIENT"),
        values.purpose(purpose),
        values.study(study),
    )
    committed = _stated(context, statement, Domain.DELETION)
    result = await context.send(medsync.state_deletion(who, why, which, committed))
    return {
        "patient": Hex(who),
        "purpose": why,
        "study": Hex(which),
        "statement": Hex(committed),
        **paid(result),
    }


def _stated(context: Context, statement: str, domain: Domain) -> int:
    committed = context.files.commit(statement, "--statement", domain)
    if committed == 0:
        raise InputError("--statement cannot be 0x0: name the statement.")
    return committed


@command(app, "statement")
async def statement(
    context: Context,
    file: Annotated[Path, typer.Argument(help="An opening that a hospital or a grantee handed over.")],
    patient: values.PatientText = ME,
) -> Answer:
    """Check that a statement is the one that the log of a patient names, by default one's own.

    Exit code 7 if the opening does not fit, or if the log, proven complete, names no such statement.
    """
    owner = await context.address(patient, "PATIENT")
    opening = values.read_any_opening(file, "FILE", (Domain.JUSTIFICATION, Domain.DELETION))
    for entry in (await context.history(owner)).accesses.entries:
        if (
            isinstance(entry, EmergencyJustified | DeletionStated)
            and entry.statement == opening.commitment
            and isinstance(entry, EmergencyJustified) == (opening.domain is Domain.JUSTIFICATION)
        ):
            return {"patient": Hex(owner), **_row(entry), "opens": True}
    raise VerificationError(
        f"The log of {owner:#x} names no such {opening.domain.name.lower()}: {opening.commitment:#x}."
    )


@command(app, "log")
async def log(context: Context, patient: values.PatientText = ME) -> Answer:
    """Show a patient's access log, by default one's own, proven complete against the chain.

    Proven is that every entry is included and that the log is append-only up to its head, as of the block
    that is named. Requests, justifications, contests and statements of deletion are entries. Exit code 7 if
    the node hides one.
    """
    history = (await context.history(await context.address(patient, "PATIENT"))).accesses
    context.say(
        f"Complete as of block {history.block.number}: the log of length {history.head.count} leads to the "
        f"head {history.head.head:#x} on the chain."
    )
    return [_row(entry) for entry in history.entries]


_COLUMNS: Final = (
    *("accessor", "purpose", "study", "categories", "decision", "reason", "version", "scoped"),
    *("record", "campaign", "emergency", "statement", "registration"),
)


def _row(entry: AccessEvent) -> dict[str, Any]:
    """An entry of a log as commands answer it: all kinds have the same columns."""
    shown = members(entry)
    columns = {name: shown.get(name) for name in _COLUMNS}
    return {"seq": entry.seq, "at": Time(entry.at), "event": event_name(entry), **columns}


@command(app, "emergencies")
async def emergencies(context: Context, patient: values.PatientText = ME) -> Answer:
    """List the emergency accesses to a patient's data, by default one's own, and what became of each.

    Taken from the log, proven complete as of the block that is named. One without a justification 72 hours
    later, by that block's time, is overdue: nobody can justify it any more. Contest it with access contest.
    """
    history = await context.history(await context.address(patient, "PATIENT"))
    block = history.block
    context.say(f"Complete as of block {block.number}.")
    return [
        {
            "entry": found.access.seq,
            "at": Time(found.access.at),
            "hospital": Hex(found.access.accessor),
            "categories": found.access.categories,
            "record": Hex(found.access.record),
            "justified": found.justified is not None,
            "justify_until": Time(found.access.at + JUSTIFY_WITHIN),
            "overdue": found.overdue(block.timestamp),
            "contested": found.contested is not None,
            "block": block.number,
            "block_at": Time(block.timestamp),
        }
        for found in replay_patient(history).emergencies(history.patient)
    ]


@command(app, "export")
async def export(
    context: Context,
    output: Annotated[Path, typer.Option("--output", help="New file to write.")],
    patient: values.PatientText = ME,
    format: Annotated[
        Format, typer.Option("--format", help="What to write; receipts are one per consent.")
    ] = Format.JSON,
    history: Annotated[
        HistoryName, typer.Option("--history", help="Which history a csv holds; json and fhir hold all.")
    ] = HistoryName.ACCESSES,
) -> Answer:
    """Write a patient's proven histories to a file, by default one's own: consents, accesses, registry.

    json and csv carry them so that access verify can check them; fhir is an R5 bundle of Consent and
    AuditEvent; receipt is a list of consent receipts after ISO/IEC TS 27560. Exit code 7 if the node hides an
    entry of one of the histories.
    """
    taken = await context.history(await context.address(patient, "PATIENT"))
    context.files.add(output, _written(taken, format, history), "--output", private=True)
    context.files.write()
    return {
        "patient": Hex(taken.patient),
        **_standing(taken),
        "format": format.value,
        "file": str(output),
    }


def _standing(taken: PatientHistory) -> dict[str, Any]:
    """What histories are complete as of, and how long they are."""
    return {
        "block": taken.block.number,
        "block_at": Time(taken.block.timestamp),
        "entries": taken.accesses.head.count,
        "head": Hex(taken.accesses.head.head),
        "consent_entries": taken.consents.head.count,
        "registry_entries": taken.registry.head.count,
    }


@command(app, "verify")
async def verify(
    context: Context,
    file: Annotated[Path, typer.Argument(help="A json or csv that access export wrote.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Only check that the file agrees with itself.")
    ] = False,
) -> Answer:
    """Check that a file holds whole histories: nothing missing, altered, reordered or invented.

    A json file's block must be on the chain, and what was written after it must lead from the file's heads to
    those that the contract keeps now; the answer says how much that is. A csv holds no block: it must be
    whole as of now. Offline, the file's own heads are used, which its author chose. The answer says for every
    field whether the proof covers it. Exit code 7 if anything is wrong.
    """
    text = read_text(file, "FILE:")
    if not text.lstrip().startswith("{"):
        if offline:
            raise InputError("A csv holds no head of the history.", hint="Verify it without --offline.")
        return await _verify_csv(context, file, text)
    with _reading(file):
        stated = json_export.verify_export(text).history
    since = None
    if not offline:
        await _assert_of(context, stated.chain_id, stated.contract)
        await _assert_block(context, stated.block)
        since = await context.history(stated.patient, stated.checkpoints)
    return {
        "patient": Hex(stated.patient),
        **_standing(stated),
        "complete": True,
        "proven": [] if since is None else list(_PROVEN),
        "against": "the heads in the file, which its writer chose"
        if since is None
        else f"the heads on the chain as of block {since.block.number}",
        "written_since": None
        if since is None
        else {
            "accesses": len(since.accesses.entries),
            "consents": len(since.consents.entries),
            "registry": len(since.registry.entries),
        },
        **_coverage(stated.entries),
    }


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Say which file it is that cannot be understood."""
    try:
        yield
    except InvalidValue as error:
        raise InputError(
            f"FILE: {file} holds no history that can be verified: {error}.",
            hint="Only what access export writes as json or csv does.",
        ) from None


async def _verify_csv(context: Context, file: Path, text: str) -> Answer:
    heading = text.partition("\n")[0].rstrip("\r")
    headings = {csv_export.dumps(chain, ()).rstrip(): chain for chain in Chain}
    # One that none of them is, is reported as that of a log.
    chain = headings.get(heading, Chain.ACCESSES)
    with _reading(file):
        entries = csv_export.loads(chain, text)
    if not entries:
        raise InputError(f"FILE: {file} holds no entry, so it says nothing of whose history it is.")
    subject = subject_of(entries[0])
    record, connection = await context.record(), await context.connection()
    heads = await fetch_agreed_heads(
        connection.nodes, record.medsync, subject, from_block=record.first_block, chains=[chain]
    )
    history = heads.history(chain, entries)
    if faults := history_faults(history):
        raise VerificationError(
            f"This is not the whole history as of block {history.block.number}:",
            findings=[str(fault) for fault in faults],
        )
    return {
        "patient": Hex(subject) if subject else None,
        "history": chain.name.lower(),
        "block": history.block.number,
        "block_at": Time(history.block.timestamp),
        "entries": history.head.count,
        "head": Hex(history.head.head),
        "complete": True,
        "proven": list(_PROVEN),
        "against": "the head on the chain",
        **_coverage(entries),
    }


def _coverage(entries: Iterable[ChainEvent]) -> dict[str, Any]:
    """Which fields of these entries the proof covers, and how to check what it does not."""
    covered, kinds = json_export.coverage(), dict.fromkeys(map(event_name, entries))
    return {
        "covered": [{"entry": name, "fields": covered["proven"][name]} for name in kinds],
        "not_covered": [{"what": name, "how": how} for name, how in covered["not_proven"].items()],
    }


async def _assert_of(context: Context, chain_id: int, contract: int) -> None:
    """Raise VerificationError unless a file is of the deployment that is meant."""
    record, connection = await context.record(), await context.connection()
    if (contract, chain_id) != (record.medsync, connection.chain_id):
        raise VerificationError(
            f"The file is of the contract {contract:#x}, which is not in the deployment that is meant.",
            hint="Choose its --deployment and --network.",
        )


async def _assert_block(context: Context, block: BlockHeader) -> None:
    """Raise VerificationError unless a block is on the chain as it is stated."""
    for node in (await context.connection()).nodes:
        found = await block_header(node, block.number)
        if found != block:
            raise VerificationError(
                f"The file states another block {block.number} than the chain has:",
                findings=[
                    f"the chain has {found.hash:#x} of the time {found.timestamp}, "
                    f"the file {block.hash:#x} of the time {block.timestamp}"
                ],
                hint="The chain was reorganised since, or the file is of another one.",
            )


def _written(taken: PatientHistory, format: Format, history: HistoryName) -> str:
    if format is Format.JSON:
        return json_export.dumps(taken)
    if format is Format.CSV:
        chosen = {
            HistoryName.ACCESSES: taken.accesses,
            HistoryName.CONSENTS: taken.consents,
            HistoryName.REGISTRY: taken.registry,
        }[history]
        return csv_export.dumps(chosen.chain, chosen.entries)
    if format is Format.FHIR:
        from medsync.log.exports import fhir

        return fhir.dumps(taken, taken.block.timestamp)
    return _receipts(taken)


def _receipts(taken: PatientHistory) -> str:
    given = dict.fromkeys(
        (event.grantee, event.purpose, event.study)
        for event in taken.consents.entries
        if isinstance(event, ConsentAdded)
    )
    receipts = [consent_receipt(taken, *key) for key in given]
    return json.dumps(receipts, indent=2, ensure_ascii=False) + "\n"


def _answer(
    context: Context, patients: Sequence[int], receipts: Sequence[AccessReceipt]
) -> list[dict[str, Any]]:
    """Receipts as commands answer them; the command ends with NOT_PERMITTED unless all are permitted."""
    for receipt in receipts:
        if receipt.decision not in (Decision.PERMIT, Decision.EMERGENCY):
            context.exit_code = ExitCode.NOT_PERMITTED
    return [
        {"patient": Hex(patient), **members(receipt), "meaning": receipt.reason.meaning}
        for patient, receipt in zip(patients, receipts, strict=True)
    ]
