"""`medsync pool`: pools, campaigns paid in advance, allowances, and rewards."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from starknet_py.net.client_models import Call

from medsync.cli import campaigns, claims, relaying, values
from medsync.cli.chain import ME
from medsync.cli.command import command
from medsync.cli.context import Context, paid
from medsync.cli.output import Amount, Answer, Hex, Time, members
from medsync.cli.values import Unit
from medsync.deployment.token import Token, read_token
from medsync.errors import InputError
from medsync.protocol.commitments import new_salt
from medsync.protocol.events import PoolCreated
from medsync.protocol.types import CampaignTerms
from medsync.starknet.clients import DEPOSIT_GAS, Erc20Client, RewardPoolClient
from medsync.starknet.transactions import RETRY_WINDOW, Invocation
from medsync.storage.files import is_there

app = typer.Typer(no_args_is_help=True, help="Fund campaigns, allow accessors, settle and draw rewards.")
allowance = typer.Typer(no_args_is_help=True, help="Move a campaign's uses to accessors, and back.")
app.add_typer(allowance, name="allowance")

Terms = Annotated[Path, typer.Option("--terms", help="The campaign's terms, as pool fund wrote them.")]
PoolText = Annotated[
    str,
    typer.Option("--pool", help="The pool's address; by default the deployment's own.", show_default=False),
]
Campaign = Annotated[str, typer.Argument(help="The campaign's id (0x…), or a file of its terms.")]
Accessor = Annotated[str, typer.Argument(help="Who spends: " + values.ADDRESS_HELP)]
Uses = Annotated[int, typer.Option("--uses", help="How many accesses.", min=1, max=2**64 - 1)]


@command(app, "create")
async def create(
    context: Context,
    token: Annotated[str, typer.Option("--token", help="The ERC-20 it is to hold: 0x….")],
    salt: Annotated[
        str, typer.Option("--salt", help="Makes another pool of the same token; by default a new one.")
    ] = "",
) -> Answer:
    """Deploy a reward pool for a token. For anybody.

    Only a pool that MedSync deploys can pay. That its token is worth anything is not promised.
    """
    medsync = await context.medsync(signing=True)
    with values.named("--token"):
        held = await read_token(medsync.client, values.felt(token, "--token"))
    chosen = values.felt(salt, "--salt") if salt else new_salt()
    result = await context.send(medsync.create_pool(held.address, chosen))
    return {"pool": Hex(result.value[0]), **_token(held), "salt": Hex(chosen), **paid(result)}


@command(app, "list")
async def list_(context: Context) -> Answer:
    """List the pools that MedSync deployed, with the tokens they hold.

    Anybody can make a pool for a token of their own: look at the token's address, not at its name.
    """
    recorded = (await context.record()).reward_pool
    found = []
    with context.busy("Reading events"):
        for event in await context.events(PoolCreated):
            pool = await context.pool(event.pool)
            held = await context.token(pool)
            found.append(
                {"pool": Hex(event.pool), "recorded": event.pool == recorded}
                | _token(held)
                | {"creator": Hex(event.creator), "salt": Hex(event.salt)}
            )
    return found


@command(app, "fund")
async def fund(
    context: Context,
    terms: Annotated[
        Path,
        typer.Option("--terms", help="The campaign's terms: read if there, else written from the options."),
    ],
    uses: Annotated[
        int | None, typer.Option("--uses", help="How many accesses to pay for.", min=1, max=2**64 - 1)
    ] = None,
    amount: Annotated[
        str | None, typer.Option(help="How much to put in, a multiple of the rate, in place of --uses.")
    ] = None,
    purpose: Annotated[
        str | None,
        typer.Option(
            help="New campaign: purpose of every paid access.", autocompletion=values.complete_purpose
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", help="New campaign: the study. " + values.STUDY_HELP)
    ] = None,
    rate: Annotated[str | None, typer.Option(help="New campaign: price of one access.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="New campaign: when it ends. " + values.TIME_HELP)
    ] = None,
    custodian: Annotated[str | None, typer.Option(help="New campaign: hospital that takes a share.")] = None,
    custodian_bps: Annotated[
        int | None,
        typer.Option(help="New campaign: the custodian's share in 1/10,000 of the rate.", min=1, max=10_000),
    ] = None,
    pool: PoolText = "",
    unit: values.UnitChoice = Unit.TOKEN,
) -> Answer:
    """Pay for a campaign's accesses in advance; the first deposit opens it. For the funder.

    What is paid for goes into the funder's own budget; pool allowance add gives others a part of it.

    Example: medsync pool fund --terms study.json --purpose HRESCH --rate 0.5 --expires +90d --uses 200
    """
    if (uses is None) == (amount is None):
        raise InputError("Either --uses or --amount is needed, and not both.")
    new = {
        "--purpose": purpose,
        "--study": study,
        "--rate": rate,
        "--expires": expires,
        "--custodian": custodian,
        "--custodian-bps": custodian_bps,
        "--pool": pool or None,
    }
    if is_there(terms):
        if any(option is not None for option in new.values()):
            raise InputError(
                f"--terms: {terms} exists, and its terms cannot change.",
                hint=f"Leave {', '.join(name for name, option in new.items() if option is not None)} out.",
            )
        campaign = campaigns.read(terms, "--terms")
        client, token = await _pool(context, campaign.pool, signing=True)
    else:
        if purpose is None or rate is None or expires is None:
            raise InputError(
                f"--terms: {terms} does not exist.", hint="--purpose, --rate and --expires make it."
            )
        if (custodian is None) != (custodian_bps is None):
            raise InputError("--custodian and --custodian-bps belong together: who keeps the data, for what.")
        client, token = await _pool(context, await _chosen(context, pool), signing=True)
        campaign = CampaignTerms(
            pool=client.address,
            funder=client.account.address,
            purpose=values.purpose(purpose),
            study=values.study(study) if study else 0,
            rate=values.amount(rate, "--rate", token.decimals, unit),
            custodian=await context.address(custodian, "--custodian") if custodian else 0,
            custodian_bps=custodian_bps or 0,
            expires_at=values.time(expires, "--expires", await context.now()),
            spender=0,
            salt=new_salt(),
        )
        # Before the money is sent: without the terms, the salt above all, nobody could use the campaign.
        context.files.add(terms, campaigns.dumps(campaign), "--terms")
    bought = _bought(campaign, token, uses, amount, unit)
    deposit = bought * campaign.rate
    money = Erc20Client(token.address, client.account)
    await money.check_balance(deposit, "The deposit", l2_gas=DEPOSIT_GAS)
    result = await context.send(money.approve(client.address, deposit), client.deposit(campaign, deposit))
    budget = await (await context.medsync()).budget(campaign.id, campaign.funder)
    return {
        **campaigns.shown(campaign, token.decimals, token.symbol),
        **_token(token),
        "deposited": Amount(deposit, token.decimals, token.symbol),
        "uses": bought,
        "funder_uses_left": budget.left,
        "terms": str(terms),
        **paid(result),
    }


def _bought(terms: CampaignTerms, token: Token, uses: int | None, amount: str | None, unit: Unit) -> int:
    """How many uses are to be paid for."""
    if terms.rate == 0:
        raise InputError("--rate cannot be 0: an access that costs nothing needs no campaign.")
    if uses is not None:
        if uses * terms.rate >= 2**128:
            raise InputError(f"--uses cannot be {uses}.", hint="No pool counts that far.")
        return uses
    assert amount is not None
    deposit = values.amount(amount, "--amount", token.decimals, unit)
    bought, rest = divmod(deposit, terms.rate)
    if rest or not bought:

        def choice(count: int) -> str:
            return f"{Amount(count * terms.rate, token.decimals, token.symbol)} ({count} uses)"

        near = [choice(count) for count in (bought, bought + 1) if count]
        paid_in, rate = (Amount(value, token.decimals, token.symbol) for value in (deposit, terms.rate))
        raise InputError(
            f"--amount: {paid_in} is not a multiple of the rate, {rate}.",
            hint=f"Pay {' or '.join(near)}.",
        )
    return bought


@command(app, "campaign")
async def campaign(
    context: Context,
    campaign: Campaign,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write its terms to this new file, as pool fund does.")
    ] = None,
) -> Answer:
    """Show a campaign: its terms, its token, and where it stands.

    Terms that are found by an id are those: the id is their hash. What is left is in budgets: see pool
    budget.
    """
    terms = await claims.resolve(context, campaign, "CAMPAIGN")
    pool, token = await _pool(context, terms.pool)
    state = await pool.campaign(terms)
    answer = {
        **campaigns.shown(terms, token.decimals, token.symbol),
        **_token(token),
        "spender": Hex(terms.spender) if terms.spender else None,
        **{name: value for name, value in members(state).items() if name != "id"},
        "accepts_consents": await pool.accepts_consents(terms.id),
    }
    if output:
        answer["terms"] = str(output)
        context.files.add(output, campaigns.dumps(terms), "--output")
        context.files.write()
    return answer


@command(app, "budget")
async def budget(context: Context, campaign: Campaign, accessor: Accessor = ME) -> Answer:
    """Show how many uses of a campaign an accessor has left and has spent, by default oneself."""
    who, paying = await context.address(accessor, "ACCESSOR"), campaigns.read_id(campaign, "CAMPAIGN")
    found = await (await context.medsync()).budget(paying, who)
    return {"campaign": Hex(paying), "accessor": Hex(who), **members(found)}


@command(allowance, "add")
async def allowance_add(context: Context, accessor: Accessor, terms: Terms, uses: Uses) -> Answer:
    """Move uses from the funder's own budget to an accessor's. For the funder."""
    pool, campaign = await _campaign(context, terms)
    who = await context.address(accessor, "ACCESSOR")
    result = await context.send(pool.increase_allowance(campaign, who, uses))
    return {**await _budgets(context, campaign, who), "moved": uses, **paid(result)}


@command(allowance, "remove")
async def allowance_remove(context: Context, accessor: Accessor, terms: Terms, uses: Uses) -> Answer:
    """Take uses back from an accessor's budget; fails if fewer are left. For the funder.

    They go to the funder's own budget; those of a closed campaign become the funder's credit.
    """
    pool, campaign = await _campaign(context, terms)
    who = await context.address(accessor, "ACCESSOR")
    result = await context.send(pool.decrease_allowance(campaign, who, uses))
    return {**await _budgets(context, campaign, who), "taken_back": uses, **paid(result)}


@command(allowance, "revoke")
async def allowance_revoke(context: Context, accessor: Accessor, terms: Terms) -> Answer:
    """Take back whatever an accessor's budget has left. For the funder.

    The accessor cannot make this fail by spending one more use.
    """
    pool, campaign = await _campaign(context, terms)
    who = await context.address(accessor, "ACCESSOR")
    result = await context.send(pool.revoke_allowance(campaign, who))
    return {**await _budgets(context, campaign, who), "taken_back": result.value[0], **paid(result)}


@command(app, "announce-close")
async def announce_close(context: Context, terms: Terms) -> Answer:
    """Announce that a campaign closes before it ends. For the funder.

    It can be closed from 7 to 37 days later; until then no consent can newly name it. A deposit takes the
    announcement back.
    """
    pool, campaign = await _campaign(context, terms)
    result = await context.send(pool.announce_close(campaign))
    return {**await _state(context, campaign), **paid(result)}


@command(app, "close")
async def close(context: Context, terms: Terms) -> Answer:
    """Close a campaign that has ended, or whose notice is over; the funder's own budget becomes its credit.

    Accessors' budgets stay usable until the campaign ends: pool allowance revoke takes them back, one by one.
    """
    pool, campaign = await _campaign(context, terms)
    result = await context.send(pool.close_campaign(campaign))
    return {**await _state(context, campaign), **paid(result)}


@command(app, "status")
async def status(
    context: Context,
    owner: Annotated[str, typer.Argument(help="Whose credit to show: " + values.ADDRESS_HELP)] = ME,
    pool: PoolText = "",
) -> Answer:
    """Show what a pool owes in all, and somebody's credit in it.

    What a campaign owes and nobody has settled yet is not in the credit: see pool unsettled.
    """
    client, token = await _pool(context, await _chosen(context, pool))
    who = await context.address(owner, "OWNER")

    def unit(value: int) -> Amount:
        return Amount(value, token.decimals, token.symbol)

    return {
        "pool": Hex(client.address),
        **_token(token),
        "liabilities": unit(await client.liabilities()),
        "owner": Hex(who),
        "claimable": unit(await client.claimable(who)),
        "withdrawn": unit(await client.withdrawn(who)),
        "accumulated": unit(await client.accumulated(who)),
    }


@command(app, "unsettled")
async def unsettled(context: Context, patient: values.PatientText = ME) -> Answer:
    """List what campaigns owe a patient and nobody has settled yet, by default oneself.

    The accesses are found in the patient's log, proven complete; what each campaign owes for them is the
    contract's answer.
    """
    owner = await context.address(patient, "PATIENT")
    return [await _owed(context, owed) for owed in await claims.find(context, owner)]


@command(app, "settle")
async def settle(context: Context, patient: values.PatientText = ME) -> Answer:
    """Credit a patient with what campaigns owe, by default oneself: up to 50 consents at once. For anybody.

    Whatever was renewed, revoked or closed meanwhile, it is credited.
    """
    owner = await context.address(patient, "PATIENT")
    found = await claims.find(context, owner)
    if not found:
        raise InputError(f"No campaign owes {owner:#x} anything that is not settled.")
    chosen = found[: claims.MAX_CLAIMS]
    invocations = []
    for owed in chosen:
        pool = await context.pool(owed.claim.terms.pool, signing=True)
        invocations.append(pool.settle(owner, owed.claim.grantee, owed.claim.terms))
    result = await context.send(*invocations)
    settled = [
        await _owed(context, claims.Owed(owed.claim, uses))
        for owed, uses in zip(chosen, result.value, strict=True)
    ]
    return {"patient": Hex(owner), "settled": settled, "left": len(found) - len(chosen), **paid(result)}


@command(app, "settle-custodian")
async def settle_custodian(context: Context, accessor: Accessor, terms: Terms) -> Answer:
    """Credit the custodian with its share of all that an accessor spent of a campaign. For anybody."""
    pool, campaign = await _campaign(context, terms)
    who = await context.address(accessor, "ACCESSOR")
    result = await context.send(pool.settle_custodian(campaign, who))
    token = await context.token(pool)
    return {
        "campaign": Hex(campaign.id),
        "accessor": Hex(who),
        "custodian": Hex(campaign.custodian),
        "uses": result.value[0],
        "claimable": Amount(await pool.claimable(campaign.custodian), token.decimals, token.symbol),
        **paid(result),
    }


@command(app, "withdraw")
async def withdraw(
    context: Context,
    amount: Annotated[str, typer.Argument(help="How much; all for everything.")] = "all",
    to: Annotated[str, typer.Option("--to", help="Who gets it; by default the account itself.")] = ME,
    pool: PoolText = "",
    unit: values.UnitChoice = Unit.TOKEN,
    sign: relaying.Sign = None,
) -> Answer:
    """Draw your credit, after settling what campaigns of the pool owe you. For its owner.

    What they owe is found in your log, proven complete. Up to 50 consents are settled at once; where there
    are more, the answer says how many are left for the next time.
    """
    client, token = await _pool(context, await _chosen(context, pool), signing=True)
    owner = client.account.address
    found = [owed for owed in await claims.find(context, owner) if owed.claim.terms.pool == client.address]
    chosen = found[: claims.MAX_CLAIMS]
    credit = await client.claimable(owner) + sum(owed.share for owed in chosen)
    drawn = credit if amount == "all" else values.amount(amount, "AMOUNT", token.decimals, unit)
    recipient = await context.address(to, "--to")
    act = client.withdraw(drawn, recipient, [owed.claim for owed in chosen])
    if earlier := _earlier_draw(act, recipient, None if amount == "all" else drawn):
        drawn = earlier.calldata[0]
        act = replace(act, call=earlier)
    if drawn == 0:
        raise InputError(
            f"There is no credit to draw: the pool owes {owner:#x} nothing."
            if amount == "all"
            else "AMOUNT cannot be 0.",
            hint="`medsync pool status` shows the credit of an account.",
        )
    if sign is not None:
        return await relaying.signed(context, sign, act)
    result = await context.send(act)
    return {
        "withdrawn": Amount(drawn, token.decimals, token.symbol),
        **_token(token),
        "recipient": Hex(recipient),
        "settled": [await _owed(context, owed) for owed in chosen],
        "left": len(found) - len(chosen),
        "claimable": Amount(await client.claimable(owner), token.decimals, token.symbol),
        **paid(result),
    }


def _earlier_draw(act: Invocation[None], recipient: int, drawn: int | None) -> Call | None:
    """The same draw (`drawn` of None: of everything) that was sent before, if its outcome is not known.

    What it settled is not found a second time. Without it the same command would make another call, which
    nobody takes for a second try, and draw twice.
    """
    target = act.call.to_addr, act.call.selector, recipient
    for sent in act.account.unsettled.values():
        for call in sent.calls:
            same = (call.to_addr, call.selector, *call.calldata[1:2]) == target
            if same and drawn in (None, call.calldata[0]) and sent.at > time.time() - RETRY_WINDOW:
                return call
    return None


async def _chosen(context: Context, pool: str) -> int | None:
    return await context.address(pool, "--pool") if pool else None


async def _pool(
    context: Context, address: int | None, *, signing: bool = False
) -> tuple[RewardPoolClient, Token]:
    """A pool and the token that it holds."""
    pool = await context.pool(address, signing=signing)
    return pool, await context.token(pool)


async def _campaign(context: Context, file: Path) -> tuple[RewardPoolClient, CampaignTerms]:
    """The campaign whose terms are in a file, and its pool, to be sent to."""
    terms = campaigns.read(file, "--terms")
    return await context.pool(terms.pool, signing=True), terms


async def _budgets(context: Context, terms: CampaignTerms, accessor: int) -> dict[str, Any]:
    medsync = await context.medsync()
    return {
        "campaign": Hex(terms.id),
        "accessor": Hex(accessor),
        "accessor_uses_left": (await medsync.budget(terms.id, accessor)).left,
        "funder_uses_left": (await medsync.budget(terms.id, terms.funder)).left,
    }


async def _state(context: Context, terms: CampaignTerms) -> dict[str, Any]:
    pool, token = await _pool(context, terms.pool)
    state = await pool.campaign(terms)
    credit = await pool.claimable(terms.funder)
    budget = await (await context.medsync()).budget(terms.id, terms.funder)
    return {
        "campaign": Hex(terms.id),
        "status": state.status,
        "closing_at": Time(state.closing_at),
        "funder_uses_left": budget.left,
        "funder_claimable": Amount(credit, token.decimals, token.symbol),
    }


async def _owed(context: Context, owed: claims.Owed) -> dict[str, Any]:
    """What a campaign owes for a consent, as commands answer it."""
    terms = owed.claim.terms
    _, token = await _pool(context, terms.pool)
    return {
        "campaign": Hex(terms.id),
        "grantee": Hex(owed.claim.grantee),
        "purpose": terms.purpose,
        "study": Hex(terms.study),
        "uses": owed.uses,
        "share": Amount(owed.share, token.decimals, token.symbol),
        "pool": Hex(terms.pool),
    }


def _token(token: Token) -> dict[str, Any]:
    return {"token": Hex(token.address), "symbol": token.symbol}
