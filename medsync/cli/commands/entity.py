"""`medsync entity`: hospitals, researchers and auditors, and who administers them."""

from typing import Annotated, Any

import typer

from medsync.cli import values
from medsync.cli.command import command
from medsync.cli.context import Context, paid
from medsync.cli.output import Answer, Hex, Time, members
from medsync.errors import InputError
from medsync.protocol.commitments import Domain
from medsync.protocol.events import EntityRegistered, ProfileChanged
from medsync.protocol.vocabulary import Role
from medsync.starknet.clients import MedSyncClient

app = typer.Typer(no_args_is_help=True, help="Register and suspend hospitals, researchers and auditors.")
admin = typer.Typer(no_args_is_help=True, help="See the administrator, or hand the administration over.")
app.add_typer(admin, name="admin")
successor = typer.Typer(no_args_is_help=True, help="See, announce or retract what replaces the contract.")
app.add_typer(successor, name="successor")

Entity = Annotated[str, typer.Argument(help="The entity's address: " + values.ADDRESS_HELP)]


def _complete_role(incomplete: str) -> list[str]:
    return [role.name.lower() for role in Role if role is not Role.NONE]


@command(app, "register")
async def register(
    context: Context,
    entity: Entity,
    role: Annotated[
        str, typer.Option(help="hospital, researcher or auditor.", autocompletion=_complete_role)
    ],
    profile: Annotated[str, typer.Option(help="Who it is. " + values.COMMITMENT_HELP)],
) -> Answer:
    """Register an entity. For the administrator.

    Example: medsync entity register devnet:1 --role hospital --profile hospital.json
    """
    medsync = await context.medsync(signing=True)
    address = await context.address(entity, "ENTITY")
    committed = context.files.commit(profile, "--profile", Domain.PROFILE)
    result = await context.send(medsync.register_entity(address, _role(role), committed))
    return {
        "entity": Hex(address),
        "role": _role(role),
        "profile_commitment": Hex(committed),
        **paid(result),
    }


@command(app, "suspend")
async def suspend(context: Context, entity: Entity) -> Answer:
    """Suspend an entity: whatever it asks for fails from now on. For the administrator.

    Consents given to it stay as they are, and permit again once it is reinstated.
    """
    medsync = await context.medsync(signing=True)
    address = await context.address(entity, "ENTITY")
    return {
        "entity": Hex(address),
        "suspended": True,
        **paid(await context.send(medsync.suspend_entity(address))),
    }


@command(app, "suspend-self")
async def suspend_self(context: Context) -> Answer:
    """Suspend yourself, if your key may be stolen. Only the administrator can lift it. For entities."""
    medsync = await context.medsync(signing=True)
    result = await context.send(medsync.suspend_self())
    return {"entity": Hex(medsync.account.address), "suspended": True, **paid(result)}


@command(app, "reinstate")
async def reinstate(context: Context, entity: Entity) -> Answer:
    """Lift a suspension. For the administrator.

    A hospital may break the glass again 48 hours later.
    """
    medsync = await context.medsync(signing=True)
    address = await context.address(entity, "ENTITY")
    result = await context.send(medsync.reinstate_entity(address))
    return {"entity": Hex(address), "suspended": False, **paid(result)}


@command(app, "profile")
async def profile(
    context: Context,
    profile: Annotated[str, typer.Argument(help="Who you are now. " + values.COMMITMENT_HELP)],
) -> Answer:
    """Replace your profile, once a day. For registered entities."""
    medsync = await context.medsync(signing=True)
    committed = context.files.commit(profile, "PROFILE", Domain.PROFILE)
    result = await context.send(medsync.change_profile(committed))
    return {
        "entity": Hex(medsync.account.address),
        "profile_commitment": Hex(committed),
        **paid(result),
    }


@command(app, "show")
async def show(context: Context, entity: Entity) -> Answer:
    """Show an entity as the contract knows it."""
    address = await context.address(entity, "ENTITY")
    found = await (await context.medsync()).entity(address)
    return {"entity": Hex(address), **members(found)}


