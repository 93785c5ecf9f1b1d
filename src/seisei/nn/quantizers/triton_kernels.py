"""GPU kernels in Triton, which ships with PyTorch for CUDA; import only where a GPU is present.

They are optional: results equal those of the PyTorch code. With TRITON_INTERPRET=1 in the environment they run on a
CPU, slowly, for debugging.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

# Rows and code vectors per block.
ROWS, VECTORS = 64, 64
# Blocks of longer vectors exceed the shared memory of small GPUs, 64 KB.
LONGEST = 128


@triton.jit  # type: ignore[untyped-decorator]
def _nearest(  # type: ignore[no-untyped-def]
    x, vectors, half, found, count, codes,
    D: tl.constexpr, SIZE: tl.constexpr, ROWS: tl.constexpr, VECTORS: tl.constexpr,
) -> None:  # fmt: skip
    """Argmin of ½‖e‖² − x·e for a block of ROWS rows, looping over blocks of code vectors."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    part = tl.arange(0, SIZE)
    here, within = (row < count)[:, None], (part < D)[None, :]
    of_row = tl.load(x + row.to(tl.int64)[:, None] * D + part[None, :], mask=here & within, other=0.0)
    least = tl.full([ROWS], float("inf"), tl.float32)
    which = tl.zeros([ROWS], tl.int32)
    for start in range(0, codes, VECTORS):
        at = start + tl.arange(0, VECTORS)
        of_code = tl.load(
            vectors + at.to(tl.int64)[:, None] * D + part[None, :], mask=(at < codes)[:, None] & within, other=0.0
        )
        offset = tl.load(half + at, mask=at < codes, other=float("inf"))
        # Full precision: TF32 would assign some rows to another code than the CPU does.
        scores = offset[None, :] - tl.dot(of_row, tl.trans(of_code), input_precision="ieee")
        smallest, place = tl.min(scores, 1, return_indices=True, return_indices_tie_break_left=True)
        nearer = smallest < least
        which = tl.where(nearer, start + place, which)
        least = tl.where(nearer, smallest, least)
    tl.store(found + row, which.to(tl.int64), mask=row < count)


def nearest(x: Tensor, vectors: Tensor) -> Tensor:
    """As `seisei.nn.quantizers.nearest.nearest`, for vectors of at most `LONGEST` dimensions, in full precision."""
    count, size = x.shape
    found = torch.empty(count, dtype=torch.long, device=x.device)
    if count:
        _nearest[((count + ROWS - 1) // ROWS,)](
            x.contiguous(), vectors.contiguous(), vectors.square().sum(1) / 2, found, count, len(vectors),
            D=size, SIZE=max(16, 1 << (size - 1).bit_length()), ROWS=ROWS, VECTORS=VECTORS, num_stages=1,
        )  # fmt: skip
    return found
