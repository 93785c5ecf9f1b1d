"""A constructor call not yet made: `Spec`, the catalog of classes it may name, and the checking of values.

The constructor is the configuration. A `Spec` is checked against the constructor's signature when it is written, can be
overridden by path, is saved as JSON with every default resolved, and builds only classes of a closed catalog: nothing
is ever imported by a name that came from a file.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from seisei.errors import UserError, did_you_mean

CATALOG: dict[str, type] = {}
C = TypeVar("C", bound=type)


def listed(cls: C) -> C:
    """Enter a class into the closed catalog (a class decorator)."""
    assert cls.__name__ not in CATALOG, f"two classes named {cls.__name__}"
    CATALOG[cls.__name__] = cls
    return cls


@dataclass(frozen=True)
class Range:
    """The values allowed for a number, used as ``Annotated[float, Range(gt=0)]``.

    Example:
        >>> Range(gt=0, le=1).problem(2.0)
        '2.0 is out of range, wanted > 0 and <= 1'
    """

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    def __str__(self) -> str:
        limits = [(">", self.gt), (">=", self.ge), ("<", self.lt), ("<=", self.le)]
        return " and ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)

    def problem(self, value: float) -> str | None:
        """What is wrong with a value, or None."""
        good = (
            -math.inf < value < math.inf  # unlike math.isfinite, takes whole numbers of any length
            and (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
        )
        return None if good else f"{_short(value)} is out of range, wanted {self}"

    def __call__(self, _type: Any, value: float | None) -> None:
        """The form in which the command line's parser calls a validator."""
        if value is not None and (problem := self.problem(value)):
            raise ValueError(problem)


def checked(where: str, value: Any, annotation: Any, code: str = "E-TRN-06") -> Any:
    """The value, fitted to the annotation; text from a command line or a file is read as what is wanted.

    Raises:
        UserError: the type found and the type wanted, or the allowed range, or the nearest allowed word.

    Example:
        >>> checked("beta", "2e-4", float)
        0.0002
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        value = checked(where, value, arguments[0], code)
        for extra in arguments[1:]:
            if isinstance(extra, Range) and value is not None and (problem := extra.problem(value)):
                raise UserError("E-TRN-07", where, problem, f"choose a value {extra}", found=value, wanted=str(extra))
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None or (isinstance(value, str) and value.lower() in ("none", "null") and type(None) in arguments):
            if type(None) in arguments:
                return None
        choices = [a for a in arguments if a is not type(None)]
        for choice in choices:
            try:
                return checked(where, value, choice, code)
            except UserError as error:
                last = error
        raise last
    if origin is Literal:
        if value in arguments:
            return value
        remedy = did_you_mean(str(value), map(str, arguments))
        raise UserError(
            "E-TRN-07", where, f"{_short(value)} is not a choice", remedy, found=value, wanted=list(arguments)
        )
    if origin in (tuple, list):
        if not isinstance(value, (list, tuple, str)):
            raise _misfit(where, value, "list", code)
        items = [part.strip() for part in value.strip("[]()").split(",")] if isinstance(value, str) else list(value)
        inner = arguments[0] if arguments else Any
        return origin(checked(f"{where}[{i}]", item, inner, code) for i, item in enumerate(items))
    reader = _READERS.get(annotation)
    if reader is None:
        if isinstance(annotation, type) and annotation is not Any and not _fits(value, annotation):
            raise _misfit(where, value, annotation.__name__, code)
        return value
    try:
        return reader(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _misfit(where, value, annotation.__name__, code) from error


def _fits(value: Any, wanted: type) -> bool:
    """Whether a value, or what a Spec stands for, is of a class. Protocols that cannot be asked let everything pass."""
    if getattr(wanted, "_is_protocol", False):
        return True
    return issubclass(value.cls, wanted) if isinstance(value, Spec) else isinstance(value, wanted)


def _misfit(where: str, value: Any, wanted: str, code: str) -> UserError:
    shown = _short(value) if isinstance(value, (str, int, float, type(None))) else ""
    problem = f"{shown} is {_article(type(value).__name__)}, wanted {_article(wanted)}".lstrip()
    return UserError(code, where, problem, f"write {_article(wanted)}", found=shown, wanted=wanted)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _article(name: str) -> str:
    words = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "str": "text",
        "NoneType": "nothing",
        "list": "a list",
    }
    return words.get(name, f"a {name}")


def _read_int(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _read_float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    return float(value)


def _read_bool(value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    return words[value.lower()] if isinstance(value, str) and value.lower() in words else _refuse()


def _read_str(value: Any) -> str:
    return value if isinstance(value, str) else _refuse()


def _refuse() -> Any:
    raise ValueError


_READERS: dict[Any, Callable[[Any], Any]] = {int: _read_int, float: _read_float, bool: _read_bool, str: _read_str}


@functools.cache
def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a function or class, by name, with their annotations resolved."""
    target: Any = function.__init__ if inspect.isclass(function) else function
    hints = typing.get_type_hints(target, include_extras=True)
    found = inspect.signature(function).parameters
    return {name: p.replace(annotation=hints.get(name, Any)) for name, p in found.items()}


