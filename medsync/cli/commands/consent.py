"""`medsync consent`: giving, asking for, refusing, revoking and judging consents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from medsync.cli import campaigns, values
from medsync.cli.chain import ME
from medsync.cli.command import command
from medsync.cli.context import Context, paid
from medsync.cli.output import Answer, Hex, Time, members
from medsync.errors import ExitCode, InputError, VerificationError
from medsync.protocol.commitments import Domain
from medsync.protocol.events import ConsentAdded
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import ConsentTerms
from medsync.protocol.vocabulary import Decision
from medsync.starknet.clients import MedSyncClient, RewardPoolClient
from medsync.starknet.signing import SignedConsent, SignedRevocation, signed_from_json
from medsync.starknet.transactions import Invocation, TransactionResult

P = ParamSpec("P")

app = typer.Typer(no_args_is_help=True, help="Give, ask for, refuse, revoke and judge consents.")

Grantee = Annotated[str, typer.Argument(help="The grantee's address: " + values.ADDRESS_HELP)]
For = Annotated[
    str | None, typer.Option("--for", help="Act as a delegate of this patient.", metavar="PATIENT")
]
Expires = Annotated[str, typer.Option("--expires", help="When it ends. " + values.TIME_HELP)]
Starts = Annotated[str, typer.Option("--starts", help="When it begins. " + values.TIME_HELP)]
MaxUses = Annotated[
    int,
    typer.Option("--max-uses", help="How many accesses it allows; 0 sets no limit.", min=0, max=2**32 - 1),
]
Reward = Annotated[
    Path | None,
    typer.Option("--reward", help="Campaign terms, made by pool fund, that must pay each access."),
]
AnyPool = Annotated[
    bool,
    typer.Option("--any-pool", help="Agree to a pool of another class than the published RewardPool."),
]
Agreed = Annotated[str, typer.Option("--terms", help="What is agreed off-chain. " + values.COMMITMENT_HELP)]


@command(app, "add")
async def add(
    context: Context,
    grantee: Grantee,
    purpose: values.PurposeText,
    categories: values.CategoriesText,
    expires: Expires,
    starts: Starts = "now",
    max_uses: MaxUses = 0,
    reward: Reward = None,
    terms: Agreed = "0x0",
    any_pool: AnyPool = False,
    patient: For = None,
) -> Answer:
    """Give a consent, or renew one. For the patient, or a delegate of the patient.

    Example: medsync consent add devnet:2 --purpose HRESCH --categories LABORATORY,CONDITION --expires +30d
    """
    medsync = await context.medsync(signing=True)
    who = await context.address(grantee, "GRANTEE")
    what = await _terms(context, purpose, categories, starts, expires, max_uses, reward, terms)
    await _assert_published(medsync, what, any_pool)
    owner, result = await _act(context, patient, medsync.add_consent, medsync.add_consent_for, who, what)
    return {
        "patient": Hex(owner),
        "grantee": Hex(who),
        "version": result.value[0],
        **_shown(what),
        **paid(result),
    }


@command(app, "revoke")
async def revoke(
    context: Context, grantee: Grantee, purpose: values.PurposeText, patient: For = None
) -> Answer:
    """Revoke a consent, whatever its state. For the patient, or a delegate of the patient."""
    medsync = await context.medsync(signing=True)
    who, why = await context.address(grantee, "GRANTEE"), values.purpose(purpose)
    owner, result = await _act(context, patient, medsync.revoke_consent, medsync.revoke_consent_for, who, why)
    consent = await medsync.consent(owner, who, why)
    return {
        "patient": Hex(owner),
        "grantee": Hex(who),
        "purpose": why,
        "status": consent.status,
        "version": consent.version,
        **paid(result),
    }


@command(app, "revoke-all")
async def revoke_all(context: Context, patient: For = None) -> Answer:
    """Revoke every consent, and void what was signed and not submitted. For the patient, or a delegate."""
    medsync = await context.medsync(signing=True)
    owner, result = await _act(context, patient, medsync.revoke_all, medsync.revoke_all_for)
    return {"patient": Hex(owner), **members(await medsync.patient_state(owner)), **paid(result)}


@command(app, "verify")
async def verify(
    context: Context,
    patient: values.PatientText,
    grantee: Grantee,
    purpose: values.PurposeText,
    categories: values.CategoriesText,
) -> Answer:
    """Judge whether a use is permitted now.

    Judged are the consent and the grantee, not whether a campaign can pay: only access request tells that.
    Exit code 9 if it is not permitted.
    """
    medsync = await context.medsync()
    owner, who = await context.address(patient, "PATIENT"), await context.address(grantee, "GRANTEE")
    judgement = await medsync.verify_consent(
        owner, who, values.purpose(purpose), values.categories(categories)
    )
    if judgement.decision is not Decision.PERMIT:
        context.exit_code = ExitCode.NOT_PERMITTED
    return {**members(judgement), "meaning": judgement.reason.meaning}


@command(app, "show")
async def show(
    context: Context, patient: values.PatientText, grantee: Grantee, purpose: values.PurposeText
) -> Answer:
    """Show one consent as the contract keeps it."""
    medsync = await context.medsync()
    owner, who = await context.address(patient, "PATIENT"), await context.address(grantee, "GRANTEE")
    why = values.purpose(purpose)
    return {
        "patient": Hex(owner),
        "grantee": Hex(who),
        "purpose": why,
        **members(await medsync.consent(owner, who, why)),
    }


@command(app, "list")
async def list_(context: Context, patient: values.PatientText = ME) -> Answer:
    """List a patient's consents, by default one's own, with what they permit now."""
    medsync = await context.medsync()
    owner = await context.address(patient, "PATIENT")
    with context.busy("Reading events"):
        given = await context.events(ConsentAdded, patient=owner)
        keys = dict.fromkeys((event.grantee, event.purpose) for event in given)
        found = []
        for grantee, purpose in keys:
            consent = await medsync.consent(owner, grantee, purpose)
            judgement = await medsync.verify_consent(owner, grantee, purpose, consent.categories)
            found.append(
                {
                    "grantee": Hex(grantee),
                    "purpose": purpose,
                    "decision": judgement.decision,
                    "reason": judgement.reason,
                    **members(consent),
                }
            )
    return found


@command(app, "request")
async def request(
    context: Context,
    patient: values.PatientText,
    purpose: values.PurposeText,
    categories: values.CategoriesText,
    expires: Expires,
    starts: Starts = "now",
    max_uses: MaxUses = 0,
    reward: Reward = None,
    terms: Agreed = "0x0",
) -> Answer:
    """Ask a patient for a consent on these terms. For registered entities."""
    medsync = await context.medsync(signing=True)
    owner = await context.address(patient, "PATIENT")
    what = await _terms(context, purpose, categories, starts, expires, max_uses, reward, terms)
    result = await context.send(medsync.request_consent(owner, what))
    return {"patient": Hex(owner), "grantee": Hex(medsync.account.address), **_shown(what), **paid(result)}


@command(app, "refuse")
async def refuse(
    context: Context, grantee: Grantee, purpose: values.PurposeText, patient: For = None
) -> Answer:
    """Say no to a grantee; a consent that stands is not touched. For the patient, or a delegate."""
    medsync = await context.medsync(signing=True)
    who, why = await context.address(grantee, "GRANTEE"), values.purpose(purpose)
    owner, result = await _act(context, patient, medsync.refuse_consent, medsync.refuse_consent_for, who, why)
    return {"patient": Hex(owner), "grantee": Hex(who), "purpose": why, **paid(result)}


@command(app, "delegate")
async def delegate(
    context: Context,
    delegate: Annotated[str, typer.Argument(help="The delegate's address: " + values.ADDRESS_HELP)],
    powers: Annotated[
        str,
        typer.Option(
            help="give, revoke, refuse, with commas; none removes the delegate.",
            autocompletion=values.complete_powers,
        ),
    ],
    expires: Annotated[str, typer.Option(help="When the powers end. " + values.TIME_HELP)] = "+1y",
) -> Answer:
    """Let a delegate act for you, or no longer. For the patient."""
    medsync = await context.medsync(signing=True)
    who, what = await context.address(delegate, "DELEGATE"), values.powers(powers)
    until = values.time(expires, "--expires", await context.now())
    result = await context.send(medsync.set_delegate(who, what, until))
    return {"delegate": Hex(who), "powers": what, "expires_at": Time(until), **paid(result)}


@command(app, "opt-out")
async def opt_out(
    context: Context,
    undo: Annotated[bool, typer.Option("--undo", help="Allow emergency access again.")] = False,
) -> Answer:
    """Forbid emergency access to your data, or allow it again. For the patient."""
    medsync = await context.medsync(signing=True)
    result = await context.send(medsync.set_emergency_opt_out(not undo))
    return {"patient": Hex(medsync.account.address), "emergency_opt_out": not undo, **paid(result)}


@command(app, "sign")
async def sign(
    context: Context,
    grantee: Grantee,
    output: Annotated[Path, typer.Option("--output", help="New file for the signed message.")],
    purpose: values.PurposeText,
    categories: values.CategoriesText = "",
    expires: Annotated[
        str, typer.Option("--expires", help="When the consent ends. " + values.TIME_HELP)
    ] = "",
    starts: Starts = "now",
    max_uses: MaxUses = 0,
    reward: Reward = None,
    terms: Agreed = "0x0",
    any_pool: AnyPool = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Sign a revocation instead of a consent.")] = False,
    deadline: Annotated[
        str, typer.Option("--deadline", help="Until when it may be submitted. " + values.TIME_HELP)
    ] = "+1d",
) -> Answer:
    """Sign a consent or a revocation into a file that anybody may submit. Nothing is sent.

    Example: medsync consent sign devnet:2 --purpose HRESCH --categories ALL --expires +30d --output s.json
    """
    medsync = await context.medsync(signing=True)
    who, why = await context.address(grantee, "GRANTEE"), values.purpose(purpose)
    until = values.time(deadline, "--deadline", await context.now())
    if revoke:
        document = (await medsync.sign_revocation(who, why, deadline=until)).to_json()
    elif categories and expires:
        what = await _terms(context, purpose, categories, starts, expires, max_uses, reward, terms)
        await _assert_published(medsync, what, any_pool)
        document = (await medsync.sign_consent(who, what, deadline=until)).to_json()
    else:
        raise InputError("A consent needs --categories and --expires.", hint="A revocation needs --revoke.")
    context.files.add(output, json.dumps(document, indent=2) + "\n", "--output")
    context.files.write()
    return {
        "message": document["typed_data"]["primaryType"],
        "patient": Hex(medsync.account.address),
        "grantee": Hex(who),
        "deadline": Time(until),
        "file": str(output),
    }


@command(app, "submit")
async def submit(
    context: Context,
    file: Annotated[Path, typer.Argument(help="What consent sign, or a wallet, has signed.")],
) -> Answer:
    """Submit what a patient signed. For anybody; the fee is the submitter's, the consent the patient's."""
    medsync = await context.medsync(signing=True)
    signed = _signed(file)
    result = await context.send(medsync.submit(signed))
    answer: dict[str, Any] = {"patient": Hex(signed.patient), "grantee": Hex(signed.grantee)}
    if isinstance(signed, SignedConsent):
        answer |= {"version": result.value[0], **_shown(signed.terms)}
    else:
        answer |= {"purpose": signed.purpose, "revoked": True}
    return {**answer, **paid(result)}


@command(app, "cancel-signatures")
async def cancel_signatures(context: Context) -> Answer:
    """Void everything you signed that nobody has submitted yet. For the patient."""
    medsync = await context.medsync(signing=True)
    result = await context.send(medsync.cancel_signatures())
    patient = medsync.account.address
    return {"patient": Hex(patient), **members(await medsync.patient_state(patient)), **paid(result)}


async def _act(
    context: Context,
    patient: str | None,
    own: Callable[P, Invocation[Any]],
    delegated: Callable[Concatenate[int, P], Invocation[Any]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> tuple[int, TransactionResult[tuple[Any, ...]]]:
    """Send what a patient does, or, if --for names the patient, what a delegate does; answer who it is."""
    if patient is None:
        owner, invocation = (await context.account()).address, own(*args, **kwargs)
    else:
        owner = await context.address(patient, "--for")
        invocation = delegated(owner, *args, **kwargs)
    return owner, await context.send(invocation)


def _signed(file: Path) -> SignedConsent | SignedRevocation:
    try:
        return signed_from_json(values.read_json(file, "FILE"))
    except InvalidValue as error:
        raise InputError(f"FILE: {file} holds nothing to submit: {error}.") from None


async def _terms(
    context: Context,
    purpose: str,
    categories: str,
    starts: str,
    expires: str,
    max_uses: int,
    reward: Path | None,
    agreed: str,
) -> ConsentTerms:
    now = await context.now()
    return ConsentTerms(
        purpose=values.purpose(purpose),
        categories=values.categories(categories),
        starts_at=values.time(starts, "--starts", now),
        expires_at=values.time(expires, "--expires", now),
        max_uses=max_uses,
        reward=campaigns.read(reward, "--reward") if reward else None,
        terms_commitment=context.files.commit(agreed, "--terms", Domain.TERMS),
    )


async def _assert_published(medsync: MedSyncClient, terms: ConsentTerms, any_pool: bool) -> None:
    """Keep a patient from trusting a pool that only says it pays: the contract cannot tell the two apart."""
    if any_pool or terms.reward is None:
        return
    if not await RewardPoolClient(terms.reward.pool, medsync.client).is_published():
        raise VerificationError(
            f"The pool at {terms.reward.pool:#x} is not the published RewardPool: it may promise only.",
            hint="If you know it and trust it, agree with --any-pool.",
        )


def _shown(terms: ConsentTerms) -> dict[str, Any]:
    return {
        "purpose": terms.purpose,
        "categories": terms.categories,
        "starts_at": Time(terms.starts_at),
        "expires_at": Time(terms.expires_at),
        "max_uses": terms.max_uses,
        "campaign": Hex(terms.reward.id) if terms.reward else None,
        "terms_commitment": Hex(terms.terms_commitment),
    }
