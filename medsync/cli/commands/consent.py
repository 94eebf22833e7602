"""`medsync consent`: giving, asking for, refusing, revoking and judging consents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

from medsync.cli import campaigns, claims, relaying, values
from medsync.cli.chain import ME
from medsync.cli.command import command
from medsync.cli.context import Context, paid
from medsync.cli.output import Amount, Answer, Hex, Time, members
from medsync.errors import ExitCode, InputError
from medsync.log.replay import replay_patient
from medsync.protocol.commitments import Domain, Opening, parse_json
from medsync.protocol.events import (
    ConsentAdded,
    ConsentEvent,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    DelegateSet,
    EmergencyHospitalSet,
)
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import ConsentTerms, PatientState, Verdict
from medsync.protocol.vocabulary import Decision, Power, Purpose
from medsync.starknet.outside import acts_from_json
from medsync.starknet.signing import SignedConsent, SignedRevocation, sign_consent, signed_from_json
from medsync.starknet.transactions import Invocation, TransactionResult

P = ParamSpec("P")

app = typer.Typer(no_args_is_help=True, help="Give, ask for, refuse, revoke and judge consents.")
emergency = typer.Typer(no_args_is_help=True, help="Choose who may break the glass, and who may not.")
app.add_typer(emergency, name="emergency")
study = typer.Typer(no_args_is_help=True, help="Name a study without naming it to the world.")
app.add_typer(study, name="study")

Grantee = Annotated[str, typer.Argument(help="The grantee's address: " + values.ADDRESS_HELP)]
Hospital = Annotated[str, typer.Argument(help="The hospital's address: " + values.ADDRESS_HELP)]
For = Annotated[
    str | None, typer.Option("--for", help="Act as a delegate of this patient.", metavar="PATIENT")
]
Expires = Annotated[str, typer.Option("--expires", help="When it ends. " + values.TIME_HELP)]
Starts = Annotated[str, typer.Option("--starts", help="When it begins. " + values.TIME_HELP)]
MaxUses = Annotated[
    int,
    typer.Option("--max-uses", help="How many accesses it allows; 0 sets no limit.", min=0, max=2**32 - 1),
]
Scoped = Annotated[
    bool,
    typer.Option(
        "--scoped",
        help="The opening of --terms narrows it further: nothing is released to who does not show it.",
    ),
]
Reward = Annotated[
    str | None,
    typer.Option("--reward", help="Campaign that must pay each access: a file of its terms, or its id."),
]
CampaignText = Annotated[
    str, typer.Option("--campaign", help="Campaign that is to pay: its id, or a file of its terms.")
]
Agreed = Annotated[str, typer.Option("--terms", help="What is agreed off-chain. " + values.COMMITMENT_HELP)]

#: What an opening of a study tells those who take part.
_STUDY_MEMBERS: Final = ("protocol", "approval", "contact")


@command(app, "add")
async def add(
    context: Context,
    grantee: Grantee,
    purpose: values.PurposeText,
    categories: values.CategoriesText,
    expires: Expires,
    study: values.StudyText = "0x0",
    starts: Starts = "now",
    max_uses: MaxUses = 0,
    scoped: Scoped = False,
    reward: Reward = None,
    terms: Agreed = "0x0",
    patient: For = None,
) -> Answer:
    """Give a consent, or renew one. For the patient, or a delegate of the patient.

    Without --study it is a broad consent: good for requests that name no study, and for no others.

    Example: medsync consent add devnet:2 --purpose HRESCH --categories LABORATORY,CONDITION --expires +30d
    """
    medsync = await context.medsync(signing=True)
    who = await context.address(grantee, "GRANTEE")
    what = await _terms(context, purpose, study, categories, starts, expires, max_uses, scoped, reward, terms)
    pay = await _reward(context, what)
    owner, result = await _act(context, patient, medsync.add_consent, medsync.add_consent_for, who, what)
    return {
        "patient": Hex(owner),
        "grantee": Hex(who),
        "version": result.value[0],
        **_shown(what),
        **pay,
        **paid(result),
    }


@command(app, "revoke")
async def revoke(
    context: Context,
    grantee: Grantee,
    purpose: values.PurposeText,
    study: values.StudyText = "0x0",
    patient: For = None,
) -> Answer:
    """Revoke a consent, whatever its state. For the patient, or a delegate of the patient.

    One study's consent is revoked, or the broad one: the others of that grantee stay. A delegate can revoke
    only a consent that is live.
    """
    medsync = await context.medsync(signing=True)
    key = await _key(context, grantee, purpose, study)
    owner, result = await _act(context, patient, medsync.revoke_consent, medsync.revoke_consent_for, *key)
    return {**await _record(context, owner, *key), **paid(result)}


@command(app, "revoke-all")
async def revoke_all(
    context: Context,
    dismiss_delegates: Annotated[
        bool, typer.Option("--dismiss-delegates", help="End every delegation as well. For the patient.")
    ] = False,
    patient: For = None,
    sign: relaying.Sign = None,
) -> Answer:
    """Revoke every consent, and void what was signed and not submitted. For the patient, or a delegate.

    Refusals, refused purposes and the choice for emergencies stay.
    """
    medsync = await context.medsync(signing=True)
    if dismiss_delegates and patient is not None:
        raise InputError("--dismiss-delegates is for the patient: a delegate dismisses nobody.")
    if sign is not None:
        _assert_own(patient)
        act = medsync.revoke_all(dismiss_delegates=dismiss_delegates)
        return await relaying.signed(context, sign, act)
    owner, result = await _act(
        context,
        patient,
        lambda: medsync.revoke_all(dismiss_delegates=dismiss_delegates),
        medsync.revoke_all_for,
    )
    return {"patient": Hex(owner), **_state(await medsync.patient_state(owner)), **paid(result)}


@command(app, "verify")
async def verify(
    context: Context,
    patient: values.PatientText,
    grantee: Grantee,
    purpose: values.PurposeText,
    categories: values.CategoriesText,
    study: values.StudyText = "0x0",
    campaign: CampaignText = "0x0",
    at: Annotated[
        str | None,
        typer.Option(
            "--at", help="Judge by the proven histories, as of the end of that second. " + values.TIME_HELP
        ),
    ] = None,
) -> Answer:
    """Judge whether a use is permitted now, or was.

    Judged are the consent and the grantee, not whether a campaign can pay: only access request tells that.
    With --at the answer is proven, for a second before the newest block's. Exit code 9 if it is not
    permitted.
    """
    owner = await context.address(patient, "PATIENT")
    who, why, which = await _key(context, grantee, purpose, study)
    what, paying = values.categories(categories), campaigns.read_id(campaign, "--campaign")
    verdict: Verdict
    proven: dict[str, Any] = {}
    if at is None:
        medsync = await context.medsync()
        verdict = await medsync.verify_consent(owner, who, why, which, what, paying)
    else:
        second = values.time(at, "--at", await context.now())
        history = await context.history(owner)
        verdict = replay_patient(history).verify_consent(owner, who, why, which, what, paying, second)
        proven = {"block": history.block.number, "block_at": Time(history.block.timestamp)}
    if verdict.decision is not Decision.PERMIT:
        context.exit_code = ExitCode.NOT_PERMITTED
    return {**members(verdict), "meaning": verdict.reason.meaning, **proven}


@command(app, "show")
async def show(
    context: Context,
    patient: values.PatientText,
    grantee: Grantee,
    purpose: values.PurposeText,
    study: values.StudyText = "0x0",
    campaign: CampaignText = "0x0",
) -> Answer:
    """Show one consent: what the contract keeps, and what holds of it now.

    The uses of a consent that insists on pay are counted for its campaign: name it to see them.
    """
    owner = await context.address(patient, "PATIENT")
    key = await _key(context, grantee, purpose, study)
    return await _record(context, owner, *key, campaign=campaigns.read_id(campaign, "--campaign"))


@command(app, "list")
async def list_(context: Context, patient: values.PatientText = ME) -> Answer:
    """List what a patient decided, by default oneself, proven complete: consents, refusals, delegates.

    Proven is that no decision is missing as of the block that is named: a node could show an older block,
    which several nodes (--rpc-url) make harder. Exit code 7 if the node hides a decision.
    """
    owner = await context.address(patient, "PATIENT")
    history = await context.history(owner)
    context.say(f"Complete as of block {history.block.number}: {history.consents.head.count} decisions.")
    state, decided = replay_patient(history), history.consents.entries
    keys = dict.fromkeys(
        (event.grantee, event.purpose, event.study)
        for event in decided
        if isinstance(event, ConsentAdded | ConsentRevoked | ConsentRefused)
    )
    consents = []
    for grantee, purpose, which in keys:
        campaign = state.record(owner, grantee, purpose, which).campaign
        consents.append(
            {
                "grantee": Hex(grantee),
                "purpose": purpose,
                "study": Hex(which),
                **members(state.consent(owner, grantee, purpose, which, campaign)),
                "campaign": Hex(campaign) if campaign else None,
            }
        )
    now = state.patient_state(owner)
    return {
        "patient": Hex(owner),
        "block": history.block.number,
        "block_at": Time(history.block.timestamp),
        "decisions": history.consents.head.count,
        "head": Hex(history.consents.head.head),
        **_state(now),
        "consents": consents,
        "delegates": _delegates(decided, now, history.block.timestamp),
        "emergency_hospitals": _hospitals(decided),
    }


def _delegates(decided: Iterable[ConsentEvent], state: PatientState, now: int) -> list[dict[str, Any]]:
    """The delegations in force, from a proven history."""
    latest = {event.delegate: event for event in decided if isinstance(event, DelegateSet)}
    return [
        {"delegate": Hex(event.delegate), "powers": event.powers, "expires_at": Time(event.expires_at)}
        for event in latest.values()
        if event.powers and event.epoch == state.delegate_epoch and now < event.expires_at
    ]


def _hospitals(decided: Iterable[ConsentEvent]) -> list[dict[str, Any]]:
    """Which hospitals a patient named for emergencies, from a proven history."""
    latest = {event.hospital: event.allowed for event in decided if isinstance(event, EmergencyHospitalSet)}
    return [{"hospital": Hex(hospital), "allowed": allowed} for hospital, allowed in latest.items()]


@command(app, "request")
async def request(
    context: Context,
    patient: values.PatientText,
    purpose: values.PurposeText,
    categories: values.CategoriesText,
    expires: Expires,
    study: values.StudyText = "0x0",
    starts: Starts = "now",
    max_uses: MaxUses = 0,
    scoped: Scoped = False,
    reward: Reward = None,
    terms: Agreed = "0x0",
    open_until: Annotated[
        str, typer.Option("--open-until", help="Until when an answer is welcome. " + values.TIME_HELP)
    ] = "+30d",
) -> Answer:
    """Ask a patient for a consent on these terms. For registered entities."""
    medsync = await context.medsync(signing=True)
    owner = await context.address(patient, "PATIENT")
    what = await _terms(context, purpose, study, categories, starts, expires, max_uses, scoped, reward, terms)
    until = values.time(open_until, "--open-until", await context.now())
    pay = await _reward(context, what)
    result = await context.send(medsync.request_consent(owner, what, until))
    return {
        "patient": Hex(owner),
        "grantee": Hex(medsync.account.address),
        "open_until": Time(until),
        **_shown(what),
        **pay,
        **paid(result),
    }


@command(app, "requests")
async def requests(
    context: Context,
    patient: values.PatientText = ME,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that are over, or answered since.")
    ] = False,
) -> Answer:
    """List who asks a patient for a consent, by default oneself, and still stands open.

    Requests are in no history: a node could leave one out, and nobody would notice.
    """
    owner, now = await context.address(patient, "PATIENT"), await context.now()
    decided = (await context.history(owner)).consents.entries
    found = []
    for event in await context.events(ConsentRequested, patient=owner):
        state = _request_state(event, decided, now)
        if every or state == "open":
            shown = members(event)
            reward = shown.pop("reward")
            found.append(
                {"state": state}
                | {name: shown[name] for name in shown if name not in ("patient", "transaction_hash")}
                | {"campaign": Hex(event.reward.id) if event.reward else None}
                | ({"reward": reward} if context.options.json else {})
            )
    return found


def _request_state(event: ConsentRequested, decided: Iterable[ConsentEvent], now: int) -> str:
    asked = event.location.timestamp if event.location and event.location.timestamp else 0
    key = event.grantee, event.purpose, event.study
    for answer in decided:
        if (
            isinstance(answer, ConsentAdded | ConsentRefused)
            and (answer.grantee, answer.purpose, answer.study) == key
            and answer.at >= asked
        ):
            return "answered"
    return "open" if now < event.open_until else "over"


@command(app, "refuse")
async def refuse(
    context: Context,
    grantee: Grantee,
    purpose: values.PurposeText,
    study: values.StudyText = "0x0",
    patient: For = None,
    sign: relaying.Sign = None,
) -> Answer:
    """Refuse a grantee until you give that consent. For the patient, or a delegate of the patient.

    A consent that stands is ended by it; a delegate needs the power to revoke for that.
    """
    medsync = await context.medsync(signing=True)
    key = await _key(context, grantee, purpose, study)
    if sign is not None:
        _assert_own(patient)
        return await relaying.signed(context, sign, medsync.refuse_consent(*key))
    owner, result = await _act(context, patient, medsync.refuse_consent, medsync.refuse_consent_for, *key)
    return {**await _record(context, owner, *key), **paid(result)}


@command(app, "refuse-purpose")
async def refuse_purpose(context: Context, purpose: values.PurposeText, sign: relaying.Sign = None) -> Answer:
    """Refuse everyone for a purpose until you allow it again. For the patient.

    Consents for it that stand permit nothing meanwhile, and none can be given.
    """
    medsync = await context.medsync(signing=True)
    act = medsync.refuse_purpose(values.purpose(purpose))
    if sign is not None:
        return await relaying.signed(context, sign, act)
    result = await context.send(act)
    return {**await _own_state(context), **paid(result)}


@command(app, "allow-purpose")
async def allow_purpose(context: Context, purpose: values.PurposeText, sign: relaying.Sign = None) -> Answer:
    """Allow a purpose again. For the patient.

    Consents for it that you gave before and that are still live permit again: see consent list.
    """
    medsync = await context.medsync(signing=True)
    act = medsync.allow_purpose(values.purpose(purpose))
    if sign is not None:
        return await relaying.signed(context, sign, act)
    result = await context.send(act)
    return {**await _own_state(context), **paid(result)}


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
    sign: relaying.Sign = None,
) -> Answer:
    """Let a delegate act for you, or no longer. For the patient."""
    medsync = await context.medsync(signing=True)
    who, what = await context.address(delegate, "DELEGATE"), values.powers(powers)
    until = values.time(expires, "--expires", await context.now())
    if Power.GIVE in what:
        context.say("With give, a delegate can give any consent that you did not decide on, of any study.")
    act = medsync.set_delegate(who, what, until)
    if sign is not None:
        return await relaying.signed(context, sign, act)
    result = await context.send(act)
    return {"delegate": Hex(who), "powers": what, "expires_at": Time(until), **paid(result)}


@command(app, "dismiss-delegates")
async def dismiss_delegates(context: Context, sign: relaying.Sign = None) -> Answer:
    """End every delegation at one stroke. For the patient."""
    medsync = await context.medsync(signing=True)
    act = medsync.dismiss_delegates()
    if sign is not None:
        return await relaying.signed(context, sign, act)
    result = await context.send(act)
    return {**await _own_state(context), **paid(result)}


def _complete_choice(incomplete: str) -> list[str]:
    return [choice for choice in values.EMERGENCY_CHOICES if choice.startswith(incomplete)]


@command(emergency, "choose")
async def emergency_choose(
    context: Context,
    choice: Annotated[
        str,
        typer.Argument(
            help="every: every hospital but those you forbid; named: only those you allow; nobody.",
            autocompletion=_complete_choice,
        ),
    ],
    sign: relaying.Sign = None,
) -> Answer:
    """Choose who may break the glass: every hospital, only those you name, or nobody. For the patient."""
    medsync = await context.medsync(signing=True)
    act = medsync.set_emergency_choice(values.emergency_choice(choice))
    if sign is not None:
        return await relaying.signed(context, sign, act)
    result = await context.send(act)
    return {**await _own_state(context), **paid(result)}


@command(emergency, "allow")
async def emergency_allow(context: Context, hospital: Hospital, sign: relaying.Sign = None) -> Answer:
    """Name a hospital that may break the glass, also where only named ones may. For the patient."""
    medsync = await context.medsync(signing=True)
    who = await context.address(hospital, "HOSPITAL")
    act = medsync.allow_emergency(who)
    if sign is not None:
        return await relaying.signed(context, sign, act)
    result = await context.send(act)
    return {"hospital": Hex(who), "allowed": True, **await _own_state(context), **paid(result)}


@command(emergency, "forbid")
async def emergency_forbid(context: Context, hospital: Hospital, sign: relaying.Sign = None) -> Answer:
    """Forbid a hospital to break the glass, also where every hospital may. For the patient."""
    medsync = await context.medsync(signing=True)
    who = await context.address(hospital, "HOSPITAL")
    act = medsync.forbid_emergency(who)
    if sign is not None:
        return await relaying.signed(context, sign, act)
    result = await context.send(act)
    return {"hospital": Hex(who), "allowed": False, **await _own_state(context), **paid(result)}


@command(study, "new")
async def study_new(
    context: Context,
    protocol: Annotated[
        str, typer.Option("--protocol", help="What the study does, or where its protocol is.")
    ],
    approval: Annotated[str, typer.Option("--approval", help="The ethics approval.")],
    contact: Annotated[str, typer.Option("--contact", help="Who answers questions.")],
    output: Annotated[
        Path, typer.Option("--output", help="New file for the opening, which participants get.")
    ],
) -> Answer:
    """Make the salted hash that names a study, and the opening that tells what it is. Nothing is sent.

    Hand the file to those who take part and to nobody else: anyone who has it learns from the chain who does.

    Example: medsync consent study new --protocol "asthma cohort" --approval "2026-17" --contact
    office@example.org --output study.json
    """
    described = dict(zip(_STUDY_MEMBERS, (protocol, approval, contact), strict=True))
    opening = Opening.of_json(Domain.STUDY, described)
    context.files.add(output, f"{opening.to_json()}\n", "--output", private=True)
    context.files.write()
    return {"study": Hex(opening.commitment), **described, "file": str(output)}


@command(study, "show")
async def study_show(
    context: Context,
    file: Annotated[Path, typer.Argument(help="An opening, as consent study new wrote it.")],
) -> Answer:
    """Show what an opening says of a study, once it is known to fit the study's hash. Nobody is asked."""
    opening = values.read_opening(file, "FILE", Domain.STUDY, values.STUDY_HELP)
    try:
        described = parse_json(opening.value)
    except InvalidValue as error:
        raise InputError(f"FILE: {file} opens a study, but tells nothing of it: {error}.") from None
    named = described if isinstance(described, dict) else {}
    return {
        "study": Hex(opening.commitment),
        **{name: str(named[name]) if name in named else None for name in _STUDY_MEMBERS},
    }


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
    study: values.StudyText = "0x0",
    starts: Starts = "now",
    max_uses: MaxUses = 0,
    scoped: Scoped = False,
    reward: Reward = None,
    terms: Agreed = "0x0",
    revoke: Annotated[bool, typer.Option("--revoke", help="Sign a revocation instead of a consent.")] = False,
    after: Annotated[
        list[Path] | None,
        typer.Option(
            "--after",
            help="A consent signed before and not submitted yet, which this one is to follow. Repeatable: "
            "name all of them.",
        ),
    ] = None,
    deadline: Annotated[
        str, typer.Option("--deadline", help="Until when it may be submitted. " + values.TIME_HELP)
    ] = "+1d",
) -> Answer:
    """Sign a consent or a revocation into a file that anybody may submit. Nothing is sent.

    Consents are submitted in the order they were signed in: sign the next one --after those before. A signed
    revocation that is submitted, consent revoke-all and consent cancel-signatures void all of them. Signed
    revocations work in any order, each until its consent is decided on later.

    Example: medsync consent sign devnet:2 --purpose HRESCH --categories ALL --expires +30d --output s.json
    """
    medsync = await context.medsync(signing=True)
    who, why, which = await _key(context, grantee, purpose, study)
    now = await context.now()
    until = values.time(deadline, "--deadline", now)
    if until <= now:
        raise InputError("--deadline is over: nobody could submit the message.", hint="Name a later time.")
    signed: SignedConsent | SignedRevocation
    numbers: dict[str, int]
    more: dict[str, Any]
    if revoke:
        if after:
            raise InputError("--after is for consents: a revocation follows nothing.")
        state = await context.agreed(medsync, lambda node: node.patient_state(medsync.account.address))
        signed = await medsync.sign_revocation(who, why, which, deadline=until, generation=state.generation)
        numbers, more = {"generation": signed.generation}, {"purpose": why}
    elif categories and expires:
        what = await _terms(
            context, purpose, study, categories, starts, expires, max_uses, scoped, reward, terms
        )
        if what.expires_at <= now:
            raise InputError("--expires is over: the consent would never hold.", hint="Name a later time.")
        more = {**_shown(what), **await _reward(context, what)}
        signed = await _sign_after(context, who, what, until, after or [])
        numbers = {
            "version": signed.version,
            "generation": signed.generation,
            "counter": signed.counter,
        }
    else:
        raise InputError("A consent needs --categories and --expires.", hint="A revocation needs --revoke.")
    document = signed.to_json()
    context.files.add(output, json.dumps(document, indent=2) + "\n", "--output")
    context.files.write()
    return {
        "message": document["typed_data"]["primaryType"],
        "patient": Hex(medsync.account.address),
        "grantee": Hex(who),
        "study": Hex(which),
        **more,
        **numbers,
        "deadline": Time(until),
        "file": str(output),
    }


