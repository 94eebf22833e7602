"""What starknet-py rarely needs is imported when it is used; everybody else gets the real libraries."""

import subprocess
import sys

import pytest

#: Libraries that reading a chain has no use for.
DEFERRED = ("sympy", "lark", "ecdsa", "eth_keyfile", "starknet_py.net.udc_deployer.deployer")


def python(script: str) -> str:
    """What a script prints that is run by a Python of its own."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module",
    ["medsync.starknet.clients", "medsync.starknet.anchor", "medsync.log.fetch", "medsync.deployment.record"],
)
def test_clients_load_none_of_it(module: str) -> None:
    found = python(f"import sys, {module}; print([name for name in {DEFERRED} if name in sys.modules])")
    assert found == "[]"


@pytest.mark.parametrize(
    "first",
    ["import medsync.starknet.clients", "import sympy, lark, eth_keyfile; import medsync.starknet.clients"],
)
def test_cairo_lang_and_others_get_the_real_libraries(first: str) -> None:
    script = f"""
{first}
from starkware.crypto.signature.signature import get_random_private_key, sign, verify, private_to_stark_key
from starkware.cairo.lang.vm.relocatable import RelocatableValue
from starkware.python.math_utils import div_mod
key = get_random_private_key()
assert verify(5, *sign(5, key), private_to_stark_key(key))
assert div_mod(1, 3, 7) == 5
from sympy.core.intfunc import igcdex
import sympy, lark
assert igcdex(12, 18)[2] == 6
assert sympy.factorint(12) == {{2: 2, 3: 1}}
print("real")
"""
    assert python(script) == "real"


def test_what_was_deferred_works_when_it_is_used() -> None:
    script = """
import medsync.starknet.clients
from pathlib import Path
from tempfile import mkdtemp
from crypto_cpp_py.utils import EC_ORDER, cpp_inv_mod_curve_size, cpp_generate_k_rfc6979
from medsync.starknet.accounts import create_keystore
from starknet_py.cairo.data_types import FeltType
from starknet_py.cairo.type_parser import TypeParser
from starknet_py.contract import Deployer
from starknet_py.net.signer.key_pair import KeyPair
assert 7 * cpp_inv_mod_curve_size(7) % EC_ORDER == 1
assert 0 < cpp_generate_k_rfc6979(5, 6) < EC_ORDER
assert isinstance(TypeParser({}).parse_inline_type("felt"), FeltType)
assert Deployer().create_contract_deployment(class_hash=1, salt=2).address > 0
path = Path(mkdtemp()) / "keystore"
public_key = create_keystore(path, "long enough", 5)
assert KeyPair.from_keystore(str(path), "long enough").public_key == public_key
print("works")
"""
    assert python(script) == "works"


def test_a_library_that_is_there_already_is_used() -> None:
    script = "import sympy, medsync.starknet.clients, crypto_cpp_py.utils as u; print(u.igcdex.__module__)"
    assert python(script) == "sympy.core.intfunc"
