"""A model's memory needs, computed before anything is allocated."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from seisei.errors import UserError
from seisei.spec import Spec

# Weights, EMA weights, gradient and Adam's two moments, 4 bytes each.
BYTES_A_PARAMETER = 20


def outline(spec: Spec) -> nn.Module:
    """The module of a spec on the meta device: shapes only, nothing allocated."""
    with torch.device("meta"):
        built: nn.Module = spec.build()
    return built


def parameters_of(spec: Spec) -> int:
    """The number of parameters of a spec's module."""
    return sum(p.numel() for p in outline(spec).parameters())


def fits(spec: Spec, memory: int) -> None:
    """Refuse a model that cannot be trained in this much memory.

    Raises:
        UserError: the model needs more memory.
    """
    count = parameters_of(spec)
    # Buffers hold what is not learned by gradients, such as the data points of a kernel density estimate.
    need = count * BYTES_A_PARAMETER + sum(b.numel() * b.element_size() for b in outline(spec).buffers())
    if need > memory:
        problem = f"training {count:,} parameters needs {need / 1e9:.0f} GB, {memory / 1e9:.0f} GB are available"
        raise UserError(
            "E-TRN-09", "--width", problem, "choose a smaller --width, --depth or --latent", found=need, wanted=memory
        )


def check_weights(own: Mapping[str, Tensor], state: Mapping[str, Tensor], where: str) -> None:
    """Check weights against a module's own, by name, shape and dtype.

    Raises:
        UserError: the first tensor that does not match.
    """
    remedy = "train again, or use the seisei version that wrote it (see recipe.json)"
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
