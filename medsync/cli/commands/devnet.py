"""`medsync devnet`: a local devnet in the background."""

from __future__ import annotations

from typing import Annotated

import typer

from medsync.cli.command import command
from medsync.cli.context import Context
from medsync.cli.output import Answer
from medsync.deployment import devnet
from medsync.deployment.devnet import Background

app = typer.Typer(no_args_is_help=True, help="Run a local devnet in the background. It proves nothing.")


@command(app, "up")
async def up(
    context: Context,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; by default 5050.", min=1, max=65535)
    ] = None,
) -> Answer:
    """Start a devnet, or find the one that runs already."""
    with context.busy("Starting devnet"):
        running = devnet.background_up(port)
    return _answer(running)


@command(app, "down")
async def down(context: Context) -> Answer:
    """End the devnet that `up` started; its chain is gone for good."""
    return {"ended": devnet.background_down()}


@command(app, "status")
async def status(context: Context) -> Answer:
    """Say whether a devnet runs, and where."""
    running = devnet.background_status()
    return {"running": False} if running is None else _answer(running)


def _answer(running: Background) -> Answer:
    return {"running": True, "url": running.url, "pid": running.pid, "log": running.log}
