"""Loading pretrained weights from a .safetensors file, matched by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from seisei.errors import UserError
from seisei.paths import check_regular
from seisei.training.tensors import PICKLES, from_bytes, size_of

# Maximum file size (twice VGG-19 with its classifier), and how many missing tensors an error names.
LARGEST, NAMED = 1 << 30, 3


def is_weights(given: str | Path) -> bool:
    """Whether a path names a weights file rather than a run, by its suffix; it need not exist or be loadable.

    Example:
        >>> is_weights("vgg19.safetensors"), is_weights("vgg19.pth"), is_weights("runs/photos.v2")
        (True, True, False)
    """
    return Path(given).suffix in {".safetensors", *PICKLES} and not Path(given).is_dir()


def weights_of(path: str | Path, wanted: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """The tensors of a file that a network needs, in float32; others are ignored.

    Arguments:
        path: a .safetensors file. Pickles could run untrusted code and are not opened.
        wanted: the network's own tensors, by name; shapes are enough.
        what: the network's name, for errors.

    Raises:
        UserError: the file cannot be read, is a pickle or damaged, or does not hold these weights.
    """
    tensors = from_bytes(_bytes(Path(path), what), str(path))
    remedy = f"give the weights of {what}"
    if missing := [name for name in wanted if name not in tensors]:
        problem = f"lacks {_some(missing)} of the {len(wanted)} tensors of {what}"
        raise UserError("E-*-07", path, problem, remedy, found=len(wanted) - len(missing), wanted=len(wanted))
    for name, of in wanted.items():
        found = tensors[name]
        if found.shape != of.shape or not found.is_floating_point():
            problem = f"{name} is {_shape(found)} of {found.dtype}, wanted {_shape(of)} of floating point"
            raise UserError("E-*-07", path, problem.replace("torch.", ""), remedy)
        if not bool(torch.isfinite(found).all()):
            raise UserError("E-*-07", path, f"{name} holds values that are not finite", remedy)
    return {name: tensors[name].to(torch.float32) for name in wanted}


def _bytes(path: Path, what: str) -> bytes:
    if path.suffix in PICKLES:
        remedy = (
            "convert it once: safetensors.torch.save_file("
            f"torch.load({path.name!r}, weights_only=True), {path.with_suffix('.safetensors').name!r})"
        )
        raise UserError("E-*-03", path, "is a pickle, wanted a .safetensors file", remedy)
    check_regular(path, code="E-*-01")
    try:
        if (size := size_of(path)) > LARGEST:
            raise UserError("E-*-07", path, f"{size:,} bytes are too many for {what}", "give its weights only")
        return path.read_bytes()
    except OSError as error:
        problem = f"cannot be read ({error.strerror or type(error).__name__})"
        raise UserError("E-*-01", path, problem, "give a .safetensors file that is there") from error


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"
