"""Defers imports of large libraries, of which starknet-py uses a function or two, to the first call of those.

At their top, some of its modules import sympy for a modular inverse, lark for the types of Cairo 0, and
eth_keyfile for keystores: 70 % of the time of importing its account. While one of the modules in `_DEFERRED`
is executed, and no longer, a stand-in takes the place of what it imports: a module whose functions import the
real one when they are called. Nobody else keeps a stand-in: other code that uses sympy or lark in the same
process gets the real one, before and after.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

#: By module, what it imports of which it calls functions only, and rarely.
_DEFERRED: Final[Mapping[str, Sequence[str]]] = {
    "crypto_cpp_py.utils": ("sympy.core.intfunc", "ecdsa.rfc6979"),
    "medsync.starknet.accounts": ("eth_keyfile.keyfile",),
    "starknet_py.cairo.type_parser": ("starknet_py.cairo.deprecated_parse.parser",),
    "starknet_py.cairo.v1.type_parser": ("starknet_py.abi.v1.parser_transformer",),
    "starknet_py.cairo.v2.type_parser": ("starknet_py.abi.v2.parser_transformer",),
    "starknet_py.contract": ("starknet_py.net.udc_deployer.deployer",),
    "starknet_py.net.account.account": ("starknet_py.net.tip",),
    "starknet_py.net.signer.key_pair": ("eth_keyfile.keyfile",),
}

#: By module, what it does without. pycryptodome then calls its library by ctypes: the parser of C that cffi
#: needs takes longer to import than it saves.
_ABSENT: Final[Mapping[str, Sequence[str]]] = {"Crypto.Util._raw_api": ("cffi",)}


def _igcdex(a: int, b: int) -> tuple[int, int, int]:
    """sympy's extended Euclid for coprime numbers, the only ones it is called with here."""
    inverse = pow(a, -1, b)
    return inverse, (1 - a * inverse) // b, 1


#: Functions so small that their library is not worth importing even when they are called.
_OWN: Final[Mapping[tuple[str, str], Callable[..., Any]]] = {("sympy.core.intfunc", "igcdex"): _igcdex}


class _StandIn(ModuleType):
    """A module of functions that import the real module when they are called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _OWN.get((self.__name__, name)) or _later(self.__name__, name)


def _later(module: str, name: str) -> Callable[..., Any]:
    def function(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(module), name)(*arguments, **options)

    return function


class _Executor(Loader):
    """Executes a module as its own loader does, with stand-ins for what it imports."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # None makes the import fail.
        stand_ins: dict[str, Any] = dict.fromkeys(_ABSENT.get(module.__name__, ()))
        stand_ins |= {name: _StandIn(name) for name in _DEFERRED.get(module.__name__, ())}
        # What is imported already costs nothing.
        stand_ins = {name: stand_in for name, stand_in in stand_ins.items() if name not in sys.modules}
        sys.modules.update(stand_ins)
        try:
            self._loader.exec_module(module)
        finally:
            for name in stand_ins:
                del sys.modules[name]

    def __getattr__(self, name: str) -> Any:
        # Reading sources and data files, for tracebacks and the like, is left to the module's own loader.
        return getattr(self._loader, name)


class _Finder(MetaPathFinder):
    """Finds the modules whose imports are deferred."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _DEFERRED and fullname not in _ABSENT:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Executor(spec.loader)
        return spec


def install() -> None:
    """Defer these imports from now on. Modules that were imported before stay as they are."""
    sys.meta_path.insert(0, _Finder())
