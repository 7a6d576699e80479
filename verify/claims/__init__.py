"""The claims, one topic per module.  `load_claims` imports all modules of this package."""

import importlib
import pkgutil

from verify.engine.registry import REGISTRY, Registry


def load_claims() -> Registry:
    """Import every module of this package, which registers its claims.

    Returns
    -------
    Registry
        All claims.

    """
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"verify.claims.{module}")
    return REGISTRY
