"""`medsync pool`: funding campaigns, allowing accessors, drawing rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsync.cli import campaigns, values
from medsync.cli.chain import ME
from medsync.cli.command import command
from medsync.cli.context import Context, paid
from medsync.cli.output import Amount, Answer, Hex, members
from medsync.cli.values import Unit
from medsync.errors import InputError
from medsync.protocol.commitments import new_salt
from medsync.protocol.types import CampaignTerms
from medsync.starknet.clients import DEPOSIT_GAS
from medsync.storage.files import is_there

app = typer.Typer(no_args_is_help=True, help="Fund campaigns, allow accessors, draw rewards.")

Terms = Annotated[Path, typer.Option("--terms", help="The campaign's terms, as pool fund wrote them.")]


@command(app, "fund")
async def fund(
    context: Context,
    amount: Annotated[str, typer.Option(help="How much to put in.")],
    terms: Annotated[
        Path,
        typer.Option("--terms", help="The campaign's terms: read if there, else written from the options."),
    ],
    purpose: Annotated[
        str | None,
        typer.Option(
            help="New campaign: purpose of every paid access.", autocompletion=values.complete_purpose
        ),
    ] = None,
    rate: Annotated[str | None, typer.Option(help="New campaign: price of one access.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="New campaign: when it ends. " + values.TIME_HELP)
    ] = None,
    custodian: Annotated[str | None, typer.Option(help="New campaign: hospital that takes a share.")] = None,
    custodian_bps: Annotated[
        int,
        typer.Option(help="New campaign: the custodian's share in 1/10,000 of the rate.", min=0, max=10_000),
    ] = 0,
    unit: values.UnitChoice = Unit.TOKEN,
) -> Answer:
    """Put money into a campaign; the first deposit opens it. For the funder.

    Example: medsync pool fund --terms study.json --purpose HRESCH --rate 0.5 --expires +90d --amount 100
    """
    pool = await context.pool(signing=True)
    decimals, symbol = await context.token_unit()
    deposit = values.amount(amount, "--amount", decimals, unit)
    if is_there(terms):
        if any(option is not None for option in (purpose, rate, expires, custodian)):
            raise InputError(
                f"--terms: {terms} exists, and its terms cannot change.", hint="Leave the others out."
            )
        campaign = campaigns.read(terms, "--terms")
    else:
        if purpose is None or rate is None or expires is None:
            raise InputError(
                f"--terms: {terms} does not exist.", hint="--purpose, --rate and --expires make it."
            )
        campaign = CampaignTerms(
            pool=pool.address,
            funder=pool.account.address,
            purpose=values.purpose(purpose),
            rate=values.amount(rate, "--rate", decimals, unit),
            custodian=await context.address(custodian, "--custodian") if custodian else 0,
            custodian_bps=custodian_bps,
            expires_at=values.time(expires, "--expires", await context.now()),
            salt=new_salt(),
        )
        # Before the money is sent: without the terms, the salt above all, nobody could use the campaign.
        context.files.add(terms, campaigns.dumps(campaign), "--terms")
    token = await context.token(signing=True)
    await token.check_balance(deposit, "The deposit", l2_gas=DEPOSIT_GAS)
    result = await context.send(token.approve(pool.address, deposit), pool.deposit(campaign, deposit))
    state = await pool.campaign(campaign)
    return {
        **campaigns.shown(campaign, decimals, symbol),
        "deposited": Amount(deposit, decimals, symbol),
        "remaining": Amount(state.remaining, decimals, symbol),
        "terms": str(terms),
        **paid(result),
    }


@command(app, "allow")
async def allow(
    context: Context,
    accessor: Annotated[str, typer.Argument(help="Who may spend: " + values.ADDRESS_HELP)],
    terms: Terms,
    amount: Annotated[
        str, typer.Option(help="How much at most, in place of what was set before; 0 ends it.")
    ],
    unit: values.UnitChoice = Unit.TOKEN,
) -> Answer:
    """Let another accessor than the funder spend of a campaign. For the funder."""
    pool = await context.pool(signing=True)
    decimals, symbol = await context.token_unit()
    campaign = campaigns.read(terms, "--terms")
    who = await context.address(accessor, "ACCESSOR")
    allowed = values.amount(amount, "--amount", decimals, unit)
    result = await context.send(pool.set_allowance(campaign, who, allowed))
    return {
        "campaign": Hex(campaign.id),
        "accessor": Hex(who),
        "allowance": Amount(allowed, decimals, symbol),
        **paid(result),
    }


@command(app, "status")
async def status(
    context: Context,
    owner: Annotated[str, typer.Argument(help="Whose credit to show: " + values.ADDRESS_HELP)] = ME,
    terms: Annotated[
        Path | None, typer.Option("--terms", help="Show this campaign, and the owner's allowance.")
    ] = None,
) -> Answer:
    """Show what the pool owes, somebody's credit, and a campaign."""
    pool = await context.pool()
    decimals, symbol = await context.token_unit()

    def unit(value: int) -> Amount:
        return Amount(value, decimals, symbol)

    who = await context.address(owner, "OWNER")
    answer = {
        "pool": Hex(pool.address),
        "token": Hex((await context.token()).address),
        "liabilities": unit(await pool.liabilities()),
        "lifetime_deposits": unit(await pool.lifetime_deposits()),
        "owner": Hex(who),
        "claimable": unit(await pool.claimable(who)),
        "withdrawn": unit(await pool.withdrawn(who)),
        "accumulated": unit(await pool.accumulated(who)),
    }
    if terms is not None:
        campaign = campaigns.read(terms, "--terms")
        state = await pool.campaign(campaign)
        answer |= {
            **campaigns.shown(campaign, decimals, symbol),
            **members(state),
            "remaining": unit(state.remaining),
            "allowance": unit(await pool.allowance(campaign.id, who)),
        }
    return answer


