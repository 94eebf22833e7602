"""A parser of the documentation in the Cairo sources: interfaces, events, types and error codes.

The ABI has names and types but neither error codes nor documentation, so both are read from the Cairo
sources. The parser serves the table of error codes beside the artifacts and the published specification.

A contract is put together from its own file, those of its components, the files in the folders beside them
(`x.cairo` has `x/`), and the modules from which these import interfaces, events and error codes.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
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
    #: By heading, only for headings that occur: a list, with one line for each item.
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
class Cell:
    """A type that is packed into one cell, and the layout."""

    name: str
    #: Names and widths of its fields, from the lowest bit.
    layout: str


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
    #: The types that are stored in one cell.
    packed: tuple[Cell, ...]
    constants: tuple[Constant, ...]


class SourceError(ValueError):
    """The sources do not have the form that the parser expects. The message names the place."""


def contract_reference(sources: Path) -> Reference:
    """Read the documentation in the source folder of a package, and of the packages it depends on by path.

    Raises SourceError for missing documentation and for whatever nobody would find: an entry point without a
    summary, an error code without a meaning, a documented code that no `Errors` module defines, or codes, an
    event or an interface that belong to no contract.
    """
    modules = _modules(sources.parent)
    contracts = tuple(
        _contract(modules, module, name)
        for module, source in modules.items()
        for name in _CONTRACT.findall(source)
    )
    _assert_owned(modules, contracts)
    codes = [error.code for contract in contracts for error in contract.errors]
    if twice := sorted({code for code in codes if codes.count(code) > 1}):
        raise SourceError(f"errors belong to two contracts: {twice}")
    for contract in contracts:
        for function in contract.functions:
            if unknown := set(function.errors) - set(codes):
                raise SourceError(f"{function.name} names undefined errors: {sorted(unknown)}")
    text = "".join(modules.values())
    structs, enums = (tuple(_structures(text, kind)) for kind in ("struct", "enum"))
    return Reference(
        contracts=contracts,
        structs=structs,
        enums=enums,
        packed=tuple(_cells(text)),
        constants=tuple(
            Constant(match["name"], int(match["value"], 0), _prose(_lines(match["doc"])))
            for match in _CONSTANT.finditer(text)
        ),
    )


def error_table(reference: Reference) -> dict[str, dict[str, Any]]:
    """The table of error codes beside the artifacts: the contract, functions and meaning of each.

    The contract's own functions come first, then those of others, which fail with what it answers them.
    """
    return {
        error.code: {
            "contract": contract.name,
            "functions": failing(reference, contract, error),
            "meaning": error.meaning,
        }
        for contract in reference.contracts
        for error in contract.errors
    }


def failing(reference: Reference, contract: Contract, error: Error) -> list[str]:
    """The names of the functions that can fail with a contract's code, its own first."""
    others = (other for other in reference.contracts if other != contract)
    functions = (function for owner in (contract, *others) for function in owner.functions)
    return [function.name for function in functions if error.code in function.errors]


_CONTRACT = re.compile(r"#\[starknet::contract\]\npub mod (\w+)")
_COMPONENT = re.compile(r"#\[starknet::component\]\npub mod (\w+)")
_PART = re.compile(r"component!\(path: (\w+)")
_IMPORT = re.compile(r"^ *(?:pub )?use ([\w:]+)::(\{[^}]*\}|\w+(?: as \w+)?);", re.M)
_TRAIT = re.compile(
    r"(?P<doc>(?:^///[^\n]*\n)*)#\[starknet::interface\]\n"
    r"pub trait (?P<name>\w+)<TState> \{\n(?P<body>.*?)^\}",
    re.M | re.S,
)
_IMPLEMENTED = re.compile(r"\bof (?:super::)?(I[A-Z]\w+)<")
_FUNCTION = re.compile(
    r"(?P<doc>(?:^ +///[^\n]*\n)*)(?:^ +#\[[^\n]*\]\n)*"
    r"^ +(?P<signature>fn (?P<name>\w+)\(.*?\)[^;{]*)[;{]",
    re.M | re.S,
)
_ERRORS = re.compile(r"^( *)(?:pub )?mod Errors \{\n(?P<body>.*?)^\1\}", re.M | re.S)
_ERROR = re.compile(r"(?P<doc>(?:^ +///[^\n]*\n)*)^ +pub const \w+: felt252 = '(?P<code>[^']+)';", re.M)
_EVENTS = re.compile(
    r"#\[derive\([^)]*starknet::Event\)\]\n +(?:pub )?enum Event \{\n(.*?)^ +\}", re.M | re.S
)
_STORAGE = re.compile(r"#\[storage\]\n +(?:pub )?struct Storage \{\n(.*?)^ +\}", re.M | re.S)
_PACKING = re.compile(r"(?P<doc>(?:^///[^\n]*\n)*)^pub impl \w+ of StorePacking<(?P<name>\w+),", re.M)
_LAYOUT = re.compile(r"`\w+:\d+")
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
_HEADING = re.compile(rf"({'|'.join(SECTIONS)}):")
_CODE = re.compile(r"`([A-Z]+/[A-Z_]+)`")
_ADOPTED = re.compile(r"\bas for `(\w+)`")


