"""How large a model is, known before anything is allocated for it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from seisei.errors import UserError
from seisei.spec import Spec

# Weights, their average, the gradient and Adam's two averages, each of 4 bytes.
BYTES_A_PARAMETER = 20


def outline(spec: Spec) -> nn.Module:
    """The module of a spec with shapes only: nothing is allocated, nothing can be computed with it."""
    with torch.device("meta"):
        built: nn.Module = spec.build()
    return built


def parameters_of(spec: Spec) -> int:
    """How many numbers a spec's module learns."""
    return sum(p.numel() for p in outline(spec).parameters())


def fits(spec: Spec, memory: int) -> None:
    """Refuse a model that cannot be trained in this much memory.

    Raises:
        UserError: what is needed and what is there.
    """
    count = parameters_of(spec)
    # What a model keeps without learning it by gradients, such as the rows of a kernel density.
    need = count * BYTES_A_PARAMETER + sum(b.numel() * b.element_size() for b in outline(spec).buffers())
    if need > memory:
        problem = f"{count:,} parameters need {need / 1e9:.0f} GB to be trained, there are {memory / 1e9:.0f}"
        raise UserError(
            "E-TRN-09", "--width", problem, "choose a smaller --width, --depth or --latent", found=need, wanted=memory
        )


def check_weights(own: Mapping[str, Tensor], state: Mapping[str, Tensor], where: str) -> None:
    """Compare weights with those that a module has, by name, shape and dtype.

    Raises:
        UserError: the first tensor that does not fit.
    """
    remedy = "train again, or use the seisei that wrote it: recipe.json has its version"
    for name in own:
        if name not in state:
            raise UserError("E-RES-06", where, f"tensor {name!r} is missing", remedy)
    for name in sorted(state):
        if name not in own:
            raise UserError("E-RES-07", where, f"tensor {name!r} is not expected", remedy)
        found, wanted = state[name], own[name]
        if wanted.shape != found.shape:
            problem = f"tensor {name!r} has shape {tuple(found.shape)}, wanted {tuple(wanted.shape)}"
            raise UserError("E-RES-08", where, problem, remedy)
        if wanted.dtype != found.dtype:
            raise UserError(
                "E-RES-09", where, f"tensor {name!r} has dtype {found.dtype}, wanted {wanted.dtype}", remedy
            )
