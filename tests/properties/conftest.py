"""The same deployment that the state machines use."""

from tests.stateful.conftest import system

__all__ = ["system"]
