"""`medsync deploy`: from artifacts to contracts on a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from medsync.cli import values
from medsync.cli.chain import ME
from medsync.cli.command import command
from medsync.cli.context import Context
from medsync.cli.output import Answer, Hex, in_strk
from medsync.deployment import deployer
from medsync.deployment.record import Pool, Request, read_quorum
from medsync.deployment.token import Token
from medsync.errors import ExitCode
from medsync.starknet.fees import strk
from medsync.starknet.network import STRK_TOKEN

_TOKEN_HELP: Final = "the address of an ERC-20 (0x…), or leave --token out for STRK."


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    command(app, "deploy")(deploy)


async def deploy(
    context: Context,
    admin: Annotated[str, typer.Option(help="First administrator; by default the signing account.")] = ME,
    token: Annotated[
        list[str] | None,
        typer.Option(help="ERC-20 that pays rewards; by default STRK. Repeatable: one pool for each."),
    ] = None,
    salt: Annotated[
        str, typer.Option(help="Salt of the addresses; another salt makes a new deployment.")
    ] = "0x0",
    anchor_nodes: Annotated[
        Path | None,
        typer.Option(
            "--anchor-nodes", help="Also deploy a PrivateAnchor that begins with the nodes in this file."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, where it would be, and what it costs.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a record of another deployment.")] = False,
) -> Answer:
    """Deploy MedSync, have it create its reward pools, and record what was deployed.

    An interrupted deployment is resumed by the same command: only what is not on the chain yet is sent. A
    finished one is checked and left alone, except that --anchor-nodes adds a PrivateAnchor to it, and --token
    for every recorded token and a new one adds a pool. The file of nodes is
    {"threshold": 2, "nodes": [{"stark_key": "0x…", "identity": "0x…"}, …]}.

    The network accepts a transaction only if the account holds the most that it may cost, which is 2.25
    times its estimate. If the balance is too small, nothing is sent, and the exit code is 6; a dry run says
    by how much, and ends with the same code. A token must be an ERC-20 (SNIP-2): a pool never changes it.

    Example: medsync --network sepolia --allow-public-network deploy --dry-run
    """
    account = await context.account()
    connection = await context.connection()
    with values.named("--anchor-nodes"):
        anchor = read_quorum(anchor_nodes) if anchor_nodes else None
    tokens = [await context.address(address, "--token", _TOKEN_HELP) for address in token or ()]
    request = Request(
        deployer=account.address,
        admin=await context.address(admin, "--admin"),
        tokens=tuple(dict.fromkeys(tokens)) or (STRK_TOKEN,),
        salt=values.felt(salt, "--salt"),
        anchor=anchor,
    )
    if dry_run:
        with context.busy("Estimating"):
            plan = await deployer.plan(account, request)
        if plan.missing:
            context.exit_code = ExitCode.REFUSED
            context.say(
                f"The balance is too small: {strk(plan.missing, up=True)} are missing. "
                "Fund the account before you deploy."
            )
        return {
            "network": connection.network,
            "record": str(context.record_path().absolute()),
            "deployer": Hex(request.deployer),
            "tokens": [_token(token) for token in plan.tokens],
            "estimated_fees": in_strk(plan.fee),
            "at_most": in_strk(plan.highest_fee),
            "needed_balance": in_strk(plan.needed),
            "balance": in_strk(plan.balance),
            "missing": in_strk(plan.missing),
            "sufficient": not plan.missing,
            "steps": [
                {
                    "step": planned.step.name,
                    "state": "on the chain" if planned.present else "to be sent",
                    "class_hash": Hex(planned.step.artifact.class_hash),
                    "address": Hex(planned.step.address) if planned.step.address else None,
                    "fee": in_strk(planned.fee),
                    "at_most": in_strk(planned.highest_fee),
                }
                for planned in plan.steps
            ],
        }

    context.resume_hint = deployer.RESUME_HINT

    def progress(one: deployer.Progress) -> None:
        if one.stage == "signed" and one.transaction is not None:
            context.sent.append(one.transaction)
        if one.stage in ("present", "sent", "recorded"):
            context.say(f"{one.step}: {one.stage}" + (f" ({one.transaction:#x})" if one.transaction else ""))

    with context.busy("Deploying"):
        record = await deployer.deploy(
            account,
            connection.network,
            context.record_path(),
            admin=request.admin,
            tokens=request.tokens,
            salt=request.salt,
            anchor=request.anchor,
            replaceable=connection.is_local,
            force=force,
            progress=progress,
        )
    return {
        "network": record.network,
        "chain_id": record.chain_id,
        "medsync": Hex(record.medsync),
        "pools": [pool_answer(pool) for pool in record.pools],
        **({} if record.private_anchor is None else {"private_anchor": Hex(record.private_anchor)}),
        "admin": Hex(request.admin),
        "record": str(context.record_path().absolute()),
    }


def pool_answer(pool: Pool) -> dict[str, Any]:
    """A recorded pool as commands show it. What the symbol says is the token's own word."""
    return {"address": Hex(pool.address), "token": Hex(pool.token), "symbol": pool.symbol}


def _token(token: Token) -> dict[str, Any]:
    return {
        "address": Hex(token.address),
        "name": token.name,
        "symbol": token.symbol,
        "decimals": token.decimals,
    }
