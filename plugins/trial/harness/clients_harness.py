"""Makes the package `clients/harness` importable, as `harness_of_clients`: this folder
has a package of that name, too."""

import importlib.util
import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[3] / "clients" / "harness"
_SPEC = importlib.util.spec_from_file_location(
    "harness_of_clients", _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
)
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules["harness_of_clients"] = _MODULE
_SPEC.loader.exec_module(_MODULE)
