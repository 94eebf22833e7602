"""A parser of the documentation in the Cairo sources: interfaces, events, types and error codes.

The ABI has names and types but neither error codes nor documentation, so both are read from the Cairo
sources. The parser serves the table of error codes beside the artifacts and the published specification.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: Headings of a function's documentation.
SECTIONS: Final = ("Preconditions", "Effects", "Emits", "Errors", "Access")


@dataclass(frozen=True, slots=True)
class Function:
    """An entry point as declared in its trait."""

    name: str
    #: Its declaration in Cairo, on one line.
    signature: str
    #: The text before the first section.
    summary: str
    #: Text by heading, only for headings that occur.
    sections: dict[str, str]
    #: All codes it can fail with, including those adopted from other functions.
    errors: tuple[str, ...]

    @property
    def is_view(self) -> bool:
        """Whether it is a view, which only reads."""
        return "self: @TState" in self.signature


@dataclass(frozen=True, slots=True)
class Interface:
    """A trait that a contract implements, with its functions in source order."""

    name: str
    summary: str
    functions: tuple[Function, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a struct or an event, or a variant of an enum."""

    name: str
    #: Its Cairo type, empty for a variant.
    type: str
    doc: str
    #: Whether it is a key of an event.
    key: bool = False


@dataclass(frozen=True, slots=True)
class Structure:
    """A struct, an enum or an event, with its members in source order."""

    name: str
    doc: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Error:
    """An error code and its meaning."""

    code: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A documented constant."""

    name: str
    value: int
    doc: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A deployed contract, combined from its source and those of its components."""

    name: str
    doc: str
    constructor: Function
    interfaces: tuple[Interface, ...]
    events: tuple[Structure, ...]
    errors: tuple[Error, ...]
    #: Its storage variables.
    storage: tuple[Member, ...]

    @property
    def functions(self) -> tuple[Function, ...]:
        """The constructor and every entry point."""
        return (
            self.constructor,
            *(function for interface in self.interfaces for function in interface.functions),
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """The documentation in all sources."""

    contracts: tuple[Contract, ...]
    structs: tuple[Structure, ...]
    enums: tuple[Structure, ...]
    #: The structs that are stored in one cell; their documentation describes the layout.
    packed: tuple[Structure, ...]
    constants: tuple[Constant, ...]


class SourceError(ValueError):
    """The sources do not have the form that the parser expects. The message names the place."""


def contract_reference(sources: Path) -> Reference:
    """Read the documentation in a folder of Cairo sources.

    Raises SourceError for missing documentation and for unknown references: an entry point without a summary,
    an error code without a meaning, or a documented code that no `Errors` module defines.
    """
    files = {path.stem: path.read_text() for path in sorted(sources.glob("*.cairo"))}
    text = "".join(files.values())
    owners = {name: source for source in files.values() for name in re.findall(_COMPONENT, source)}
    contracts = []
    for source in files.values():
        for name in re.findall(_CONTRACT, source):
            parts = [owners[part] for part in re.findall(r"component!\(path: (\w+)", source)] + [source]
            contracts.append(_contract(name, parts, text))
    codes = {error.code for contract in contracts for error in contract.errors}
    for contract in contracts:
        for function in contract.functions:
            if unknown := set(function.errors) - codes:
                raise SourceError(f"{function.name} names undefined errors: {sorted(unknown)}")
    packed = re.findall(r"of StorePacking<(\w+),", text)
    return Reference(
        contracts=tuple(contracts),
        structs=tuple(_structures(text, "struct")),
        enums=tuple(_structures(text, "enum")),
        packed=tuple(
            structure for structure in _structures(text, "struct", derives="Copy") if structure.name in packed
        ),
        constants=tuple(
            Constant(match["name"], int(match["value"], 0), _prose(_lines(match["doc"])))
            for match in _CONSTANT.finditer(text)
        ),
    )


def error_table(reference: Reference) -> dict[str, dict[str, Any]]:
    """The table of error codes beside the artifacts: the contract, functions and meaning of each."""
    table: dict[str, dict[str, Any]] = {}
    for contract in reference.contracts:
        for error in contract.errors:
            functions = [function.name for function in contract.functions if error.code in function.errors]
            table[error.code] = {
                "contract": contract.name,
                "functions": functions,
                "meaning": error.meaning,
            }
    return table


_CONTRACT = re.compile(r"#\[starknet::contract\]\npub mod (\w+)")
_COMPONENT = re.compile(r"#\[starknet::component\]\npub mod (\w+)")
_TRAIT = re.compile(
    r"(?P<doc>(?:^///[^\n]*\n)*)#\[starknet::interface\]\n"
    r"pub trait (?P<name>\w+)<TState> \{\n(?P<body>.*?)^\}",
    re.M | re.S,
)
_FUNCTION = re.compile(
    r"(?P<doc>(?:^ +///[^\n]*\n)*)(?:^ +#\[[^\n]*\]\n)*"
    r"^ +(?P<signature>fn (?P<name>\w+)\(.*?\)[^;{]*)[;{]",
    re.M | re.S,
)
_ERRORS = re.compile(r"^pub mod Errors \{\n(.*?)^\}", re.M | re.S)
_ERROR = re.compile(r"(?P<doc>(?:^ +///[^\n]*\n)*)^ +pub const \w+: felt252 = '(?P<code>[^']+)';", re.M)
_STORAGE = re.compile(r"#\[storage\]\n +(?:pub )?struct Storage \{\n(.*?)^ +\}", re.M | re.S)
_CONSTANT = re.compile(r"(?P<doc>(?:^///[^\n]*\n)+)^pub const (?P<name>\w+): u\d+ =\s*(?P<value>\w+);", re.M)
_STRUCTURE = (
    r"(?P<doc>(?:^ *///[^\n]*\n)*)^ *#\[derive\((?P<derive>[^)]*)\)\]\n"
    r" *pub %s (?P<name>\w+) \{\n(?P<body>.*?)^ *\}"
)
_MEMBER = re.compile(
    r"(?P<doc>(?:^ +///[^\n]*\n)*)(?P<key>^ +#\[key\]\n)?"
    r"^ +(?:pub )?(?P<name>\w+)(?:: (?P<type>[^\n]*))?,\n",
    re.M,
)
_HEADING = re.compile(rf"({'|'.join(SECTIONS)})((?:, \w+)*(?: and \w+)?): ?")
_CODE = re.compile(r"`([A-Z]+/[A-Z_]+)`")


def _contract(name: str, parts: list[str], everything: str) -> Contract:
    own = parts[-1]
    interfaces: list[Interface] = []
    events: list[Structure] = []
    errors: list[Error] = []
    storage: list[Member] = []
    for source in parts:
        for implemented in re.findall(r"\bof (?:super::)?(I[A-Z]\w+)<", source):
            (trait,) = (match for match in _TRAIT.finditer(everything) if match["name"] == implemented)
            functions = _resolve(_parse_functions(trait["body"]))
            interfaces.append(Interface(implemented, _prose(_lines(trait["doc"])), functions))
        events += _structures(source, "struct", derives="starknet::Event")
        for block in _ERRORS.findall(source):
            for match in _ERROR.finditer(block):
                errors.append(Error(match["code"], _required(match["doc"], match["code"])))
        for block in _STORAGE.findall(source):
            # The storage of components is listed with the components.
            storage += [member for member in _members(block) if not member.type.endswith("::Storage")]
    (constructor,) = (function for function in _parse_functions(own) if function.name == "constructor")
    doc = _prose([line[3:].strip() for line in own.splitlines() if line.startswith("//!")])
    return Contract(name, doc, constructor, tuple(interfaces), tuple(events), tuple(errors), tuple(storage))


def _parse_functions(body: str) -> list[Function]:
    functions = []
    for match in _FUNCTION.finditer(body):
        summary, sections = _sections(_lines(match["doc"]))
        signature = re.sub(r"\s+", " ", match["signature"]).replace("( ", "(").replace(", )", ")").strip()
        errors = tuple(dict.fromkeys(_CODE.findall(sections.get("Errors", ""))))
        functions.append(Function(match["name"], signature, summary, sections, errors))
    return functions


def _resolve(functions: Iterable[Function]) -> tuple[Function, ...]:
    """Add the errors that functions adopt from others, as in "as `add_consent`"."""
    done: dict[str, Function] = {}
    for function in functions:
        if not function.summary:
            raise SourceError(f"{function.name} has no documentation")
        named = re.findall(r"`(\w+)`", function.sections.get("Errors", ""))
        taken = [code for name in named if name in done for code in done[name].errors]
        errors = tuple(dict.fromkeys([*taken, *function.errors]))
        done[function.name] = Function(
            function.name, function.signature, function.summary, function.sections, errors
        )
    return tuple(done.values())


def _sections(lines: list[str]) -> tuple[str, dict[str, str]]:
    """The summary of a documentation, and its text by heading. A heading may name several sections."""
    summary: list[str] = []
    found: dict[str, list[str]] = {}
    current = [summary]
    for line in lines:
        if heading := _HEADING.match(line):
            names = [heading[1], *re.findall(r"\w+", heading[2].replace(" and ", " "))]
            current = [found.setdefault(name.capitalize(), []) for name in names]
            line = line[heading.end() :]
        for part in current:
            part.append(line)
    return _prose(summary), {name: _prose(part) for name, part in found.items()}


def _structures(text: str, kind: str, derives: str = "Serde") -> Iterator[Structure]:
    for match in re.finditer(_STRUCTURE % kind, text, re.M | re.S):
        if derives in match["derive"]:
            yield Structure(match["name"], _prose(_lines(match["doc"])), _members(match["body"]))


def _members(body: str) -> tuple[Member, ...]:
    return tuple(
        Member(match["name"], match["type"] or "", _prose(_lines(match["doc"])), match["key"] is not None)
        for match in _MEMBER.finditer(body)
    )


def _lines(doc: str) -> list[str]:
    return [line.strip().removeprefix("///").strip() for line in doc.splitlines()]


def _prose(lines: list[str]) -> str:
    """Join lines to paragraphs, which are separated by empty lines."""
    paragraphs = "\n".join(lines).strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _required(doc: str, name: str) -> str:
    if text := _prose(_lines(doc)):
        return text
    raise SourceError(f"{name} has no documentation")
