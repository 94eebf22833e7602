"""`medsync deploy`: from artifacts to contracts on a network."""

from pathlib import Path
from typing import Annotated

import typer

from medsync.cli import values
from medsync.cli.chain import ME
from medsync.cli.command import command
from medsync.cli.context import Context
from medsync.cli.output import Amount, Answer, Hex


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    command(app, "deploy")(deploy)


async def deploy(
    context: Context,
    admin: Annotated[str, typer.Option(help="First administrator; by default the signing account.")] = ME,
    token: Annotated[str, typer.Option(help="ERC-20 that pays rewards; by default STRK.")] = "",
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
    """Deploy MedSync and its reward pool, and record them in deployments/.

    One that was interrupted is resumed by the same command: only what is not on the chain yet is sent. A
    finished one is checked and left alone, but that --anchor-nodes adds a PrivateAnchor to it. That file is
    {"threshold": 2, "nodes": [{"stark_key": "0x…", "identity": "0x…"}, …]}.

    Example: medsync --network sepolia --allow-public-network deploy --dry-run
    """
    from medsync.deployment import deployer
    from medsync.deployment.record import Request, read_quorum
    from medsync.starknet.network import STRK_TOKEN

    account = await context.account()
    connection = await context.connection()
    with values.named("--anchor-nodes"):
        anchor = read_quorum(anchor_nodes) if anchor_nodes else None
    request = Request(
        deployer=account.address,
        admin=await context.address(admin, "--admin"),
        token=await context.address(token, "--token") if token else STRK_TOKEN,
        salt=values.felt(salt, "--salt"),
        anchor=anchor,
    )
    if dry_run:
        with context.busy("Estimating"):
            planned = await deployer.plan(account, request)
        return {
            "network": connection.network,
            "deployer": Hex(request.deployer),
            "balance": await _balance(context, request.deployer),
            "estimated_fees": Amount(sum(step.fee for step in planned), 18, "STRK"),
            "steps": [
                {
                    "step": cost.step.name,
                    "state": "on the chain" if cost.present else "to be sent",
                    "class_hash": Hex(cost.step.artifact.class_hash),
                    "address": Hex(cost.step.address) if cost.step.address else None,
                    "fee": Amount(cost.fee, 18, "STRK"),
                }
                for cost in planned
            ],
        }

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
            token=request.token,
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
        "reward_pool": Hex(record.reward_pool),
        **({} if record.private_anchor is None else {"private_anchor": Hex(record.private_anchor)}),
        "admin": Hex(request.admin),
        "token": Hex(request.token),
        "record": str(context.record_path()),
    }


async def _balance(context: Context, owner: int) -> Amount:
    from medsync.starknet.clients import Erc20Client
    from medsync.starknet.network import STRK_TOKEN

    strk = Erc20Client(STRK_TOKEN, (await context.connection()).client)
    return Amount(await strk.balance_of(owner), 18, "STRK")