def _modules(package: Path) -> dict[str, str]:
    """The sources of a package and of those it depends on by path, by the path of their modules.

    Unit tests are left out.
    """
    manifest = tomllib.loads((package / "Scarb.toml").read_text())
    found: dict[str, str] = {}
    for path in sorted((package / "src").rglob("*.cairo")):
        if path.stem != "tests":
            parts = path.relative_to(package / "src").with_suffix("").parts
            found["::".join([manifest["package"]["name"], *parts])] = path.read_text()
    for dependency in manifest.get("dependencies", {}).values():
        if isinstance(dependency, dict) and "path" in dependency:
            found |= _modules(package / dependency["path"])
    return found


def _with_nested(modules: Mapping[str, str], module: str) -> str:
    """The source of a module and of those in its folder."""
    return "".join(
        source for name, source in modules.items() if name == module or name.startswith(f"{module}::")
    )


def _imports(source: str, package: str) -> Iterator[tuple[str, str]]:
    """What a source imports from modules: the module and the name there."""
    for path, names in _IMPORT.findall(source):
        path = re.sub(r"^crate\b", package, path)
        for name in re.findall(r"(\w+)(?: as \w+)?", names):
            yield path, name


def _contract(modules: Mapping[str, str], module: str, name: str) -> Contract:
    own = modules[module]
    package = module.partition("::")[0]
    components = {part: place for place, source in modules.items() for part in _COMPONENT.findall(source)}
    interfaces: list[Interface] = []
    events: list[Structure] = []
    errors: dict[str, Error] = {}
    storage: list[Member] = []
    for place in (*(components[part] for part in _PART.findall(own)), module):
        source = _with_nested(modules, place)
        imports = [(modules.get(origin, ""), name) for origin, name in _imports(source, package)]
        # Whatever is not imported is defined in the source itself.
        origins = {name: origin for origin, name in imports}
        for implemented in _IMPLEMENTED.findall(source):
            interfaces.append(_interface(origins.get(implemented, source), implemented, place))
        for block in _EVENTS.findall(source):
            for event in _members(block):
                if "::" not in event.type:  # The events of components are listed with the components.
                    events.append(_event(origins.get(event.type, source), event.type, place))
        for text in (source, *(origin for origin, name in imports if name == "Errors")):
            errors |= {error.code: error for error in _errors(text)}
        for block in _STORAGE.findall(source):
            # The storage of components is listed with the components.
            storage += [member for member in _members(block) if not member.type.endswith("::Storage")]
    (constructor,) = (function for function in _parse_functions(own) if function.name == "constructor")
    doc = _prose([line[3:].strip() for line in own.splitlines() if line.startswith("//!")])
    return Contract(
        name, doc, constructor, tuple(interfaces), tuple(events), tuple(errors.values()), tuple(storage)
    )


