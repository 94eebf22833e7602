"""Reading what people type: times, amounts, categories, purposes, and files. Errors name option and value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer

from medsync.errors import InputError
from medsync.protocol.commitments import Domain, Opening, parse_json
from medsync.protocol.felt import InvalidValue, parse_felt
from medsync.protocol.vocabulary import Category, EmergencyChoice, Power, Purpose
from medsync.storage.files import NewFile, is_there, read_bytes
from medsync.storage.versions import UnsupportedVersion, check_form

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}

#: Seconds.
_CENTURY: Final = 100 * 366 * 86_400

TIME_HELP: Final = "ISO 8601 (2027-01-31 or 2027-01-31T12:00:00Z), unix seconds, now, or +30d (s m h d w y)."
ADDRESS_HELP: Final = "0x…, the name of an account, devnet:<n>, or me."
STUDY_HELP: Final = "0x…, or the opening that consent study new wrote."
COMMITMENT_HELP: Final = "A commitment (0x…), an opening, or any file: it is committed to with a new salt."


#: What a patient can choose for emergencies, as it is typed.
EMERGENCY_CHOICES: Final = {
    "every": EmergencyChoice.EVERY_HOSPITAL,
    "named": EmergencyChoice.NAMED_HOSPITALS,
    "nobody": EmergencyChoice.NOBODY,
}


class Unit(StrEnum):
    """What amounts are counted in."""

    TOKEN = "token"
    SMALLEST = "smallest"


def complete_purpose(incomplete: str) -> list[tuple[str, str]]:
    """The purposes that begin with what was typed."""
    return [
        (str(purpose), purpose.display)
        for purpose in Purpose
        if purpose.is_consentable and purpose.startswith(incomplete.upper())
    ]


def complete_categories(incomplete: str) -> list[str]:
    """What was typed, its last category completed."""
    return _completed(incomplete, [*Category.__members__])


def complete_powers(incomplete: str) -> list[str]:
    """What was typed, its last power completed."""
    return _completed(incomplete, [*(name.lower() for name in Power.__members__), "none"])


def _completed(incomplete: str, names: list[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    chosen = before.upper().split(",")
    return [
        f"{before}{comma}{name}" for name in names if name.startswith(last) and name.upper() not in chosen
    ]


PatientText = Annotated[str, typer.Argument(help="The patient's address: " + ADDRESS_HELP)]
PurposeText = Annotated[
    str,
    typer.Option(
        "--purpose", help="HL7 ActReason code, like HRESCH or TREAT.", autocompletion=complete_purpose
    ),
]
CategoriesText = Annotated[
    str,
    typer.Option(
        "--categories",
        help="Data categories by name, with commas; or ALL.",
        autocompletion=complete_categories,
    ),
]
StudyText = Annotated[
    str,
    typer.Option("--study", help="The study, exactly as in the consent; 0x0 is a broad one. " + STUDY_HELP),
]
UnitChoice = Annotated[
    Unit, typer.Option("--unit", help="Count amounts in whole tokens or in the smallest unit.")
]


@contextmanager
def named(name: str) -> Iterator[None]:
    """Have errors of bad input begin with the option or argument that it came by."""
    try:
        yield
    except InputError as error:
        error.message = f"{name}: {error.message}"
        raise


def time(text: str, name: str, now: int) -> int:
    """Unix seconds from ISO 8601 (UTC unless it says otherwise), digits, `now`, or an offset from `now`.

    Raises InputError for anything else, and for a time that is more than a century ahead.
    """
    seconds = _seconds(text, name, now)
    if seconds - now > _CENTURY:
        hint = "that is more than 100 years ahead."
        if text.isdigit() and abs(seconds // 1_000 - now) < _CENTURY:
            hint = f"it looks like milliseconds; in seconds it is {seconds // 1_000}."
        _refuse(name, text, hint)
    return seconds


def _seconds(text: str, name: str, now: int) -> int:
    if text == "now":
        return now
    if match := re.fullmatch(r"\+([0-9]{1,9})([smhdwy])", text):
        return now + int(match[1]) * _SECONDS[match[2]]
    if re.fullmatch(r"[0-9]{1,20}", text) and not re.fullmatch(r"[0-9]{8}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        _refuse(name, text, f"write {TIME_HELP}")
    if moment.tzinfo is None:
        if "T" in text or " " in text:
            _refuse(name, text, "say which time zone: end it with Z for UTC, or an offset like +01:00.")
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp())


def amount(text: str, name: str, decimals: int, unit: Unit | None = None) -> int:
    """An amount in the smallest unit, written in whole tokens (12.5) or in the smallest unit itself.

    `unit` is None for commands that only count in whole tokens.
    """
    places = 0 if unit is Unit.SMALLEST else decimals
    if not re.fullmatch(r"[0-9]{1,39}(\.[0-9]{1,39})?", text):
        choice = "" if unit is None else ", or with --unit smallest an integer"
        _refuse(name, text, f"write an amount like 12.5{choice}.")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > places:
        what = f"a token has {places} decimal places" if places else "the smallest unit has no parts"
        _refuse(name, text, f"{what}.")
    smallest = int(whole + fraction.ljust(places, "0"))
    if smallest >= 2**128:
        _refuse(name, text, "no pool counts that far.")
    return smallest


def purpose(text: str) -> Purpose:
    """A purpose that consents and requests can have, by its code, in any case."""
    consentable = [purpose for purpose in Purpose if purpose.is_consentable]
    if text.upper() == Purpose.BTG:
        _refuse("--purpose", text, "it needs no consent: `medsync access emergency` breaks the glass.")
    if text.upper() not in consentable:
        _refuse("--purpose", text, f"one of {', '.join(consentable)}.")
    return Purpose(text.upper())


def emergency_choice(text: str) -> EmergencyChoice:
    """Who may break the glass: every, named or nobody, in any case."""
    if text.lower() not in EMERGENCY_CHOICES:
        _refuse("CHOICE", text, f"one of {', '.join(EMERGENCY_CHOICES)}.")
    return EMERGENCY_CHOICES[text.lower()]


def study(text: str, name: str = "--study") -> int:
    """A study by its felt, or by an opening that those who run it hand out. Zero is a broad consent.

    Everybody who takes part must name the same felt: no new commitment is made here.
    """
    if text[:2] in ("0x", "0X"):
        return felt(text, name)
    return read_opening(Path(text), name, Domain.STUDY, STUDY_HELP).commitment


def categories(text: str, name: str = "--categories") -> Category:
    """A set of categories by their names, with commas, in any case."""
    return _flags(Category, text, name)


def powers(text: str) -> Power:
    """A delegate's powers by their names, with commas, in any case; `none` for none."""
    return Power(0) if text.lower() == "none" else _flags(Power, text, "--powers")


