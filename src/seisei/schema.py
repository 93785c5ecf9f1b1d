"""A model's two ends: `Modality`, both ways between a person and a tensor, and `Schema`, which is saved beside the
weights.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from seisei.errors import UserError
from seisei.spec import CATALOG, arguments_for


@runtime_checkable
class Modality(Protocol):
    """Both ways between a person's thing and a tensor. Every modality is a frozen dataclass of plain values.

    `pack` makes the compact form that data sets hold (an image as uint8); `unpack` makes of it what a model sees
    (float32). One whose values are not flat has `to_json` and a class method `from_json` of its own.
    """

    noun: ClassVar[str]

    def pack(self, raw: Any) -> Tensor:
        """One raw thing in compact form."""
        ...

    def unpack(self, stored: Tensor) -> Tensor:
        """Compact tensors, one or a batch, as a model sees them."""
        ...

    def encode(self, raw: Any) -> Tensor:
        """One raw thing as a model sees it: `unpack(pack(raw))`."""
        ...

    def decode(self, x: Tensor) -> Any:
        """The raw thing of one model tensor."""
        ...

    def observed(self, stored: Tensor) -> Tensor | None:
        """True where a value is, for compact tensors, one or a batch; None where all are."""
        ...


@runtime_checkable
class Describable(Modality, Protocol):
    """A modality for what a person says of an example that is to be drawn, rather than one of some kinds."""

    examples: tuple[Any, ...]

    def told(self, said: Any, n: int) -> Tensor:
        """What was said of n examples, as data sets hold it; what is left open is as in some training examples."""
        ...

    def said(self, stored: Tensor) -> str:
        """Stored values in words that `told` takes."""
        ...


@dataclass(frozen=True)
class Schema:
    """What x and y are.

    Arguments:
        x: what is modeled.
        y: what conditions it or its label, None where there is none.
    """

    x: Modality
    y: Modality | None = None

    def to_json(self) -> dict[str, Any]:
        """The schema as data."""
        return {"x": _modality_to_json(self.x), "y": None if self.y is None else _modality_to_json(self.y)}

    @classmethod
    def from_json(cls, data: Any, where: str = "schema.json") -> Schema:
        """The schema that `to_json` wrote.

        Raises:
            UserError: something that is no schema, or an unknown modality.
        """
        if not isinstance(data, dict):
            raise UserError("E-*-02", where, "is not a schema", "use a run folder that seisei wrote")
        if lacking := [end for end in ("x", "y") if end not in data]:
            raise UserError("E-*-02", where, f"lacks {lacking[0]!r}", "use a run folder that seisei wrote")
        y = data["y"]
        return cls(_modality_from_json(data["x"], where), None if y is None else _modality_from_json(y, where))


def _modality_to_json(modality: Any) -> dict[str, Any]:
    if hasattr(modality, "to_json"):
        values = modality.to_json()
    else:
        values = {f.name: getattr(modality, f.name) for f in fields(modality)}
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    return {"modality": type(modality).__name__, **values}


def _modality_from_json(data: Any, where: str) -> Modality:
    name = data.get("modality") if isinstance(data, dict) else None
    found = CATALOG.get(name) if isinstance(name, str) else None
    if found is None or not hasattr(found, "noun"):
        raise UserError("E-*-07", where, f"unknown modality {name!r}", "upgrade seisei")
    arguments = {k: v for k, v in data.items() if k != "modality"}
    read: Any = getattr(found, "from_json", None)
    try:
        modality: Modality
        if read is not None:
            modality = read(arguments, where)
        else:
            modality = found(**arguments_for(found, arguments, f"{where}: ", "E-*-07"))
    except (TypeError, AssertionError) as error:  # an argument that is missing, or values that no modality has
        raise UserError("E-*-07", where, str(error), "use a run folder that seisei wrote") from error
    return modality