async def _sign_after(
    context: Context, grantee: int, terms: ConsentTerms, deadline: int, files: Sequence[Path]
) -> SignedConsent:
    """A consent that fits what the chain will have once those in the files are submitted."""
    medsync = await context.medsync(signing=True)
    patient = medsync.account.address
    state = await context.agreed(medsync, lambda node: node.patient_state(patient))
    record = await context.agreed(
        medsync, lambda node: node.consent(patient, grantee, terms.purpose, terms.study)
    )
    version, counter = record.version, state.counter
    for file in files:
        before = _signed(values.read_json(file, "--after"), file, "--after")
        if not isinstance(before, SignedConsent) or before.patient != patient:
            raise InputError(f"--after: {file} is not a consent that this account signed.")
        if (before.contract, before.chain_id) != (medsync.address, medsync.account.chain_id):
            raise InputError(f"--after: {file} was signed for another contract or another chain.")
        if before.generation != state.generation or before.counter < state.counter:
            raise InputError(f"--after: {file} is void or submitted already.", hint="Leave it out.")
        counter = max(counter, before.counter + 1)
        same = before.grantee, before.terms.purpose, before.terms.study
        if same == (grantee, terms.purpose, terms.study):
            version = max(version, before.version)
    return sign_consent(
        medsync.account.stark_signer,
        patient,
        contract=medsync.address,
        grantee=grantee,
        terms=terms,
        version=version + 1,
        generation=state.generation,
        counter=counter,
        deadline=deadline,
    )


