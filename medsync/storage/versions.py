"""Versions of what is kept on disk: a file of another version is migrated, or refused by name.

A JSON file says its format and version in one member, `form` or `schema`, as in `medsync.private-home/2`; a
database has a number. A change of what such a file means raises the version, and either migrates older
files or has them refused here.
"""

from __future__ import annotations

import re
from typing import Final

from medsync.protocol.felt import InvalidValue

#: What to do about a version that this program does not know yet.
NEWER: Final = "It was written by a newer MedSync: upgrade this one."
#: What to do about a former version, unless the caller knows better.
OLDER: Final = (
    "It was written by an older MedSync: use that version, or move the file away and make a new one."
)


class UnsupportedVersion(InvalidValue):
    """A file's format has another version than the one that this program reads."""

    code = "UNSUPPORTED_VERSION"


def check_version(found: int, supported: int, what: str, *, older: str = OLDER) -> None:
    """Raise UnsupportedVersion, naming both, unless the versions are the same.

    `what` names the file with its path, and `older` says what to do about a former version.
    """
    if found != supported:
        raise UnsupportedVersion(
            f"{what} has format version {found}; this program reads version {supported}.",
            hint=NEWER if found > supported else older,
        )


def check_form(
    document: object, supported: str, what: str, *, member: str = "form", older: str = OLDER
) -> None:
    """Raise UnsupportedVersion for a JSON document of the format `supported` in another version.

    `supported` is `<format>/<version>`. A document of another format, or that names none, is left to the code
    that reads it.
    """
    name, _, version = supported.rpartition("/")
    form = document.get(member) if isinstance(document, dict) else None
    if isinstance(form, str) and (match := re.fullmatch(rf"{re.escape(name)}/([0-9]{{1,9}})", form)):
        check_version(int(match[1]), int(version), what, older=older)
