"""Exceptions that MedSync raises, and the exit codes of its commands."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The exit status of a `medsync` command or script."""

    OK = 0
    """The command succeeded, and every requested check passed."""
    FAILED = 1
    """An unexpected error: a defect in MedSync or in a tool, not in the input."""
    USAGE = 2
    """The command line is invalid."""
    BAD_INPUT = 3
    """An argument, file or setting has an invalid value."""
    MISSING_TOOL = 4
    """A required program is missing or has the wrong version."""
    UNREACHABLE = 5
    """No node answered, or the connection broke."""
    REFUSED = 6
    """A contract or the sequencer rejected the transaction."""
    NOT_VERIFIED = 7
    """A verification ran and failed: an incomplete log, a changed artifact, a false record."""
    PUBLIC_NETWORK = 8
    """The network is public, and the command was not explicitly allowed to use one."""
    NOT_PERMITTED = 9
    """The decision is that the data may not be used."""
    INTERRUPTED = 130
    """Interrupted from the keyboard."""
    BROKEN_PIPE = 141
    """The reader of the output closed it early, as `head` does; 128 + SIGPIPE, as in other programs."""


class MedSyncError(Exception):
    """Base class of all errors that MedSync raises deliberately.

    `code` is stable and meant for programs, `message` is meant for people, and `hint`, if not empty, suggests
    what to do next.

    >>> error = InputError("The file consent.json does not exist.", hint="Check the path.")
    >>> error.code, error.exit_code.name, str(error)
    ('BAD_INPUT', 'BAD_INPUT', 'The file consent.json does not exist.')
    """

    code: str = "FAILED"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def to_json(self) -> dict[str, str | int | list[str]]:
        """Return the error as commands print it under `--json`."""
        return {
            "error": self.code,
            "message": self.message,
            "hint": self.hint,
            "exit_code": int(self.exit_code),
        }


class InputError(MedSyncError):
    """A value, file or setting supplied by the caller is malformed or contradicts another.

    >>> InputError("The address is not a felt.").to_json()["exit_code"]
    3
    """

    code = "BAD_INPUT"
    exit_code = ExitCode.BAD_INPUT


class ToolError(MedSyncError):
    """A required program is missing, has the wrong version, or failed."""

    code = "MISSING_TOOL"
    exit_code = ExitCode.MISSING_TOOL


class NetworkError(MedSyncError):
    """A node or devnet did not answer, or its answer violates the protocol.

    >>> NetworkError("The node did not answer.", hint="Check --rpc-url.").hint
    'Check --rpc-url.'
    """

    code = "UNREACHABLE"
    exit_code = ExitCode.UNREACHABLE


class VerificationError(MedSyncError):
    """A verification failed. `findings` lists every reason, each on one line.

    >>> error = VerificationError("The log is incomplete.", findings=["entry 2 is missing"])
    >>> print(error)
    The log is incomplete.
      entry 2 is missing
    """

    code = "NOT_VERIFIED"
    exit_code = ExitCode.NOT_VERIFIED

    def __init__(self, message: str, *, findings: list[str] | None = None, hint: str = "") -> None:
        self.findings = findings or []
        super().__init__("\n  ".join([message, *self.findings]), hint=hint)

    def to_json(self) -> dict[str, str | int | list[str]]:
        """The error as commands print it under `--json`, the findings also one by one."""
        return {**super().to_json(), "findings": self.findings}


class PublicNetworkError(MedSyncError):
    """The network is public, and the caller did not explicitly allow that.

    >>> PublicNetworkError("SN_SEPOLIA is a public network.").exit_code.value
    8
    """

    code = "PUBLIC_NETWORK"
    exit_code = ExitCode.PUBLIC_NETWORK


class ContractError(MedSyncError):
    """A contract rejected a call with the error `code`, such as `CONSENT/BAD_PURPOSE`, or `UNKNOWN`.

    `function` is the entry point that was called, as `Contract.function` where the contract is known.
    `message` replaces the usual `<function> refused: <code>`.

    >>> error = ContractError("CONSENT/BAD_PURPOSE", "MedSync.add_consent")
    >>> error.code, error.function
    ('CONSENT/BAD_PURPOSE', 'MedSync.add_consent')
    """

    exit_code = ExitCode.REFUSED

    def __init__(self, code: str, function: str, hint: str = "", *, message: str = "") -> None:
        self.code = code
        self.function = function
        super().__init__(message or f"{function} refused: {code}", hint=hint)


class NonceConflict(MedSyncError):
    """A transaction was refused because another transaction of the account has its nonce. Nothing was sent.

    >>> NonceConflict("MedSync.add_consent").code
    'NONCE_CONFLICT'
    """

    code = "NONCE_CONFLICT"
    exit_code = ExitCode.REFUSED

    def __init__(self, function: str) -> None:
        super().__init__(
            f"{function[:1].upper()}{function[1:]} was not sent: other transactions of the same account took "
            "its nonce.",
            hint="Trying again is safe. It helps to send from one process at a time.",
        )
