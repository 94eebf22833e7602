"""Makes starknet-py import what it rarely uses at the first use, not at its own import.

At their top, some of its modules import a large library for one function: sympy for a modular inverse, lark
for the types of Cairo 0, eth_keyfile for keystores. That was 70 % of the time of importing its account.
While one of the modules named in `_STAND_INS` is executed, and no longer, a stand-in takes the library's
place: a module whose one function imports the real one when it is called. Nobody else sees a stand-in, so
other code that uses sympy or lark in the same process gets the real module, before and after.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final


def _later(module: str, name: str) -> Callable[..., Any]:
    """A function that imports its module when it is called."""

    def function(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(module), name)(*arguments, **options)

    return function


def _igcdex(a: int, b: int) -> tuple[int, int, int]:
    """sympy's extended Euclid for coprime numbers, the only ones it is called with here."""
    inverse = pow(a, -1, b)
    return inverse, (1 - a * inverse) // b, 1


#: By the module that imports them: modules, each with the one function that is used there; or None, where the
#: importer does without the module.
_STAND_INS: Final[dict[str, list[tuple[str, str, Callable[..., Any] | None]]]] = {
    # Then it calls its library by ctypes: cffi's parser of C takes longer to import than it saves.
    "Crypto.Util._raw_api": [("cffi", "", None)],
    "crypto_cpp_py.utils": [
        ("sympy.core.intfunc", "igcdex", _igcdex),
        ("ecdsa.rfc6979", "generate_k", _later("ecdsa.rfc6979", "generate_k")),
    ],
    **{
        importer: [(module, function, _later(module, function))]
        for importer, module, function in (
            ("starknet_py.net.signer.key_pair", "eth_keyfile.keyfile", "extract_key_from_keyfile"),
            ("starknet_py.net.account.account", "starknet_py.net.tip", "estimate_tip"),
            ("starknet_py.contract", "starknet_py.net.udc_deployer.deployer", "Deployer"),
            ("starknet_py.cairo.type_parser", "starknet_py.cairo.deprecated_parse.parser", "parse"),
            ("starknet_py.cairo.v1.type_parser", "starknet_py.abi.v1.parser_transformer", "parse"),
            ("starknet_py.cairo.v2.type_parser", "starknet_py.abi.v2.parser_transformer", "parse"),
        )
    },
}


def _module(name: str, function: str, later: Callable[..., Any]) -> ModuleType:
    module = ModuleType(name)
    setattr(module, function, later)
    return module


class _Executor(Loader):
    """Executes a module as its own loader does, with the stand-ins in place."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        stand_ins: dict[str, Any] = {}
        for name, function, later in _STAND_INS[module.__name__]:
            if name not in sys.modules:
                # None makes importing it fail.
                stand_ins[name] = None if later is None else _module(name, function, later)
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
    """Finds the modules that import a stand-in."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _STAND_INS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Executor(spec.loader)
        return spec


def install() -> None:
    """Defer these imports from now on. Modules that were imported before stay as they are."""
    sys.meta_path.insert(0, _Finder())
