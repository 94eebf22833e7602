"""`medsync access`: asking for data, breaking the glass, and the log that tells of it."""

from __future__ import annotations

import csv as tables
import io
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from medsync.cli import campaigns, values
from medsync.cli.chain import ME
from medsync.cli.command import command
from medsync.cli.context import Context, paid
from medsync.cli.output import Answer, Hex, Time, members
from medsync.errors import ExitCode, InputError, VerificationError
from medsync.protocol.commitments import Domain
from medsync.protocol.events import (
    AccessEvent,
    DeletionStated,
    EmergencyContested,
    EmergencyJustified,
    LogEntry,
    event_name,
)
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

#: Seconds within which a hospital may justify an emergency access.
JUSTIFY_WITHIN: Final = 72 * 3_600


class Format(StrEnum):
    """What an export is written as."""

    JSON = "json"
    CSV = "csv"
    FHIR = "fhir"
    RECEIPT = "receipt"


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
    subjects = []
    for number, (patient, record) in enumerate(_rows(file), 1):
        try:
            owner = await context.address(patient, "patient")
            subjects.append(Subject(owner, context.files.commit(record, "record", Domain.RECORD)))
        except InputError as error:
            raise InputError(f"FILE: request {number} of {file}: {error.message}", hint=error.hint) from None
    patients = [subject.patient for subject in subjects]
    if dry_run:
        grantee = medsync.account.address
        verdicts = await medsync.verify_consents(patients, grantee, why, which, what, paying)
        if any(verdict.decision is not Decision.PERMIT for verdict in verdicts):
            context.exit_code = ExitCode.NOT_PERMITTED
        return [
            {"patient": Hex(patient), **members(verdict), "meaning": verdict.reason.meaning}
            for patient, verdict in zip(patients, verdicts, strict=True)
        ]
    result = await context.send(medsync.request_access_batch(why, which, what, subjects, paying))
    return {"requests": _answer(context, patients, result.value[0]), **paid(result)}


def _rows(file: Path) -> list[tuple[str, str]]:
    """Patients and records in a file, as they are written there."""
    text = read_text(file, "FILE:")
    entries: Any
    if text.lstrip().startswith("["):
        entries = values.read_json(file, "FILE")
    else:
        entries = list(tables.DictReader(io.StringIO(text), restkey="more"))
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
        rows.append((entry["patient"].strip(), record.strip()))
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
) -> Answer:
    """Contest a hospital's emergency access, once and without a deadline. For the patient."""
    medsync = await context.medsync(signing=True)
    who = await context.address(hospital, "HOSPITAL")
    result = await context.send(medsync.contest_emergency(who, entry))
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
        raise InputError("--statement cannot be 0x0: a statement that says nothing is none.")
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

    Proven is that every entry is included and that the log is append-only up to its head as of the block that
    is named. Requests, justifications, contests and statements of deletion are all entries. Exit code 7 if the
    node hides an entry.
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

    Taken from the log, proven complete. One without a justification after 72 hours is overdue: nobody can
    justify it any more. Contest it with access contest.
    """
    history = (await context.history(await context.address(patient, "PATIENT"))).accesses
    justified = {entry.emergency for entry in history.entries if isinstance(entry, EmergencyJustified)}
    contested = {entry.emergency for entry in history.entries if isinstance(entry, EmergencyContested)}
    now = await context.now()
    return [
        {
            "entry": entry.seq,
            "at": Time(entry.at),
            "hospital": Hex(entry.accessor),
            "categories": entry.categories,
            "record": Hex(entry.record),
            "justified": entry.seq in justified,
            "justify_until": Time(entry.at + JUSTIFY_WITHIN),
            "overdue": entry.seq not in justified and now > entry.at + JUSTIFY_WITHIN,
            "contested": entry.seq in contested,
        }
        for entry in history.entries
        if isinstance(entry, LogEntry) and entry.decision is Decision.EMERGENCY
    ]


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
