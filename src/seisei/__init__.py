"""seisei (生成): train a generative model on your own data, and put it to use.

    import seisei
    run = seisei.train("vae", "photos/", latent=64)
    run.sample(64, seed=1)

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seisei.api import Run, check, compare, load, resume, runs, train
    from seisei.errors import UserError

__version__ = "0.1.0"
__all__ = ["Run", "UserError", "check", "compare", "load", "resume", "runs", "train"]

_PLACES = {name: "seisei.errors" if name == "UserError" else "seisei.api" for name in __all__}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'seisei' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
