"""What a person does with a trained model. One file a verb: its function, what it prints, where its result goes."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

# Named here as text, so that a list of verbs loads none of them (and not torch).
VERBS: dict[str, str] = {
    "sample": "seisei.verbs.sample",
    "reconstruct": "seisei.verbs.reconstruct",
    "impute": "seisei.verbs.impute",
    "interpolate": "seisei.verbs.interpolate",
    "translate": "seisei.verbs.translate",
    "stylize": "seisei.verbs.stylize",
    "encode": "seisei.verbs.encode",
    "decode": "seisei.verbs.decode",
    "predict": "seisei.verbs.predict",
    "score": "seisei.verbs.score",
    "evaluate": "seisei.verbs.evaluate",
}


def verb(name: str) -> ModuleType:
    """The module of a verb: its function under its name, and `command`."""
    return import_module(VERBS[name])