@command(app, "withdraw")
async def withdraw(
    context: Context,
    amount: Annotated[str, typer.Argument(help="How much; all for everything.")] = "all",
    to: Annotated[str, typer.Option("--to", help="Who gets it; by default the account itself.")] = ME,
    unit: values.UnitChoice = Unit.TOKEN,
) -> Answer:
    """Draw your credit. For its owner."""
    pool = await context.pool(signing=True)
    decimals, symbol = await context.token_unit()
    owner = pool.account.address
    drawn = (
        await pool.claimable(owner) if amount == "all" else values.amount(amount, "AMOUNT", decimals, unit)
    )
    if drawn == 0:
        raise InputError(
            f"There is no credit to draw: the pool owes {owner:#x} nothing."
            if amount == "all"
            else "AMOUNT cannot be 0.",
            hint="`medsync pool status` shows the credit of an account.",
        )
    recipient = await context.address(to, "--to")
    result = await context.send(pool.withdraw(drawn, recipient))
    return {
        "withdrawn": Amount(drawn, decimals, symbol),
        "recipient": Hex(recipient),
        "claimable": Amount(await pool.claimable(owner), decimals, symbol),
        **paid(result),
    }


@command(app, "announce-close")
async def announce_close(context: Context, terms: Terms) -> Answer:
    """Announce that a campaign closes before it ends; it can be closed 7 days later. For the funder."""
    pool = await context.pool(signing=True)
    campaign = campaigns.read(terms, "--terms")
    result = await context.send(pool.announce_close(campaign))
    return {**await _state(context, campaign), **paid(result)}


@command(app, "close")
async def close(context: Context, terms: Terms) -> Answer:
    """Close a campaign that has ended, or whose notice is over; the rest becomes the funder's credit."""
    pool = await context.pool(signing=True)
    campaign = campaigns.read(terms, "--terms")
    result = await context.send(pool.close_campaign(campaign))
    return {**await _state(context, campaign), **paid(result)}


async def _state(context: Context, terms: CampaignTerms) -> dict[str, object]:
    pool = await context.pool()
    decimals, symbol = await context.token_unit()
    state = await pool.campaign(terms)
    owner = await pool.claimable(terms.funder)
    return {
        "campaign": Hex(terms.id),
        "status": state.status,
        "closing_at": members(state)["closing_at"],
        "remaining": Amount(state.remaining, decimals, symbol),
        "funder_claimable": Amount(owner, decimals, symbol),
    }
