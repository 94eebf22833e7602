"""`medsync deployments`: the records of what is where, and whether they are true."""

from typing import Any

import typer

from medsync.cli.command import command
from medsync.cli.commands.deploy import pool_answer
from medsync.cli.context import Context
from medsync.cli.output import Answer, Hex
from medsync.deployment import deployer
from medsync.deployment import record as deployments
from medsync.errors import InputError, VerificationError

app = typer.Typer(no_args_is_help=True, help="Look at deployment records.")


@command(app, "list")
async def list_(context: Context) -> Answer:
    """List the recorded deployments, and say where they were looked for.

    That is MEDSYNC_DEPLOYMENTS; else the folder deployments here, if there is one; else the user's data
    folder.
    """
    context.say(f"Deployments in {deployments.folder().absolute()}:")
    found: list[dict[str, Any]] = []
    for path in deployments.find_all():
        try:
            record = deployments.read(path)
        except InputError as error:
            found.append({"deployment": path.stem, "status": "unreadable", "problem": error.message})
            continue
        contracts = {name: Hex(contract.address) for name, contract in record.contracts.items()}
        found.append(
            {
                "deployment": path.stem,
                "status": record.status,
                "network": record.network,
                "chain_id": record.chain_id,
                "medsync": contracts.get(deployments.MEDSYNC),
                "pools": [pool_answer(pool) for pool in record.pools],
                "finished_at": record.finished_at.isoformat() if record.finished_at else None,
                "record": str(path.absolute()),
            }
        )
    return found


@command(app, "check")
async def check(context: Context) -> Answer:
    """Read everything a record says from the chain and the artifacts again, and name what differs.

    Addresses, class hashes, programs, compiled class hashes, constructor arguments, pools and their tokens,
    interfaces, transactions, and MedSync's administrator, edition, class of pools and successor are checked.
    Exit code 7 if anything differs, with every finding in the error.
    """
    path = context.record_path()
    record = deployments.read(path)
    connection = await context.connection()
    with context.busy("Checking"):
        differences = await deployer.check(connection.client, record)
    if differences:
        hint = "" if record.complete else "Run `medsync deploy` again: it resumes."
        raise VerificationError(f"{path} is not what is on the chain:", findings=differences, hint=hint)
    return {
        "deployment": path.stem,
        "network": record.network,
        "chain_id": record.chain_id,
        "status": record.status,
        "ok": True,
        "findings": [],
    }
