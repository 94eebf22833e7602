"""The errors MedSync raises for people to read, and the exit codes its commands end with."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What a `medsync` command or script tells its shell."""

    OK = 0
    """Done, and every check that was asked for passed."""
    FAILED = 1
    """Something unexpected happened: a defect here or in a tool, not in the input."""
    USAGE = 2
    """The command line could not be understood."""
    BAD_INPUT = 3
    """An argument, file or setting was understood and is wrong."""
    MISSING_TOOL = 4
    """A program this needs is absent or has the wrong version."""
    UNREACHABLE = 5
    """No node answered, or it broke off."""
    REFUSED = 6
    """A contract, or the sequencer in front of it, refused the transaction."""
    NOT_VERIFIED = 7
    """A check ran to its end and its answer is no: incomplete log, drifted artifact, false record."""
    PUBLIC_NETWORK = 8
    """The network is public and that was not explicitly allowed."""
    NOT_PERMITTED = 9
    """The question was answered, and the answer is that the data may not be used."""
    INTERRUPTED = 130
    """Stopped from the keyboard."""
    BROKEN_PIPE = 141
    """Whoever read the answer closed it before its end, like `head`; 128 + SIGPIPE, as other programs end."""


class MedSyncError(Exception):
    """Base of every error MedSync raises on purpose.

    `code` is stable and for programs, the message for people; `hint`, if not empty, says what to do next.
    """

    code: str = "FAILED"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def to_json(self) -> dict[str, str | int | list[str]]:
        """The error as commands print it under `--json`."""
        return {
            "error": self.code,
            "message": self.message,
            "hint": self.hint,
            "exit_code": int(self.exit_code),
        }


class InputError(MedSyncError):
    """A value, file or setting from outside is malformed or contradicts another."""

    code = "BAD_INPUT"
    exit_code = ExitCode.BAD_INPUT


class ToolError(MedSyncError):
    """A program this needs is absent, has the wrong version, or failed."""

    code = "MISSING_TOOL"
    exit_code = ExitCode.MISSING_TOOL


class NetworkError(MedSyncError):
    """A node or devnet did not answer, or answered outside its protocol."""

    code = "UNREACHABLE"
    exit_code = ExitCode.UNREACHABLE


class VerificationError(MedSyncError):
    """A verification came to the answer no. `findings` lists every reason, one line each."""

    code = "NOT_VERIFIED"
    exit_code = ExitCode.NOT_VERIFIED

    def __init__(self, message: str, *, findings: list[str] | None = None, hint: str = "") -> None:
        self.findings = findings or []
        super().__init__("\n  ".join([message, *self.findings]), hint=hint)

    def to_json(self) -> dict[str, str | int | list[str]]:
        """The error as commands print it under `--json`, the findings also one by one."""
        return {**super().to_json(), "findings": self.findings}


class PublicNetworkError(MedSyncError):
    """The network is not a local devnet and nobody said that is intended."""

    code = "PUBLIC_NETWORK"
    exit_code = ExitCode.PUBLIC_NETWORK


class ContractError(MedSyncError):
    """A contract refused a call with `code`, such as `CONSENT/BAD_PURPOSE`; `UNKNOWN` if it gave none.

    `function` is the entry point that was called, as `Contract.function` where the contract is known.
    `message` replaces the usual `<function> refused: <code>`.
    """

    exit_code = ExitCode.REFUSED

    def __init__(self, code: str, function: str, hint: str = "", *, message: str = "") -> None:
        self.code = code
        self.function = function
        super().__init__(message or f"{function} refused: {code}", hint=hint)


class NonceConflict(MedSyncError):
    """A transaction was refused because another one of the same account has its nonce. Nothing was sent."""

    code = "NONCE_CONFLICT"
    exit_code = ExitCode.REFUSED

    def __init__(self, function: str) -> None:
        super().__init__(
            f"{function[:1].upper()}{function[1:]} was not sent: other transactions of the same account took "
            "its nonce.",
            hint="Trying again is safe. It helps to send from one process at a time.",
        )
