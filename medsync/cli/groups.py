"""The commands of `medsync` by name. A command's module is imported when the command is used, not before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from medsync.cli.options import SETTINGS, hoist

#: By name, in the order of the list: the module in `medsync.cli.commands` is named alike, and the text is the
#: first sentence of the command's own help.
COMMANDS: Final = {
    "devnet": "Run a local devnet in the background. It proves nothing.",
    "doctor": "Look at tools, artifacts, node, account and deployment.",
    "account": "Make, fund and deploy the accounts that sign.",
    "deploy": "Deploy MedSync, have it create its reward pools, and record what was deployed.",
    "deployments": "Look at deployment records.",
    "entity": "Register and suspend hospitals, researchers and auditors.",
    "consent": "Give, ask for, refuse, revoke and judge consents.",
    "access": "Ask for access, and read, take home and verify the log of it.",
    "pool": "Fund campaigns, allow accessors, settle and draw rewards.",
    "private": "Keep encrypted records on a private node, and get one.",
    "bridge": "Anchor what a node did, issue tickets for what is permitted.",
    "anchor": "Prove what a private log includes, verify, audit; rotate its nodes.",
    "watch": "Print the contracts' events as they happen, one line each; with --json one JSON object each.",
}


class _Commands(Mapping[str, Any]):
    """The commands themselves, each made of its module when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        module = import_module(f"medsync.cli.commands.{name}")
        root = typer.Typer(add_completion=False)
        # A module holds a group, or one command of its name.
        if hasattr(module, "app"):
            root.add_typer(module.app, name=name)
        else:
            module.register(root)
        return typer.main.get_group(root).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class LazyGroup(TyperGroup):
    """The group of all commands. To be listed and completed, a command need not be imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()  # type: ignore[assignment]

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of a command line, whose global options may stand anywhere."""
        if args and args[-1] in SETTINGS and not extra.get("resilient_parsing"):
            raise typer.BadParameter("it needs a value.", param_hint=args[-1])
        return super().make_context(info_name, hoist(args), parent, **extra)

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands' names, in the order they are listed in."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command's name and help."""
        found = COMMANDS.get(cmd_name)
        return found and TyperCommand(cmd_name, callback=None, help=found)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command itself, to be run."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and self.commands[str(found.name)], rest
