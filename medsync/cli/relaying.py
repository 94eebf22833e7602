"""What a patient signs instead of sending it, for anybody to submit and pay for (SNIP-9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from medsync.cli.context import Context, paid
from medsync.cli.output import Answer, Hex, Time, plain
from medsync.protocol.events import event_name
from medsync.starknet.outside import SignedActs, opens, sign_acts, submit_acts
from medsync.starknet.transactions import Invocation

Sign = Annotated[
    Path | None,
    typer.Option(
        "--sign",
        help="Send nothing; sign it into this new file, for anybody to submit (consent submit) within ten "
        "minutes and pay the fee. For accounts with outside execution (SNIP-9).",
        show_default=False,
    ),
]


async def signed(context: Context, file: Path, *acts: Invocation[Any]) -> Answer:
    """Sign acts of a patient into a file."""
    medsync = await context.medsync(signing=True)
    generation = None
    # What only closes something names no generation: no node that disagrees holds it up.
    if opens(*acts):
        state = await context.agreed(medsync, lambda node: node.patient_state(medsync.account.address))
        generation = state.generation
    # A devnet may be behind the clock, and its blocks are nobody's word.
    now = None if (await context.connection()).is_local else await context.now()
    acts_signed = await sign_acts(medsync, *acts, now=now, generation=generation)
    context.files.add(file, json.dumps(acts_signed.to_json(), indent=2) + "\n", "--sign")
    context.files.write()
    return {**_shown(acts_signed), "file": str(file)}


async def submitted(context: Context, acts: SignedActs) -> Answer:
    """Submit what a patient signed."""
    medsync = await context.medsync(signing=True)
    with context.busy("Submitting"), context.keeping(medsync.account):
        result = await submit_acts(medsync, acts)
    context.sent.append(result.hash)
    return {**_shown(acts), "events": [event_name(event) for event in result.events], **paid(result)}


def _shown(acts: SignedActs) -> dict[str, Any]:
    return {
        "patient": Hex(acts.patient),
        "acts": [{"act": act.entry_point, **_arguments(act.arguments)} for act in acts.acts],
        "generation": acts.generation,
        "submit_before": Time(acts.execute_before),
    }


def _arguments(arguments: Any) -> dict[str, Any]:
    return {name: Hex(value) if type(value) is int else plain(value) for name, value in arguments.items()}
