"""Configuration files: YAML, TOML or JSON with options by name. Data only: no tags, no references, no classes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seisei.cli.signature import Command
from seisei.errors import UserError, did_you_mean
from seisei.paths import check_regular
from seisei.spec import checked

LARGEST = 1 << 20
_NOT_HERE = {"config", "json", "debug"}


@dataclass
class Settings:
    """What a file says.

    Arguments:
        values: options by their name in Python.
        overrides: of the plan, by dotted path.
    """

    values: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)


def read_config(path: Path, known: Command) -> Settings:
    """The options that a file gives for a command, each checked.

    Raises:
        UserError: with the file and the line.
    """
    content, lines = _parse(path)
    if content is None:
        return Settings()
    if not isinstance(content, dict):
        problem = f"holds {_kind(content)}, wanted options by name"
        raise UserError("E-TRN-03", path, problem, "write lines such as `latent: 64`")
    found = Settings()
    names = [n for n in known.annotations if n not in _NOT_HERE]
    for key, value in content.items():
        name, where = str(key).replace("-", "_"), f"{path}:{lines.get(str(key), 1)}"
        if str(key).startswith("_"):
            raise UserError("E-TRN-04", where, f"{key!r}: classes are not chosen by a file", "write plain values")
        if name == "set":
            found.overrides = dict(_flat(value, where))
        elif name in names:
            found.values[name] = _checked(f"{where}: {key!r}", value, known.annotations[name])
        else:
            raise UserError("E-TRN-02", where, f"{str(key)!r}", did_you_mean(name, [*names, "set"]), found=str(key))
    return found


def _checked(where: str, value: Any, annotation: Any) -> Any:
    if isinstance(value, dict):
        raise UserError("E-TRN-06", where, "is a mapping, wanted one value", "write a plain value")
    return checked(where, value, annotation)


def _flat(value: Any, where: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted paths of a mapping, written flat or nested."""
    if not isinstance(value, dict):
        raise UserError(
            "E-TRN-06",
            f"{where}: 'set'",
            f"is {_kind(value)}, wanted paths with values",
            "write `set: {objective.beta: 0.5}`",
        )
    for key, inner in value.items():
        if str(key).startswith("_"):
            raise UserError("E-TRN-04", where, f"{key!r}: classes are not chosen by a file", "write plain values")
        path = f"{prefix}{key}"
        if isinstance(inner, dict):
            yield from _flat(inner, where, f"{path}.")
        else:
            yield path, inner


def _parse(path: Path) -> tuple[Any, dict[str, int]]:
    """The content of a file, and the line of each key at its top."""
    kinds = {".yaml": _yaml, ".yml": _yaml, ".toml": _toml, ".json": _json}
    if path.suffix.lower() not in kinds:
        raise UserError(
            "E-TRN-03",
            path,
            f"is {path.suffix or 'without suffix'}, wanted .yaml, .toml or .json",
            "rename or convert it",
        )
    check_regular(path, code="E-TRN-03")
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("E-TRN-03", path, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    except OSError as error:
        raise UserError(
            "E-TRN-03", path, (error.strerror or "cannot be read").lower(), "check the path of --config"
        ) from None
    if len(data) > LARGEST:
        raise UserError("E-TRN-03", path, f"is {len(data)} bytes, wanted at most {LARGEST}", "write options only")
    try:
        return kinds[path.suffix.lower()](text, path)
    except RecursionError:
        raise UserError("E-TRN-03", path, "is nested too deeply", "write plain values") from None


def _yaml(text: str, path: Path) -> tuple[Any, dict[str, int]]:
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise UserError(
                    "E-TRN-04", f"{path}:{line}", "anchors and references are not allowed", "write plain values"
                )
            if tag := getattr(event, "tag", None):
                raise UserError("E-TRN-04", f"{path}:{line}", f"the tag {tag} is not allowed", "write plain values")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_twins(root, path)
        lines = (
            {str(k.value): k.start_mark.line + 1 for k, _ in root.value} if isinstance(root, yaml.MappingNode) else {}
        )
        return yaml.safe_load(text), lines
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark or error.context_mark, error.problem or "is not YAML"
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise UserError("E-TRN-03", where, problem, "correct that line") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError("E-TRN-03", path, f"is not YAML ({error})", "correct it") from None


def _refuse_twins(node: yaml.Node | None, path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            _refuse(seen, str(key.value), key.start_mark.line + 1, path)
            _refuse_twins(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twins(item, path)


def _refuse(seen: dict[str, int], key: str, line: int, path: Path) -> None:
    if key in seen:
        raise UserError("E-TRN-05", f"{path}:{line}", f"{key!r} is also in line {seen[key]}", "keep one")
    seen[key] = line


def _toml(text: str, path: Path) -> tuple[Any, dict[str, int]]:
    try:
        return tomllib.loads(text), _lines(text)
    except tomllib.TOMLDecodeError as error:
        said = re.match(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
        problem, line, column = said.groups() if said else (str(error), "1", "1")
        if "overwrite" in problem:
            key = text.splitlines()[int(line) - 1].partition("=")[0].strip()
            first = next((n for n, t in enumerate(text.splitlines(), 1) if t.partition("=")[0].strip() == key), 1)
            raise UserError("E-TRN-05", f"{path}:{line}", f"{key!r} is also in line {first}", "keep one") from None
        raise UserError("E-TRN-03", f"{path}:{line}:{column}", problem.lower(), "correct that line") from None


def _json(text: str, path: Path) -> tuple[Any, dict[str, int]]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, int] = {}
        for key, _ in pairs:
            places = [
                n for n, line in enumerate(text.splitlines(), 1) for _ in re.finditer(rf'"{re.escape(key)}"\s*:', line)
            ]
            _refuse(seen, key, places[-1 if key in seen else 0] if places else 1, path)
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique), _lines(text)
    except json.JSONDecodeError as error:
        raise UserError(
            "E-TRN-03", f"{path}:{error.lineno}:{error.colno}", error.msg.lower(), "correct that line"
        ) from None


def _lines(text: str) -> dict[str, int]:
    """The line on which each key is first seen."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for match in re.finditer(r"""["']?([\w.-]+)["']?\s*[:=]""", line):
            found.setdefault(match[1], number)
    return found


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a number", bool: "true or false"}
    return names.get(type(value), "nothing" if value is None else type(value).__name__)