@command(app, "list")
async def list_(context: Context) -> Answer:
    """List all entities that were ever registered, as they are now. The list is proven complete.

    Proven as of the block that is named; exit code 7 if the node hides an entry of the registry.
    """
    history = await context.registry()
    context.say(f"Complete as of block {history.block.number}: {history.head.count} entries.")
    medsync = await context.medsync()
    profiles = {
        event.entity: event.profile_commitment
        for event in history.entries
        if isinstance(event, EntityRegistered | ProfileChanged)
    }
    return [
        {
            "entity": Hex(address),
            **members(await medsync.entity(address)),
            "profile_commitment": Hex(profile),
        }
        for address, profile in profiles.items()
    ]


@command(admin, "show")
async def admin_show(context: Context) -> Answer:
    """Show the administrator, and the next one while a hand-over is under way."""
    medsync = await context.medsync()
    return {"admin": Hex(await medsync.admin()), **await _pending(medsync)}


@command(admin, "begin")
async def admin_begin(context: Context, successor: Entity) -> Answer:
    """Begin handing over; the next administrator can accept from 48 hours to 14 days later.

    For the administrator. The next one must not be a registered entity.
    """
    medsync = await context.medsync(signing=True)
    address = await context.address(successor, "SUCCESSOR")
    result = await context.send(medsync.begin_admin_transfer(address))
    return {**await _pending(medsync), **paid(result)}


@command(admin, "cancel")
async def admin_cancel(context: Context) -> Answer:
    """Call a hand-over off. For the administrator."""
    medsync = await context.medsync(signing=True)
    return {"cancelled": True, **paid(await context.send(medsync.cancel_admin_transfer()))}


@command(admin, "accept")
async def admin_accept(context: Context) -> Answer:
    """Take the administration over. For the next administrator, once it is ready and not lapsed."""
    medsync = await context.medsync(signing=True)
    result = await context.send(medsync.accept_admin_transfer())
    return {"admin": Hex(medsync.account.address), **paid(result)}


@command(successor, "show")
async def successor_show(context: Context) -> Answer:
    """Show which deployment is announced to replace this one. Nothing here follows it by itself."""
    medsync = await context.medsync()
    return _announced(context, await medsync.successor())


@command(successor, "announce")
async def successor_announce(
    context: Context,
    successor: Annotated[str, typer.Argument(help="The other contract's address: " + values.ADDRESS_HELP)],
) -> Answer:
    """Announce the deployment that is to replace this one. For the administrator."""
    medsync = await context.medsync(signing=True)
    address = await context.address(successor, "SUCCESSOR")
    result = await context.send(medsync.announce_successor(address))
    return {"successor": Hex(address), **paid(result)}


@command(successor, "retract")
async def successor_retract(context: Context) -> Answer:
    """Take the announcement back. For the administrator."""
    medsync = await context.medsync(signing=True)
    result = await context.send(medsync.announce_successor(0))
    return {"successor": None, **paid(result)}


def _announced(context: Context, address: int) -> Answer:
    if address:
        context.say(
            "Never follow it on this word alone: anyone who stole the administrator's key could name "
            "anything. Ask the administrator another way before you use it."
        )
    return {"successor": Hex(address) if address else None}


async def _pending(medsync: MedSyncClient) -> dict[str, Any]:
    """The hand-over under way, if any, as commands answer it."""
    pending = await medsync.pending_admin()
    return {
        "next_admin": Hex(pending.address) if pending else None,
        "ready_at": Time(pending.ready_at) if pending else None,
        "lapses_at": Time(pending.lapses_at) if pending else None,
    }


def _role(text: str) -> Role:
    try:
        role = Role[text.upper()]
    except KeyError:
        role = Role.NONE
    if role is Role.NONE:
        raise InputError(f"--role cannot be {text!r}.", hint="One of hospital, researcher, auditor.")
    return role
