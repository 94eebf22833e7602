"""Valid command lines for every command, put together from the command tree itself.

A command or parameter that is new is found by itself; it only needs a sample of what it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import typer

from medsync.cli.app import app
from medsync.starknet.account_files import OPEN_ZEPPELIN_CLASS
from medsync.starknet.network import STRK_TOKEN
from tests.fuzz import calimero, institutions
from tests.fuzz.bench import (
    ACCOUNT,
    BATCH,
    CONSENT_FILE,
    EXPORTS,
    OWN_CONSENT_FILE,
    REPORT,
    STATEMENT,
    STUDY_FILE,
    TERMS_FILE,
)
from tests.harness.histories import DAY, HOSPITAL, PATIENT, POOL, RESEARCHER, STUDY

#: A valid value for parameters of that name, and for those of one command that differ. An argument that takes
#: many has spaces between them.
VALUES: Final[dict[str, str]] = {
    "entity": hex(RESEARCHER),
    "grantee": hex(RESEARCHER),
    "accessor": hex(RESEARCHER),
    "successor": hex(HOSPITAL),
    "custodian": hex(HOSPITAL),
    "delegate": hex(HOSPITAL),
    "patient": hex(PATIENT),
    "owner": hex(PATIENT),
    "to": hex(PATIENT),
    "admin": "me",
    "hospital": hex(HOSPITAL),
    "token": hex(STRK_TOKEN),
    "pool": hex(POOL),
    "salt": "0x0",
    "port": "5050",
    "role": "hospital",
    "profile": REPORT,
    "purpose": "HRESCH",
    "categories": "LABORATORY,OBSERVATION",
    "expires": "+30d",
    "starts": "now",
    "deadline": "+1d",
    "max_uses": "3",
    "powers": "give,revoke",
    "record": REPORT,
    "study": hex(STUDY),
    "statement": REPORT,
    "entry": "5",
    "choice": "named",
    "protocol": "asthma",
    "approval": "17",
    "contact": "office",
    "open_until": "+7d",
    "at": "2026-01-01T20:00:00Z",
    "after": OWN_CONSENT_FILE,
    "sign": "new.json",
    "history": "accesses",
    "uses": "2",
    "terms": REPORT,
    "reward": TERMS_FILE,
    "campaign": TERMS_FILE,
    "output": "new.json",
    "format": "json",
    "amount": "1",
    "unit": "token",
    "from_block": "0",
    "count": "2",
    "patience": "0.4",
    "websocket": "ws://127.0.0.1:1/",
    "pool allowance add.terms": TERMS_FILE,
    "pool allowance remove.terms": TERMS_FILE,
    "pool allowance revoke.terms": TERMS_FILE,
    "pool settle-custodian.terms": TERMS_FILE,
    "pool close.terms": TERMS_FILE,
    "pool announce-close.terms": TERMS_FILE,
    "pool fund.terms": "new.json",
    "pool fund.rate": "0.5",
    "pool fund.custodian_bps": "100",
    "consent submit.file": CONSENT_FILE,
    "consent verify.campaign": "0x0",
    "consent study show.file": STUDY_FILE,
    "access statement.file": STATEMENT,
    "access batch.file": BATCH,
    "access verify.file": EXPORTS["json"],
    "account": ACCOUNT,
    "class_hash": hex(OPEN_ZEPPELIN_CLASS),
    "keystore": "new.json",
    "account new.name": "fresh",
    "account fund.account": hex(PATIENT),
    "anchor_nodes": institutions.NODES,
    "home": institutions.HOSPITAL,
    "passphrase_file": institutions.PASSPHRASE_FILE,
    "node": "embedded",
    "capacity": "10",
    "key": institutions.ACCESSOR_KEY,
    "ticket": institutions.TICKET,
    "presentation": institutions.PRESENTATION,
    "released": institutions.RELEASED,
    "request": institutions.REQUEST,
    "output_file": "new.json",
    "label": "bed 7",
    "update": institutions.RECORDS[1],
    "also": institutions.CLINIC,
    "openings": institutions.OPENINGS,
    "interval": "0.5",
    "ticket_life": "900",
    "oldest_entry": str(30 * DAY),
    "homes": institutions.HOSPITAL,
    "threshold": "1",
    "index": "0",
    "nodes": institutions.NEXT_NODES,
    "signatures": " ".join(institutions.ROTATIONS.values()),
    "life": "600",
    "expect": calimero.MEMBER,
    "private init.home": "new-home",
    "private key.file": "new.json",
    "private put.file": institutions.RESOURCE,
    "private backup.file": "new.db",
    "private erase.record": institutions.RECORDS[0],
    "private register-backup.file": institutions.VAULT_COPY,
    "private forget-backup.file": institutions.GONE,
    "private invite.home": institutions.REAL,
    "private join.home": institutions.REAL,
    "private join.file": institutions.INVITATION,
    "private members.home": institutions.REAL,
    "anchor prove.record": institutions.RECORDS[0],
    "anchor verify.file": institutions.PROOF,
}

#: Flags without which a command never ends: they are always given.
ALWAYS: Final = frozenset({"bridge run.once"})

#: Options that are only given when it is them that are tried, and the one that is left out then, if any.
APART: Final[dict[str, str]] = {
    "pool fund.amount": "uses",
    "consent verify.at": "",
    "consent sign.after": "",
    "consent revoke-all.patient": "",
    "consent revoke-all.sign": "",
    "consent refuse.sign": "patient",
    **{
        f"{command}.sign": ""
        for command in (
            *("consent refuse-purpose", "consent allow-purpose", "consent delegate"),
            *("consent dismiss-delegates", "consent cancel-signatures", "consent emergency choose"),
            *("consent emergency allow", "consent emergency forbid", "access contest", "pool withdraw"),
        )
    },
    "anchor prove.index": "record",
    "private put.update": "",
    "private list.patient": "",
}

#: Parameters that are not tried: those of the program itself, which show help or change the user's shell; and
#: what needs a real node to succeed, whose file is tried where it is kept.
UNTRIED: Final = frozenset({"help", "version", "install_completion", "show_completion", "login"})


@dataclass(frozen=True)
class Parameter:
    """One argument or option of a command."""

    name: str
    #: As it is written, `--terms`, or how messages name it, `GRANTEE`.
    shown: str
    is_flag: bool
    is_argument: bool
    #: A valid value; empty for a flag.
    value: str
    #: Whether it is an argument that takes one value or more.
    is_many: bool = False
    #: Whether it is given in every line, though it is a flag.
    is_always: bool = False
    #: The option that it takes the place of, or nothing, if it is only given when it is tried.
    instead: str | None = None

    def given(self, value: str | None = None) -> list[str]:
        """It and its value as they stand on a command line."""
        if value is None and self.is_many:
            return self.value.split()
        value = self.value if value is None else value
        if self.is_argument:
            return [value]
        if self.is_flag:
            return [f"{self.shown}={value}" if value else self.shown]
        # In one word, so that a value that looks like an option is one all the same.
        return [f"{self.shown}={value}"]


@dataclass(frozen=True)
class Command:
    """A command by its path in the tree, `consent add`."""

    path: str
    parameters: tuple[Parameter, ...]

    def line(
        self, changed: Parameter | None = None, value: str | None = None, *flags: Parameter
    ) -> list[str]:
        """A valid command line that gives arguments and options once, one of them with another value."""
        options: list[str] = []
        arguments: list[str] = []
        for one in self.parameters:
            is_optional = one.instead is not None or (one.is_flag and not one.is_always)
            if one != changed and (
                (is_optional and one not in flags) or (changed and one.name == changed.instead)
            ):
                continue
            words = one.given(value if one == changed else None)
            (arguments if one.is_argument else options).extend(words)
        return [*self.path.split(), *options, *(["--", *arguments] if arguments else [])]

    @property
    def flags(self) -> list[Parameter]:
        return [one for one in self.parameters if one.is_flag]

    @property
    def lines(self) -> list[list[str]]:
        """Valid lines: one, one with each flag, and one with each option that is only given by itself."""
        apart = [one for one in self.parameters if one.instead is not None]
        return [
            self.line(),
            *(self.line(None, None, flag) for flag in self.flags if not flag.is_always),
            *(self.line(one, one.value) for one in apart),
        ]


def commands() -> list[Command]:
    """Every command of the command line."""
    return list(_below(typer.main.get_command(app), ""))


def _below(node: Any, path: str) -> Iterator[Command]:
    inner = getattr(node, "commands", {})
    for name, one in inner.items():
        yield from _below(one, f"{path} {name}".strip())
    if not inner:
        yield Command(path, tuple(_parameter(path, one) for one in node.params if one.name not in UNTRIED))


def _parameter(path: str, one: Any) -> Parameter:
    is_flag = bool(getattr(one, "is_flag", False))
    is_argument = one.param_type_name == "argument"
    value = "" if is_flag else VALUES.get(f"{path}.{one.name}", VALUES.get(one.name))
    assert value is not None, f"{path}: a sample of {one.name} is missing in VALUES"
    shown = one.name.upper() if is_argument else one.opts[0]
    name = f"{path}.{one.name}"
    is_many = is_argument and one.nargs == -1
    return Parameter(one.name, shown, is_flag, is_argument, value, is_many, name in ALWAYS, APART.get(name))
