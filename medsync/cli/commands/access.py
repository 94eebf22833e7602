"""`medsync access`: asking for data, breaking the glass, and the log that tells of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from medsync.cli import campaigns, values
from medsync.cli.chain import ME
from medsync.cli.command import command
from medsync.cli.context import Context, paid
from medsync.cli.output import Answer, Hex, members
from medsync.errors import ExitCode, InputError, VerificationError
from medsync.log.completeness import log_faults
from medsync.log.exports import PatientExport, csv
from medsync.log.exports import json as json_export
from medsync.log.exports.receipt import consent_receipt
from medsync.protocol.commitments import Domain
from medsync.protocol.events import ConsentAdded
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import AccessReceipt, AccessRequest, LogHead
from medsync.protocol.vocabulary import Decision
from medsync.storage.files import read_text

app = typer.Typer(no_args_is_help=True, help="Ask for access, and read, take home and verify the log of it.")

Record = Annotated[str, typer.Option("--record", help="The record asked for. " + values.COMMITMENT_HELP)]


#: Members of a request in a batch that are texts and must be there.
_TEXTS = ("patient", "purpose", "record")


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
    record: Record,
    campaign: Annotated[
        Path | None, typer.Option("--campaign", help="Campaign terms that pay, if the consent asks for pay.")
    ] = None,
) -> Answer:
    """Ask for a patient's data; the answer is logged, whatever it is.

    Exit code 9 if it is not permitted. Example: medsync access request devnet:5 --account devnet:2
    --purpose HRESCH --categories LABORATORY --record labs.json
    """
    medsync = await context.medsync(signing=True)
    wanted = await _request(context, patient, purpose, categories, record, campaign)
    result = await context.send(medsync.request_access(wanted))
    return {**_answer(context, [wanted.patient], [result.value[0]])[0], **paid(result)}


@command(app, "batch")
async def batch(
    context: Context,
    file: Annotated[
        Path, typer.Argument(help="JSON: a list of {patient, purpose, categories, record, campaign}.")
    ],
) -> Answer:
    """Ask for up to 100 patients' data in one transaction, each with its own answer.

    In the file, categories are a list of names and campaign is a path of terms, or absent. Exit code 9 unless
    all are permitted.
    """
    medsync = await context.medsync(signing=True)
    wanted = []
    for number, entry in enumerate(_entries(file), 1):
        patient, purpose, record = entry["patient"], entry["purpose"], entry["record"]
        categories = ",".join(entry["categories"])
        campaign = Path(entry["campaign"]) if entry.get("campaign") else None
        try:
            wanted.append(await _request(context, patient, purpose, categories, record, campaign))
        except InputError as error:
            raise InputError(f"FILE: request {number} of {file}: {error.message}", hint=error.hint) from None
    result = await context.send(medsync.request_access_batch(wanted))
    return {
        "requests": _answer(context, [request.patient for request in wanted], result.value[0]),
        **paid(result),
    }


def _entries(file: Path) -> list[dict[str, Any]]:
    """The requests in a file, each with members of the right kinds and no others."""
    entries = values.read_json(file, "FILE")
    if not isinstance(entries, list):
        raise InputError(f"FILE: {file} is not a list of requests.")
    for number, entry in enumerate(entries, 1):
        if not (
            isinstance(entry, dict)
            and {"categories", *_TEXTS} <= entry.keys() <= {"categories", "campaign", *_TEXTS}
            and all(isinstance(entry[name], str) for name in _TEXTS)
            and isinstance(entry["categories"], list)
            and all(isinstance(name, str) for name in entry["categories"])
            and isinstance(entry.get("campaign"), str | None)
        ):
            what = "{patient, purpose, categories: [...], record, campaign}"
            raise InputError(f"FILE: request {number} of {file} is not {what}.")
    return entries


@command(app, "emergency")
async def emergency(
    context: Context,
    patient: values.PatientText,
    categories: values.CategoriesText,
    record: Record,
    justification: Annotated[str, typer.Option(help="Why the glass is broken. " + values.COMMITMENT_HELP)],
) -> Answer:
    """Break the glass: access without consent, flagged in the log. For hospitals.

    Exit code 9 if it is refused, as to others, or where the patient opted out.
    """
    medsync = await context.medsync(signing=True)
    who = await context.address(patient, "PATIENT")
    what = values.categories(categories)
    wanted = context.files.commit(record, "--record", Domain.RECORD)
    why = context.files.commit(justification, "--justification", Domain.JUSTIFICATION)
    result = await context.send(medsync.request_emergency_access(who, what, wanted, why))
    return {**_answer(context, [who], [result.value[0]])[0], **paid(result)}


@command(app, "log")
async def log(context: Context, patient: values.PatientText = ME) -> Answer:
    """Show a patient's access log, by default one's own, proven complete against the chain.

    Proven is that every entry is included and that the log is append-only up to its head on the chain.
    """
    export = await _fetch(context, patient)
    context.say(
        f"Complete: the log of length {export.head.count} leads to the head {export.head.head:#x} on the "
        "chain."
    )
    return [
        {
            "seq": entry.seq,
            "at": shown["at"],
            **{name: shown[name] for name in ("accessor", "purpose", "categories", "decision", "reason")},
            **{name: shown[name] for name in ("version", "record", "campaign", "justification")},
        }
        for entry in export.entries
        for shown in [members(entry)]
    ]


@command(app, "export")
async def export(
    context: Context,
    output: Annotated[Path, typer.Option("--output", help="New file to write.")],
    patient: values.PatientText = ME,
    format: Annotated[
        Format, typer.Option("--format", help="What to write; receipts are one per consent.")
    ] = Format.JSON,
) -> Answer:
    """Write a patient's consents and access log to a file, by default one's own.

    json and csv carry the log so that access verify can check it; fhir is an R5 bundle of Consent and
    AuditEvent; receipt is a list of consent receipts after ISO/IEC TS 27560.
    """
    taken = await _fetch(context, patient)
    context.files.add(output, _written(taken, format), "--output", private=True)
    context.files.write()
    return {
        "patient": Hex(taken.patient),
        "entries": taken.head.count,
        "head": Hex(taken.head.head),
        "format": format.value,
        "file": str(output),
    }


@command(app, "verify")
async def verify(
    context: Context,
    file: Annotated[Path, typer.Argument(help="A json or csv that access export wrote.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Only check that the file agrees with itself.")
    ] = False,
) -> Answer:
    """Check that a file holds a patient's whole access log: nothing missing, altered, reordered or invented.

    The head of the log is read from the chain. Offline, a json file's own head is used, which the author of
    the file chose. The consents in it are not covered. Exit code 7 if anything is wrong.
    """
    text = read_text(file, "FILE:")
    if not text.lstrip().startswith("{"):
        if offline:
            raise InputError("A csv holds no head of the log.", hint="Verify it without --offline.")
        return await _verify_csv(context, file, text)
    with _reading(file):
        stated = json_export.loads(text)
    head = None if offline else await _head(context, stated.chain_id, stated.contract, stated.patient)
    verified = json_export.verify_export(text, head)
    return _verified(stated.patient, verified.export.head, anchored=verified.anchored)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Say which file it is that cannot be understood."""
    try:
        yield
    except InvalidValue as error:
        raise InputError(
            f"FILE: {file} holds no log that can be verified: {error}.",
            hint="Only what access export writes as json or csv does.",
        ) from None