@command(app, "submit")
async def submit(
    context: Context,
    file: Annotated[Path, typer.Argument(help="What consent sign, --sign, or a wallet has signed.")],
) -> Answer:
    """Submit what a patient signed. For anybody; the fee is the submitter's, the decision the patient's."""
    document = values.read_json(file, "FILE")
    medsync = await context.medsync(signing=True)
    if _kind(document) == "OutsideExecution":
        with _reading(file, "FILE"):
            acts = acts_from_json(document)
        return await relaying.submitted(context, acts)
    signed = _signed(document, file, "FILE")
    result = await context.send(medsync.submit(signed))
    answer: dict[str, Any] = {"patient": Hex(signed.patient), "grantee": Hex(signed.grantee)}
    if isinstance(signed, SignedConsent):
        answer |= {"version": result.value[0], **_shown(signed.terms)}
    else:
        answer |= {"purpose": signed.purpose, "study": Hex(signed.study), "revoked": True}
    return {**answer, **paid(result)}


def _kind(document: Any) -> object:
    """Which message it is that was signed."""
    typed_data = document.get("typed_data") if isinstance(document, dict) else None
    return typed_data.get("primaryType") if isinstance(typed_data, dict) else None


@command(app, "cancel-signatures")
async def cancel_signatures(context: Context, sign: relaying.Sign = None) -> Answer:
    """Void every consent that you signed and nobody has submitted yet. For the patient.

    Revocations that you signed stay good.
    """
    medsync = await context.medsync(signing=True)
    act = medsync.cancel_signatures()
    if sign is not None:
        return await relaying.signed(context, sign, act)
    result = await context.send(act)
    return {**await _own_state(context), **paid(result)}


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


