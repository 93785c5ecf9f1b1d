"""Verbs as commands: their options, loading the run, the place of the result before any work, and what is printed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType
from typing import Any

from seisei.cli.progress import shown_progress
from seisei.cli.signature import description
from seisei.cli.terminal import echo, echo_json, tell
from seisei.verbs import verb
from seisei.verbs.base import Option, options_of
from seisei.verbs.run import TrainedRun, find_run


def declared(name: str) -> tuple[Callable[..., None], str]:
    """A function with all options of a verb as its parameters and their help as its docstring; and the verb's help."""
    module = verb(name)
    options = _options(module, name)
    parameters = [option.parameter for option in options]

    def signature() -> None: ...

    signature.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    signature.__annotations__ = {p.name: p.annotation for p in parameters}
    lines = [f"    {option.parameter.name}: {option.help}" for option in options]
    signature.__doc__ = "\n".join(["Options.", "", "Arguments:", *lines])
    return signature, description(getattr(module, name))


def run_verb(name: str, values: dict[str, Any]) -> None:
    """Carry out a verb.

    Arguments:
        name: of the verb.
        values: the options that were given, by name.
    """
    module, as_json = verb(name), bool(values.pop("json", False))
    values.pop("debug", None)
    function = getattr(module, name)
    asked: dict[str, Any] = {}
    for option in options_of(function):
        parameter, convert = option.parameter, option.typed.convert if option.typed else None
        if parameter.name in values:
            value = values.pop(parameter.name)
            asked[parameter.name] = convert(value) if convert else value
        elif parameter.default is not parameter.empty and parameter.name in inspect.signature(function).parameters:
            asked[parameter.name] = parameter.default
    for_itself = "run" in asked and _takes_run(function)
    run = _load(asked.pop("run"), name) if for_itself else asked.get("run")
    finish = module.command(run, asked, **values)
    what = getattr(module, "PROGRESS", None)
    with shown_progress(what) if what else nullcontext():
        result = function(run, **asked) if for_itself else function(**asked)
    printed = finish(result)
    tell(*printed.notes) if printed.notes else None
    echo_json(printed.json) if as_json else echo(*printed.lines)


def _takes_run(function: Callable[..., Any]) -> bool:
    """Whether a verb is one of a trained run, which is then its first argument."""
    return next(iter(inspect.signature(function).parameters)) == "run"


def _options(module: ModuleType, name: str) -> list[Option]:
    own = [option for option in options_of(module.command) if option.parameter.name not in ("run", "asked")]
    found = options_of(getattr(module, name))
    return [*(_run_option(option) if option.parameter.name == "run" else option for option in found), *own]


def _run_option(option: Option) -> Option:
    """The run is a name on the command line; where it is optional it is an option."""
    parameter = option.parameter
    if parameter.default is parameter.empty:
        parameter = parameter.replace(annotation=str, kind=parameter.POSITIONAL_OR_KEYWORD)
    return Option(parameter, option.help, option.typed)


def _load(name: str, verb: str) -> TrainedRun:
    """The run, with its model loaded, once it is known to offer the verb."""
    from seisei.api import Run

    run = Run(find_run(name))
    for note in run.pipeline.notes:
        tell(f"note: {note}")
    if verb != "evaluate":
        run.pipeline.need(verb)
    return run
