"""What every verb is: one function, whose signature is the method of `Run` and the command line alike.

A verb's file has that function and, under the name `command`, what only the command line has: where a result goes and
what is printed. `command` is called before any work starts, so that a result that cannot be written is refused at once:

    def command(run, asked, *, output=None, overwrite=False) -> Callable[[Result], Printed]

Its keyword parameters are further options; `asked` holds the arguments of the function, which it may change.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

from seisei.spec import argument_help, parameters


@dataclass(frozen=True)
class Typed:
    """How the command line takes a parameter that a program gives as an object.

    Arguments:
        type: its type on the command line; None for a parameter that only programs give.
        positional: given by position instead of as an option.
        convert: from the type on the command line to what the function takes.
    """

    type: Any
    positional: bool = False
    convert: Callable[[Any], Any] | None = None


def one_or_all(values: list[str] | None) -> Any:
    """One value for all examples, or a list with one for each.

    Example:
        >>> one_or_all(["cat"]), one_or_all(["cat", "dog"])
        ('cat', ['cat', 'dog'])
    """
    return values[0] if values and len(values) == 1 else values


Data = Annotated[Any, Typed(str, positional=True)]
Labels = Annotated[Any, Typed(list[str] | None, convert=one_or_all)]
Fit = Literal["crop", "pad", "stretch"]


class ReadingOptions(TypedDict, total=False):
    """How inputs are read.

    Arguments:
        fit: How to fit images of another size; by default as in training.
        convert: Convert color images to grayscale for a grayscale model.
        max_pixels: Refuse images with more pixels than this; 64,000,000 by default.
    """

    fit: Fit | None
    convert: bool
    max_pixels: int | None


class TableReadingOptions(ReadingOptions, total=False):
    """How images or rows are read.

    Arguments:
        unseen: Categories that were not in the training data: refuse them (the default), or read them as missing.
    """

    unseen: Literal["refuse", "missing"] | None


class CodeSamplingOptions(TypedDict, total=False):
    """How an autoregressive model samples its codes.

    Arguments:
        top_k: Top-k sampling: sample from the k most likely codes.
        top_p: Top-p (nucleus) sampling: sample from the smallest set of codes whose total probability is at least
            this.
        min_p: Min-p sampling: sample from codes at least this share as likely as the most likely one.
        guidance: Classifier-free guidance: weight of the condition; above 1 for samples closer to it.
    """

    top_k: int | None
    top_p: float | None
    min_p: float | None
    guidance: float | None


class CompletionOptions(ReadingOptions, CodeSamplingOptions, total=False):
    """How inputs are read and codes sampled."""


GROUPS = (ReadingOptions, TableReadingOptions, CodeSamplingOptions)


@dataclass
class Printed:
    """What a command prints.

    Arguments:
        lines: for people.
        json: the same for programs, with --json.
        notes: on standard error, with either.
    """

    lines: list[str] = field(default_factory=list)
    json: Any = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Option:
    """A parameter of a verb as an option of the command line.

    Arguments:
        parameter: name, default, annotation.
        help: what the docstring says.
        typed: where the command line takes something else than the function.
    """

    parameter: inspect.Parameter
    help: str
    typed: Typed | None = None


def options_of(function: Callable[..., Any]) -> list[Option]:
    """The options that a function's parameters are, those of an unpacked `TypedDict` among them.

    A parameter with a default is given by name on the command line, also where a program may give it by position.

    Example:
        >>> def score(run: object, input: Data, *, seed: int = 0) -> None:
        ...     '''Score.
        ...
        ...     Arguments:
        ...         input: What is scored.
        ...         seed: Random seed.
        ...     '''
        >>> [(o.parameter.name, o.help, o.parameter.kind.name) for o in options_of(score)[1:]]
        [('input', 'What is scored.', 'POSITIONAL_OR_KEYWORD'), ('seed', 'Random seed.', 'KEYWORD_ONLY')]
    """
    found, helps = [], argument_help(function)
    for name, parameter in parameters(function).items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found += _unpacked(typing.get_args(parameter.annotation)[0])
            continue
        typed = next((a for a in typing.get_args(parameter.annotation)[1:] if isinstance(a, Typed)), None)
        annotation = parameter.annotation if typed is None else typed.type
        if typed is not None and typed.type is None:
            continue
        by_position = parameter.POSITIONAL_OR_KEYWORD if typed and typed.positional else parameter.KEYWORD_ONLY
        found.append(Option(parameter.replace(annotation=annotation, kind=by_position), helps.get(name, ""), typed))
    return found


def _unpacked(group: type) -> list[Option]:
    """The keys of a TypedDict; one that is not given is not passed on."""
    # Python 3.11 does not keep what a TypedDict inherits from, so that all groups are asked.
    helps = {name: text for each in GROUPS for name, text in argument_help(each).items()}
    hints = typing.get_type_hints(group, include_extras=True)
    return [
        Option(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=False if hint is bool else None, annotation=hint
            ),
            helps[name],
        )
        for name, hint in hints.items()
    ]