def _assert_own(patient: str | None) -> None:
    if patient is not None:
        raise InputError("--sign and --for do not go together: only a patient's own acts are signed.")


async def _key(context: Context, grantee: str, purpose: str, study: str) -> tuple[int, Purpose, int]:
    """Which of a patient's consents is meant."""
    return await context.address(grantee, "GRANTEE"), values.purpose(purpose), values.study(study)


async def _record(
    context: Context, patient: int, grantee: int, purpose: Purpose, study: int, campaign: int = 0
) -> dict[str, Any]:
    """A consent as commands answer it."""
    consent = await (await context.medsync()).consent(patient, grantee, purpose, study, campaign)
    return {
        "patient": Hex(patient),
        "grantee": Hex(grantee),
        "purpose": purpose,
        "study": Hex(study),
        **members(consent),
        "meaning": consent.state.meaning,
    }


async def _own_state(context: Context) -> dict[str, Any]:
    """What concerns the signing account as a patient."""
    medsync = await context.medsync(signing=True)
    patient = medsync.account.address
    return {"patient": Hex(patient), **_state(await medsync.patient_state(patient))}


def _state(state: PatientState) -> dict[str, Any]:
    return {**members(state), "refused_purposes": list(state.refused)}


def _signed(document: Any, file: Path, name: str) -> SignedConsent | SignedRevocation:
    with _reading(file, name):
        return signed_from_json(document)


