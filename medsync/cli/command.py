"""A coroutine function as a command: run to its end, its answer shown, its exit code returned."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Concatenate, Final, ParamSpec, get_type_hints

import typer
from typer.core import TyperCommand

from medsync._version import __version__
from medsync.cli import interrupt, logs, output
from medsync.cli.context import Context
from medsync.cli.options import FLAGS, SETTINGS, current
from medsync.cli.output import Answer
from medsync.errors import MedSyncError

P = ParamSpec("P")
Function = Callable[Concatenate[Context, P], Awaitable[Answer | None]]

_EPILOG: Final = "Global options may stand anywhere: see medsync --help."


#: The command that runs, as it is typed: `medsync entity list`.
_path: ContextVar[str] = ContextVar("path")


class _Command(TyperCommand):
    """A command that completes the global options as if they were its own."""

    def invoke(self, ctx: Any) -> Any:
        _path.set(ctx.command_path)
        return super().invoke(ctx)

    def get_params(self, ctx: Any) -> list[Any]:
        own: list[Any] = super().get_params(ctx)
        if not ctx.resilient_parsing:
            return own
        everywhere = FLAGS | SETTINGS
        return own + [option for option in ctx.find_root().command.params if option.opts[0] in everywhere]


def _reflowed(text: str) -> str:
    """Paragraphs on one line each, which the terminal's width then breaks; lists and examples as they are."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        part if any(line.startswith(("- ", " ")) for line in part.splitlines()) else " ".join(part.split())
        for part in paragraphs
    )


def command(group: typer.Typer, name: str) -> Callable[[Function[P]], Function[P]]:
    """Make a coroutine function a command: it gets the context and its parameters; its answer is shown."""

    def register(function: Function[P]) -> Function[P]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            log = logging.getLogger(function.__module__)
            return _run(log, lambda context: function(context, *args, **kwargs))

        # Typer reads the parameters from the signature, in which the context has no place.
        hints = get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters.values())[1:]
        run.__annotations__ = {parameter.name: hints[parameter.name] for parameter in parameters}
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(annotation=hints[parameter.name]) for parameter in parameters]
        )
        help_text = _reflowed(inspect.getdoc(function) or "")
        group.command(name, cls=_Command, help=help_text, epilog=_EPILOG)(run)
        return function

    return register


def _show(answer: Answer, context: Context) -> None:
    """Print an answer. If that fails, what was sent is not lost with it."""
    try:
        output.show(answer, as_json=context.options.json)
    except BrokenPipeError:
        if context.sent:
            output.say(f"Sent: {', '.join(map(hex, context.sent))}", as_json=context.options.json)
        raise
    except OSError as error:
        raise output.OutputError(str(error.strerror), context.sent) from None


def _run(log: logging.Logger, function: Callable[[Context], Awaitable[Answer | None]]) -> int:
    """Run a command to its end, show its answer, and return its exit code. `log` is the command's own."""
    interrupt.watch_command()
    if not gc.isenabled():
        # What `main` has imported stays. Collections that look through it would take as long as the imports.
        gc.freeze()
        gc.enable()
    options, path = current.get(), _path.get()
    context = Context(options)

    async def whole() -> Answer | None:
        async with context:
            return await function(context)

    with logs.logged(options.log_level, options.log_file, as_json=options.json):
        log.info("%s started.", path, extra={"version": __version__})
        try:
            answer = asyncio.run(whole())
            if openings := context.files.openings:
                assert isinstance(answer, Mapping)
                answer = {**answer, "keep": [str(path) for path in openings]}
            if answer is not None:
                _show(answer, context)
        except KeyboardInterrupt:
            stopped = interrupt.interrupted(context.sent, context.resume_hint)
            log.error("%s ended: %s", path, stopped.message)
            raise stopped from None
        except MedSyncError as error:
            log.error(
                "%s failed: %s",
                path,
                output.discreet(error.message),
                extra={"error": error.code, "hint": error.hint},
            )
            raise
        except BrokenPipeError:
            log.info("%s ended: nobody read its answer to the end.", path)
            raise
        except Exception as error:
            log.error("%s failed: unexpected %s.", path, type(error).__name__, exc_info=error)
            raise
        log.info("%s ended with exit code %d.", path, context.exit_code)
    return context.exit_code