def argument_help(function: Callable[..., Any]) -> dict[str, str]:
    """What a docstring says of each argument.

    Example:
        >>> argument_help(listed)
        {}
    """
    text = inspect.getdoc(function) or ""
    section = re.search(r"^Arguments:\n((?:[ ]{4}.*\n?|\n)*)", text, re.M)
    found: dict[str, str] = {}
    name = ""
    for line in section[1].splitlines() if section else []:
        if entry := re.match(r" {4}(\w+): (.*)", line):
            name = entry[1]
            found[name] = entry[2].strip()
        elif line.strip():
            found[name] += " " + line.strip()
    return found


def arguments_for(
    function: Callable[..., Any], given: Mapping[str, Any], where: str, code: str = "E-TRN-02"
) -> dict[str, Any]:
    """The given arguments, checked against the function's signature, with every default filled in.

    Raises:
        UserError: an unknown name (with the nearest right one), a wrong type, or a value out of range.
    """
    known = parameters(function)
    names = [n for n, p in known.items() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for name in given:
        if name not in names:
            raise UserError(
                code, f"{where}{name}", "no such option", did_you_mean(name, names), found=name, wanted=names
            )
    full = {n: given.get(n, known[n].default) for n in names}
    missing = [n for n, value in full.items() if value is inspect.Parameter.empty]
    if missing:
        raise TypeError(f"{where or function.__name__}: missing {', '.join(missing)}")
    return {n: checked(f"{where}{n}", v, known[n].annotation) if n in given else v for n, v in full.items()}


class Spec:
    """A listed class and the arguments to build it with.

    Arguments:
        cls: a class of the catalog.
        arguments: its constructor's arguments; other Specs stand for parts.

    Raises:
        UserError: an argument the constructor does not have, or a value it does not take.
    """

    __slots__ = ("cls", "arguments")

    def __init__(self, cls: type, **arguments: Any) -> None:
        assert CATALOG.get(cls.__name__) is cls, f"{cls.__name__} is not in the catalog"
        self.cls = cls
        self.arguments = arguments_for(cls, arguments, f"{cls.__name__}.")

    def __repr__(self) -> str:
        return f"Spec({self.cls.__name__}, {', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self.to_json() == other.to_json()

    def build(self) -> Any:
        """Make the object, its parts first."""
        return self.cls(**{name: _built(value) for name, value in self.arguments.items()})

    def override(self, path: str, value: Any) -> Spec:
        """The same call with one argument changed, found by a dotted path such as ``model.encoder.width``.

        A part of a list is found by its number, as in ``model.quantizers.0.revival``.
        """
        name, _, rest = path.partition(".")
        if name not in self.arguments:
            raise UserError(
                "E-TRN-02", path, f"{self.cls.__name__} has no {name!r}", did_you_mean(name, self.arguments)
            )
        old = self.arguments[name]
        if isinstance(old, list) and old and all(isinstance(part, Spec) for part in old):
            number, _, inner = rest.partition(".")
            numbers = [str(i) for i in range(len(old))]
            if number not in numbers or not inner:
                remedy = did_you_mean(rest, [f"{name}.{i}.{k}" for i in numbers for k in old[int(i)].arguments])
                raise UserError("E-TRN-02", path, f"{name!r} is a list of {len(old)} parts", remedy)
            changed = [part.override(inner, value) if str(i) == number else part for i, part in enumerate(old)]
            return Spec(self.cls, **{**self.arguments, name: changed})
        if rest:
            if not isinstance(old, Spec):
                raise UserError("E-TRN-02", path, f"{name!r} has no parts", f"set {path.rpartition('.')[0]} itself")
            return Spec(self.cls, **{**self.arguments, name: old.override(rest, value)})
        if isinstance(old, Spec):
            raise UserError(
                "E-TRN-02",
                path,
                f"{name!r} is a part",
                did_you_mean(f"{path}.", [f"{path}.{k}" for k in old.arguments]),
            )
        return Spec(self.cls, **{**self.arguments, name: value})

    def to_json(self) -> dict[str, Any]:
        """The call as data, every default resolved."""
        return {"class": self.cls.__name__, "arguments": {k: _jsonable(v) for k, v in self.arguments.items()}}

    @classmethod
    def from_json(cls, data: Any, where: str = "recipe.json") -> Spec:
        """The call that `to_json` wrote; its classes come from the catalog and from nowhere else.

        Raises:
            UserError: a class that is not in the catalog, or arguments that do not fit it.
        """
        if not (
            isinstance(data, dict) and isinstance(data.get("class"), str) and isinstance(data.get("arguments"), dict)
        ):
            raise UserError("E-*-07", where, "is not a model description", "use a run folder that seisei wrote")
        found = CATALOG.get(data["class"])
        if found is None:
            raise UserError("E-*-07", where, f"unknown architecture {data['class'][:80]!r}", "upgrade seisei")
        try:
            return cls(found, **{k: _from_jsonable(v, where) for k, v in data["arguments"].items()})
        except TypeError as error:  # an argument without a default that is not there
            raise UserError("E-*-07", where, str(error), "use a run folder that seisei wrote") from error
        except RecursionError:
            raise UserError("E-*-07", where, "is nested too deeply", "use a run folder that seisei wrote") from None


def _built(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.build()
    return [_built(v) for v in value] if isinstance(value, list) else value


def _jsonable(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.to_json()
    return [_jsonable(v) for v in value] if isinstance(value, (list, tuple)) else value


def _from_jsonable(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return Spec.from_json(value, where)
    return [_from_jsonable(v, where) for v in value] if isinstance(value, list) else value