@contextmanager
def _reading(file: Path, name: str) -> Iterator[None]:
    """Say which file it is that cannot be understood."""
    try:
        yield
    except InvalidValue as error:
        raise InputError(f"{name}: {file} holds no signed message: {error}.") from None


async def _terms(
    context: Context,
    purpose: str,
    study: str,
    categories: str,
    starts: str,
    expires: str,
    max_uses: int,
    scoped: bool,
    reward: str | None,
    agreed: str,
) -> ConsentTerms:
    now = await context.now()
    committed = context.files.commit(agreed, "--terms", Domain.TERMS)
    if scoped and not committed:
        raise InputError("--scoped needs --terms: their opening says what narrows the consent.")
    return ConsentTerms(
        purpose=values.purpose(purpose),
        study=values.study(study),
        categories=values.categories(categories),
        starts_at=values.time(starts, "--starts", now),
        expires_at=values.time(expires, "--expires", now),
        max_uses=max_uses,
        scoped=scoped,
        reward=await claims.resolve(context, reward, "--reward") if reward else None,
        terms_commitment=committed,
    )


async def _reward(context: Context, terms: ConsentTerms) -> dict[str, Any]:
    """What a consent pays, for the patient to see. Raises as `Contracts.pool`."""
    if terms.reward is None:
        return {}
    pool = await context.pool(terms.reward.pool)
    token = await context.token(pool)
    return {
        "rate": Amount(terms.reward.rate, token.decimals, token.symbol),
        "custodian_bps": terms.reward.custodian_bps,
        "token": Hex(token.address),
        "symbol": token.symbol,
    }


def _shown(terms: ConsentTerms) -> dict[str, Any]:
    return {
        "purpose": terms.purpose,
        "study": Hex(terms.study),
        "categories": terms.categories,
        "starts_at": Time(terms.starts_at),
        "expires_at": Time(terms.expires_at),
        "max_uses": terms.max_uses,
        "scoped": terms.scoped,
        "campaign": Hex(terms.reward.id) if terms.reward else None,
        "terms_commitment": Hex(terms.terms_commitment),
    }