async def _verify_csv(context: Context, file: Path, text: str) -> Answer:
    with _reading(file):
        entries = csv.loads_log(text)
    if not entries:
        raise InputError(f"FILE: {file} holds no entry, so it says nothing of whose log it is.")
    record, connection = await context.record(), await context.connection()
    patient = entries[0].patient
    head = await _head(context, connection.chain_id, record.medsync, patient)
    faults = log_faults(connection.chain_id, record.medsync, patient, entries, head)
    if faults:
        raise VerificationError(
            "This is not the patient's whole log:", findings=[str(fault) for fault in faults]
        )
    return _verified(patient, head, anchored=True)


def _verified(patient: int, head: LogHead, *, anchored: bool) -> dict[str, Any]:
    return {
        "patient": Hex(patient),
        "entries": head.count,
        "head": Hex(head.head),
        "complete": True,
        "proven": ["included", "append-only"] if anchored else [],
        "against": "the head on the chain" if anchored else "the head in the file, which its writer chose",
    }


async def _head(context: Context, chain_id: int, contract: int, patient: int) -> LogHead:
    """The log's head from the chain, if the log is of the deployment that is meant."""
    medsync = await context.medsync()
    if (contract, chain_id) != (medsync.address, (await context.connection()).chain_id):
        raise VerificationError(
            f"The file is a log of the contract {contract:#x}, which is not in the deployment that is meant.",
            hint="Choose its --deployment and --network.",
        )
    return await medsync.log_head(patient)


async def _request(
    context: Context, patient: str, purpose: str, categories: str, record: str, campaign: Path | None
) -> AccessRequest:
    return AccessRequest(
        patient=await context.address(patient, "PATIENT"),
        purpose=values.purpose(purpose),
        categories=values.categories(categories),
        record=context.files.commit(record, "--record", Domain.RECORD),
        campaign=campaigns.read(campaign, "--campaign") if campaign else None,
    )


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


async def _fetch(context: Context, patient: str) -> PatientExport:
    return await context.history(await context.address(patient, "PATIENT"))


def _written(taken: PatientExport, format: Format) -> str:
    if format is Format.JSON:
        return json_export.dumps(taken)
    if format is Format.CSV:
        return csv.dumps_log(taken.entries)
    if format is Format.FHIR:
        from medsync.log.exports import fhir

        return fhir.dumps(taken, int(time.time()))
    return _receipts(taken)


def _receipts(taken: PatientExport) -> str:
    given = dict.fromkeys(
        (event.grantee, event.purpose) for event in taken.consents if isinstance(event, ConsentAdded)
    )
    receipts = [consent_receipt(taken, grantee, purpose) for grantee, purpose in given]
    return json.dumps(receipts, indent=2, ensure_ascii=False) + "\n"
