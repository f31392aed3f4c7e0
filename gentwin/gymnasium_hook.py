"""Makes `gymnasium.make` know the environments of gentwin without importing gymnasium before its user does.

Gymnasium 1.x reads no entry points: a package registers its environments when it is imported. Importing gymnasium takes
longer than gentwin may, so if it is not loaded yet, the registration waits for the moment it is.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def register_on_import() -> None:
    """Registers the environments now if gymnasium is loaded, else right after it will have been imported."""
    if "gymnasium" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _GymnasiumFinder())


def _register() -> None:
    import_module("gentwin.envs")  # registers when imported


class _GymnasiumFinder:
    """Import finder that appends the registration to the first import of gymnasium, then steps aside."""

    _is_searching = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "gymnasium" or self._is_searching:
            return None
        self._is_searching = True
        try:
            spec = find_spec(name)
        finally:
            self._is_searching = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                sys.meta_path.remove(self)
                _register()

            spec.loader.exec_module = execute_and_register
        return spec
