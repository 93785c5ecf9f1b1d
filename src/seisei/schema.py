"""`Modality`, the mapping between raw data and tensors, and `Schema`, the modalities of a model."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from seisei.errors import UserError
from seisei.spec import CATALOG, arguments_for


@runtime_checkable
class Modality(Protocol):
    """Maps raw data to tensors and back. Every modality is a frozen dataclass of plain values.

    `pack` gives the compact form that data sets store (an image as uint8); `unpack` turns it into model input
    (float32). A modality whose values are not flat defines `to_json` and a class method `from_json`.
    """

    noun: ClassVar[str]

    def pack(self, raw: Any) -> Tensor:
        """One raw example in compact form."""
        ...

    def unpack(self, stored: Tensor) -> Tensor:
        """Compact tensors, one or a batch, as model input."""
        ...

    def encode(self, raw: Any) -> Tensor:
        """One raw example as model input: `unpack(pack(raw))`."""
        ...

    def decode(self, x: Tensor) -> Any:
        """The raw example of one model tensor."""
        ...

    def observed(self, stored: Tensor) -> Tensor | None:
        """True where a value is present, for compact tensors, one or a batch; None if all values are."""
        ...


@runtime_checkable
class Describable(Modality, Protocol):
    """A modality that a model can be conditioned on in words: a class, several attributes, a caption."""

    examples: tuple[Any, ...]

    def parse(self, words: Any, n: int) -> Tensor:
        """Parse a condition for n examples, as data sets store it; what is left open comes from training examples."""
        ...

    def format(self, stored: Tensor) -> str:
        """Format stored values as text that `parse` parses."""
        ...


@runtime_checkable
class Categorical(Modality, Protocol):
    """A modality of class labels: a value is an index into the names."""

    names: tuple[str, ...]
    classes: int


@dataclass(frozen=True)
class Schema:
    """The modalities of x and y.

    Arguments:
        x: modality of the data.
        y: modality of the condition or label; None if there is none.
    """

    x: Modality
    y: Modality | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names of y; empty where y is no class label."""
        return self.y.names if isinstance(self.y, Categorical) else ()

    def to_json(self) -> dict[str, Any]:
        """The schema as JSON-compatible data."""
        return {"x": _modality_to_json(self.x), "y": None if self.y is None else _modality_to_json(self.y)}

    @classmethod
    def from_json(cls, data: Any, where: str = "schema.json") -> Schema:
        """The schema that `to_json` wrote.

        Raises:
            UserError: not a schema, or an unknown modality.
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
    except (TypeError, AssertionError) as error:  # a missing argument, or invalid values
        raise UserError("E-*-07", where, str(error), "use a run folder that seisei wrote") from error
    return modality
