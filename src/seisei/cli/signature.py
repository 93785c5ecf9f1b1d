"""One command from the signatures of several functions: their parameters are its options, their docstrings its help."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from seisei.spec import Range, argument_help, parameters

# Options that have a short form.
SHORT = {"output": "-o", "n": "-n"}
# Options that can be turned off as well as on.
SWITCHES = {"backend_tuning", "report"}
METAVARS = {"set": "PATH=VALUE"}


@dataclass(frozen=True)
class Command:
    """A command as it is known to the error messages and to the reading of configuration files.

    Arguments:
        verb: its name.
        annotations: what each option takes, by the option's name in Python.
        required: options without a default.
    """

    verb: str
    annotations: dict[str, Any]
    required: tuple[str, ...] = ()
    app: App = field(default_factory=App, compare=False)

    def option(self, name: str) -> str:
        """The option as it is typed."""
        return name.upper() if name in self.required else dashed(name)


def command(
    app: App,
    name: str,
    run: Callable[[dict[str, Any]], None],
    parts: Sequence[tuple[str, Callable[..., Any]]],
    *,
    text: str | None = None,
    group: Group | None = None,
    place: int = 0,
    hidden: Collection[str] = (),
) -> Command:
    """Add a command to an app.

    Arguments:
        app: the app.
        name: of the command.
        run: called with the values of all options by name.
        parts: titles, and functions whose parameters are the options under that title.
        text: its help; by default the docstring of the first function, without its list of arguments.
        group: under which it is listed.
        place: in that list.
        hidden: options that its help leaves out.
    """
    merged: list[inspect.Parameter] = []
    annotations: dict[str, Any] = {}
    required = []
    for number, (title, function) in enumerate(parts):
        section, helps = Group(title, sort_key=number + 1), argument_help(function)
        for parameter in parameters(function).values():
            if parameter.name == "schema":
                continue
            assert parameter.name not in annotations, f"{name}: two options called {parameter.name}"
            annotations[parameter.name] = parameter.annotation
            positional = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            if parameter.default is parameter.empty:
                required.append(parameter.name)
            shown = _shown(
                parameter, None if positional else section, helps.get(parameter.name, ""), parameter.name in hidden
            )
            merged.append(parameter.replace(annotation=shown))
    merged.sort(key=lambda p: p.kind)  # stable: positions first
    signature = inspect.Signature(merged)

    def call(*args: Any, **options: Any) -> None:
        run(signature.bind(*args, **options).arguments)

    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in merged}
    call.__name__ = name
    listed = {} if group is None else {"group": group}
    inner = App(name=name, help=text or description(parts[0][1]), help_format="plaintext", sort_key=place, **listed)  # type: ignore[arg-type]
    inner.default(call)
    app.command(inner)
    return Command(name, annotations, tuple(required), inner)


def _shown(parameter: inspect.Parameter, group: Group | None, help: str, hidden: bool) -> Any:
    """The annotation as the parser takes it: the range as a validator, the help beside it."""
    plain, limits = _without_range(parameter.annotation)
    settings: dict[str, Any] = {"help": help, "negative": None if parameter.name in SWITCHES else ()}
    if hidden:
        settings["show"] = False
    if _is_whole(plain):
        settings["converter"] = _whole
    if limits is not None:
        settings["validator"] = limits
        settings["help"] = f"{help.rstrip('.')} ({limits})." if help else str(limits)
    if group is not None:
        settings["group"] = group
        settings["name"] = [dashed(parameter.name), *([SHORT[parameter.name]] if parameter.name in SHORT else [])]
    if parameter.default is None or parameter.default is False:
        settings["show_default"] = False
    if parameter.name in METAVARS:
        settings["metavar"] = METAVARS[parameter.name]
    return Annotated[plain, Parameter(**settings)]


def _is_whole(annotation: Any) -> bool:
    return annotation is int or set(typing.get_args(annotation)) == {int, type(None)}


def _whole(_type: Any, tokens: Sequence[Any]) -> int:
    """A whole number as it is typed: 10.5 is none, which the parser by itself would cut to 10."""
    return int(tokens[0].value)


def _without_range(annotation: Any) -> tuple[Any, Range | None]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return arguments[0], next((a for a in arguments[1:] if isinstance(a, Range)), None)
    if origin in (types.UnionType, typing.Union):
        inner = [_without_range(a) for a in arguments]
        return typing.Union[tuple(plain for plain, _ in inner)], next((r for _, r in inner if r), None)  # noqa: UP007
    return annotation, None


def dashed(name: str) -> str:
    """An option as it is typed.

    Example:
        >>> dashed("skip_bad"), dashed("n")
        ('--skip-bad', '-n')
    """
    name = name.strip("_")
    return f"-{name}" if len(name) == 1 else "--" + name.replace("_", "-")


def description(function: Callable[..., Any]) -> str:
    """A docstring without its sections, each paragraph on one line, which the terminal wraps; labeled lines stay lines.

    Example:
        >>> description(dashed)
        'An option as it is typed.'
    """
    text = inspect.getdoc(function) or ""
    text = re.split(r"\n(?:Arguments|Returns|Raises|Example):", text)[0].strip()
    return re.sub(r"(?<=\S)\n(?=\S)(?!(?:As in|Command|Duration|Paper|The hyperparameters of a recipe)\b)", " ", text)
