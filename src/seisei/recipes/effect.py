"""Options that change nothing, found by asking the recipe: it is a pure function of a schema and its options.

An option that a person gave is without effect where the plan is the same for its value, for its default, and for other
values of its type. No recipe has to say which of its branches reads what.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.table import Column, Table
from seisei.schema import Schema
from seisei.spec import Range, arguments_for, parameters
from seisei.training.plan import Plan

Build = Callable[..., Plan]

# What other data may be like, for an option that is without effect on those given.
ELSEWHERE: dict[str, Any] = {
    "image": Image(16, 16, 1, 256),
    "row": Table(tuple(Column(name, "number") for name in "abcdefgh")),
}


class Switch(NamedTuple):
    """Another option that decides whether one is read.

    Arguments:
        name: of the other option.
        values: for which it is read.
        chosen: whether the person gave the other option a value for which it is not.
    """

    name: str
    values: list[Any]
    chosen: bool


def refuse_unread(build: Build, schema: Schema, given: Mapping[str, Any]) -> None:
    """Refuse an option of a recipe that was given and changes nothing.

    A value that equals the default is never refused: what everybody has may be written down.

    Arguments:
        build: the recipe.
        schema: of the data.
        given: the options that a person gave, a plan of which can be built.

    Raises:
        UserError: one of them has no effect; where it would have one, as far as that can be found.
    """
    full = arguments_for(build, {**given, "schema": schema}, "--")
    for name in given:
        if full[name] == parameters(build)[name].default or has_effect(build, full, name):
            continue
        option = _dashed(name)
        switch = _switch(build, full, name, given)
        if switch is not None:
            raise UserError("E-TRN-08", option, *_said(switch, full), found=full[name])
        noun = _noun_of(build, full, name)
        if noun is not None:
            problem = f"is for {noun}s, and these data are {schema.x.noun}s"
            raise UserError("E-TRN-08", option, problem, "leave it out", found=full[name])
        raise UserError(
            "E-TRN-08", option, "has no effect with these data and options", "leave it out", found=full[name]
        )


def has_effect(build: Build, full: Mapping[str, Any], name: str) -> bool:
    """Whether any value of an option makes another plan of a recipe, all else as it is.

    Arguments:
        build: the recipe.
        full: all arguments, the schema among them.
        name: of the option.
    """
    plan = build(**full)
    default = parameters(build)[name].default
    for value in (default, *probes(parameters(build)[name].annotation, full[name])):
        try:
            if build(**{**full, name: value}) != plan:
                return True
        except UserError:
            # What is refused is read.
            return True
    return False


def heeds_labels(build: Build, full: Mapping[str, Any]) -> bool:
    """Whether a plan depends on what is given of each example: its label, its conditions, the other side of a pair."""
    try:
        return build(**{**full, "schema": replace(full["schema"], y=None)}) != build(**full)
    except UserError:
        return True


def probes(annotation: Any, value: Any) -> Iterator[Any]:
    """Other values that an annotation allows, a few of each sort.

    Example:
        >>> list(probes(Literal["a", "b"], "a")), list(probes(bool, True)), list(probes(int | None, 3))
        (['b'], [False], [None, 4, 6, 1, 1])
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        limits = [each for each in arguments[1:] if isinstance(each, Range)]
        found: Iterator[Any] = probes(arguments[0], value)
        yield from (one for one in found if one is None or not any(limit.problem(one) for limit in limits))
    elif origin in (types.UnionType, typing.Union):
        if type(None) in arguments and value is not None:
            yield None
        for inner in arguments:
            yield from () if inner is type(None) else probes(inner, value)
    elif origin is Literal:
        yield from (each for each in arguments if each != value)
    elif annotation is bool:
        yield not value
    elif annotation in (int, float):
        numbers = [1, 2, 8, 16] if not value else [value + 1, value * 2, value / 2, 1]
        halves = [0.5, 0.25] if annotation is float else []
        for number in [*numbers, *halves]:
            number = annotation(number)
            if number != value:
                yield number


def _switch(build: Build, full: Mapping[str, Any], name: str, given: Mapping[str, Any]) -> Switch | None:
    """The other option by which this one would count: one that the person gave, or else the first by its values."""
    found: list[Switch] = []
    known = parameters(build)
    for other, parameter in known.items():
        if other in ("schema", name):
            continue
        tried = [parameter.default] if full[other] != parameter.default else []
        tried += [value for value in probes(parameter.annotation, full[other]) if value not in tried]
        values = [value for value in tried if _counts_with(build, {**full, other: value}, name)]
        if values:
            found.append(Switch(other, values, other in given and full[other] != parameter.default))
    # Choices tell more than numbers do.
    order = {str: 0, bool: 1}
    return min(found, key=lambda s: (not s.chosen, order.get(type(s.values[0]), 2)), default=None)


def _counts_with(build: Build, full: Mapping[str, Any], name: str) -> bool:
    """Whether an option has an effect where another one is changed: on these data, or on such with two classes."""
    for schema in (full["schema"], replace(full["schema"], y=Label(("a", "b")))):
        try:
            build(**{**full, "schema": schema})
        except UserError:
            continue
        return has_effect(build, {**full, "schema": schema}, name)
    return False


def _noun_of(build: Build, full: Mapping[str, Any], name: str) -> str | None:
    """What an example would have to be for an option to have an effect."""
    mine = full["schema"]
    for noun, end in ELSEWHERE.items():
        if noun != mine.x.noun:
            try:
                build(**{**full, "schema": replace(mine, x=end)})
            except UserError:
                continue
            if has_effect(build, {**full, "schema": replace(mine, x=end)}, name):
                return noun
    return None


def _said(switch: Switch, full: Mapping[str, Any]) -> tuple[str, str]:
    """The problem and the remedy."""
    other, now = _dashed(switch.name), full[switch.name]
    values = [value for value in switch.values if value != "auto"] or switch.values
    if isinstance(values[0], str):
        given = f", and {_typed(other, now)} is given" if switch.chosen else ""
        return f"is used only with {other} {_listed(values)}{given}", f"choose {other} {values[0]}, or leave it out"
    if switch.chosen:
        return f"has no effect with {_typed(other, now)}", "leave one of the two out"
    if isinstance(values[0], bool):
        return f"is used only with {_typed(other, values[0])}", f"add {other}, or leave it out"
    wanted = f"{other} other than {now}" if now is not None else other
    return f"is used only with {wanted}", f"add {other} {values[0]:g}, or leave it out"


def _listed(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def _typed(option: str, value: Any) -> str:
    if isinstance(value, bool):
        return option if value else f"{option} turned off"
    return f"{option} {value}"


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