def _assert_owned(modules: Mapping[str, str], contracts: Iterable[Contract]) -> None:
    """Raise SourceError for codes, events and interfaces that belong to no contract.

    An interface that a contract only calls, because others implement it, belongs to that contract.
    """
    codes = {error.code for contract in contracts for error in contract.errors}
    events = {event.name for contract in contracts for event in contract.events}
    interfaces = {interface.name for contract in contracts for interface in contract.interfaces}
    called = {
        name.removesuffix("Dispatcher")
        for source in modules.values()
        for _, name in _imports(source, "")
        if name.endswith("Dispatcher")
    }
    for module, source in modules.items():
        defined = {
            "Errors": ({error.code for error in _errors(source)}, codes),
            "events": ({event.name for event in _structures(source, "struct", "starknet::Event")}, events),
            "interfaces": ({match["name"] for match in _TRAIT.finditer(source)}, interfaces | called),
        }
        for what, (here, owned) in defined.items():
            if strangers := sorted(here - owned):
                raise SourceError(f"{what} in {module} belong to no contract: {strangers}")


def _interface(source: str, name: str, place: str) -> Interface:
    for trait in _TRAIT.finditer(source):
        if trait["name"] == name:
            return Interface(name, _prose(_lines(trait["doc"])), _resolve(_parse_functions(trait["body"])))
    raise SourceError(f"{place} implements {name}, which is not found")


def _event(source: str, name: str, place: str) -> Structure:
    for event in _structures(source, "struct", derives="starknet::Event"):
        if event.name == name:
            return event
    raise SourceError(f"{place} emits {name}, which is not found")


def _errors(source: str) -> Iterator[Error]:
    for block in _ERRORS.finditer(source):
        for match in _ERROR.finditer(block["body"]):
            yield Error(match["code"], _required(match["doc"], match["code"]))


def _cells(text: str) -> Iterator[Cell]:
    """The packed types. Their layout is described where they are packed, or else at the type."""
    docs = {
        match["name"]: _prose(_lines(match["doc"]))
        for match in re.finditer(_STRUCTURE % "struct", text, re.M | re.S)
    }
    for match in _PACKING.finditer(text):
        layout = _prose(_lines(match["doc"])) or docs.get(match["name"], "")
        if not _LAYOUT.search(layout):
            raise SourceError(f"the layout of {match['name']} is not described")
        yield Cell(match["name"], layout)


def _parse_functions(body: str) -> list[Function]:
    functions = []
    for match in _FUNCTION.finditer(body):
        summary, sections = _sections(match["name"], _lines(match["doc"]))
        signature = re.sub(r"\s+", " ", match["signature"]).replace("( ", "(").replace(", )", ")").strip()
        errors = tuple(dict.fromkeys(_CODE.findall(sections.get("Errors", ""))))
        functions.append(Function(match["name"], signature, summary, sections, errors))
    return functions


def _resolve(functions: Iterable[Function]) -> tuple[Function, ...]:
    """Add the errors that functions adopt from earlier ones, by "as for `add_consent`"."""
    done: dict[str, Function] = {}
    for function in functions:
        if not function.summary:
            raise SourceError(f"{function.name} has no documentation")
        adopted = _ADOPTED.findall(function.sections.get("Errors", ""))
        if unknown := [name for name in adopted if name not in done]:
            raise SourceError(f"{function.name} adopts the errors of unknown functions: {unknown}")
        taken = [code for name in adopted for code in done[name].errors]
        done[function.name] = replace(function, errors=tuple(dict.fromkeys([*taken, *function.errors])))
    return tuple(done.values())


def _sections(name: str, lines: list[str]) -> tuple[str, dict[str, str]]:
    """The summary of a documentation, and its lists by heading."""
    summary: list[str] = []
    found: dict[str, list[str]] = {}
    current = summary
    for line in lines:
        if heading := _HEADING.fullmatch(line):
            current = found.setdefault(heading[1], [])
        elif line and current is not summary and not current and not line.startswith("- "):
            raise SourceError(f"{name} has a section that is not a list: {line!r}")
        else:
            current.append(line)
    return _prose(summary), {heading: _prose(part) for heading, part in found.items()}


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
    """Join lines to paragraphs, which are separated by empty lines, and to items of lists."""
    paragraphs = "\n".join(lines).strip().split("\n\n")
    return "\n\n".join(
        "\n".join(" ".join(item.split()) for item in re.split(r"\n(?=- )", paragraph))
        for paragraph in paragraphs
    )


def _required(doc: str, name: str) -> str:
    if text := _prose(_lines(doc)):
        return text
    raise SourceError(f"{name} has no documentation")