def felt(text: str, name: str) -> int:
    """A felt in hexadecimal."""
    try:
        return parse_felt(text, name)
    except InvalidValue as error:
        raise InputError(str(error)) from None


def read_json(path: Path, name: str) -> Any:
    """A JSON file's content."""
    try:
        return parse_json(read_bytes(path, f"{name}:"))
    except InvalidValue as error:
        raise InputError(f"{name}: {path} is not JSON that can be used: {error}.") from None


def commitment(text: str, name: str, domain: Domain) -> tuple[int, NewFile | None]:
    """The commitment that an option gives, and its opening, still to be written, if it was made now.

    `text` is a commitment in hexadecimal, or a file: an opening, or anything else. Anything else is committed
    to with a new salt, and the opening belongs beside it, as `<file>.record.opening.json` for a record:
    without it the commitment can never be shown to belong to the file. Where one fits, it is used again.
    """
    if text[:2] in ("0x", "0X"):
        return felt(text, name), None
    path = Path(text)
    try:
        content = read_bytes(path, f"{name}:")
    except InputError as error:
        raise InputError(error.message, hint=COMMITMENT_HELP) from None
    if _is_opening(path, content):
        return read_opening(path, name, domain, COMMITMENT_HELP).commitment, None
    kept = Path(f"{path}.{domain.name.lower()}.opening.json")
    if is_there(kept):
        known = read_opening(kept, name, domain, COMMITMENT_HELP)
        if known.value != content:
            raise InputError(
                f"{name}: {kept} does not open {path}.", hint="Move it away to make a new commitment."
            )
        return known.commitment, None
    opening = Opening.of(domain, content)
    return opening.commitment, NewFile(kept, f"{opening.to_json()}\n".encode(), f"{name}:", private=True)


def read_opening(path: Path, name: str, domain: Domain, what: str) -> Opening:
    """The opening of a commitment in a file, once it is known to open it; `what` says what to write."""
    try:
        return read_any_opening(path, name, (domain,))
    except InputError as error:
        error.hint = error.hint or f"Write {what}"
        raise


def read_any_opening(path: Path, name: str, domains: Sequence[Domain]) -> Opening:
    """The opening in a file, of a commitment of one of these domains, once it is known to open it."""
    opening = _opening(read_bytes(path, f"{name}:"), path, name)
    opening.verify()
    if opening.domain not in domains:
        wanted = " or ".join(f"a {domain.name}" for domain in domains)
        raise InputError(f"{name}: {path} opens a {opening.domain.name} commitment, not {wanted} one.")
    return opening


def _is_opening(path: Path, content: bytes) -> bool:
    """Whether a file is meant as an opening, even a damaged one, so that nobody commits to it by mistake."""
    begins_so = content.lstrip()[:1] == b"{" and b"medsync.opening/" in content
    return begins_so or path.name.endswith(".opening.json")


def _opening(content: bytes, path: Path, name: str) -> Opening:
    form = Opening.model_fields["form"]
    try:
        check_form(parse_json(content), form.default, f"{name}: {path}", member=str(form.alias))
        return Opening.from_json(content)
    except UnsupportedVersion:
        raise
    except InvalidValue as error:
        raise InputError(f"{name}: {path} cannot be used: {error}.") from None


Flags = TypeVar("Flags", Category, Power)


def _flags(kind: type[Flags], text: str, name: str) -> Flags:
    found = kind(0)
    for part in text.split(","):
        member = kind.__members__.get(part.strip().upper().replace("-", "_"))
        if member is None:
            _refuse(name, part.strip(), f"known are {', '.join(kind.__members__)}.")
        found |= member
    return found


def _refuse(name: str, text: str, hint: str) -> NoReturn:
    raise InputError(f"{name} cannot be {text!r}.", hint=hint[0].upper() + hint[1:])
