"""Reading and writing files named by users: reads never block, writes are atomic."""

import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medsync.errors import InputError


def is_there(path: Path) -> bool:
    """Whether the path exists, even as a dangling link."""
    return os.path.lexists(path)


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a regular file; `what` says in errors what it is read as.

    Raises InputError for a path that cannot be read or is not a regular file: a folder, a pipe nobody writes
    to, a device without end.
    """
    try:
        # Opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise InputError(f"{what} {path} cannot be read: {_reason(error)}.") from None
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read()
    finally:
        os.close(descriptor)
    raise InputError(f"{what} {path} cannot be read: it is not a regular file.")


def read_text(path: Path, what: str) -> str:
    """The content of a regular file of UTF-8 text. Raises InputError as `read_bytes`, and for other bytes."""
    try:
        return read_bytes(path, what).decode()
    except UnicodeDecodeError:
        raise InputError(f"{what} {path} cannot be read: it is not UTF-8 text.") from None


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is to be written."""

    path: Path
    content: bytes
    #: What it is, in errors.
    what: str
    #: Whether only its owner may read it.
    private: bool = False


def write_new(files: Sequence[NewFile]) -> None:
    """Write new files, all or none. Raises InputError, and leaves nothing behind, where one cannot be."""
    made: list[Path] = []
    file = None
    try:
        for file in files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            descriptor = os.open(file.path, flags, 0o600 if file.private else 0o644)
            made.append(file.path)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(file.content)
    except BaseException as error:
        for path in made:
            os.unlink(path)
        if file is None or not isinstance(error, OSError | ValueError):
            raise
        named = f"{file.what} {file.path}"
        if isinstance(error, FileExistsError):
            raise InputError(f"{named} exists already.", hint="Name another file, or remove it.") from None
        raise InputError(f"{named} cannot be written: {_reason(error)}.") from None


def replace(file: NewFile) -> None:
    """Write a file as a whole: whatever happens meanwhile, there is the old one or the new one.

    Raises InputError where none can be made.
    """
    folder = file.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.NamedTemporaryFile(  # noqa: SIM115
            dir=folder, prefix=f".{file.path.name}.", suffix=".tmp", delete=False
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{file.what} {file.path} cannot be written: {_reason(error)}.") from None
    with temporary:
        try:
            temporary.write(file.content)
            temporary.flush()
            os.fsync(temporary.fileno())
            os.chmod(temporary.name, 0o600 if file.private else 0o644)
            os.replace(temporary.name, file.path)
        except BaseException:
            os.unlink(temporary.name)
            raise
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_to_append(path: Path, what: str) -> int:
    """A descriptor to append to a regular file; a new one can be read by its owner only.

    Raises InputError if it cannot be opened or is not a regular file, such as a folder, a pipe or a device.
    """
    try:
        # Opening a pipe would wait for a reader.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
    except (OSError, ValueError) as error:
        raise InputError(f"{what} {path} cannot be written: {_reason(error)}.") from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise InputError(f"{what} {path} cannot be written: it is not a regular file.")


def _reason(error: Exception) -> str:
    """Why a file could not be opened; a ValueError means that no file can have that name."""
    return getattr(error, "strerror", None) or "no file can be named so"
