"""Speed-ups of this machine, each tried before it is trusted.

What paid and by how much is in ``docs/log.md``. A lever changes rounding at most; each that is on is written into the
run's recipe, since a resumed run gives the same bits only with the same levers.
"""

from __future__ import annotations

import ctypes
import math
import platform

import torch

from seisei import seeds

# mallopt(3): M_MMAP_MAX and M_TRIM_THRESHOLD of glibc's malloc.h.
M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1


def keep_pages() -> bool:
    """Let the process keep the memory it frees: a fresh large tensor costs a page fault every 4 kB. glibc only."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def product_error(size: int = 512, dtype: torch.dtype = torch.float32) -> float:
    """Largest error of a product of standard normal (size, size) matrices against float64, in units of √size."""
    a, b = torch.randn(2, size, size, generator=seeds.generator("probe"))
    answer = (a.to(dtype) @ b.to(dtype)).double()
    worst = float((answer - a.double() @ b.double()).abs().max())
    return worst / math.sqrt(size)


def route_float32(on: bool, limit: float = 1e-4) -> bool:
    """Send float32 products on the CPU to oneDNN, which is up to twice as fast where MKL picks a slow path.

    The switch also *permits* bf16 arithmetic, and a CPU with matrix units may take it: the accuracy of a product is
    measured, and the switch goes back unless float32's own is found (measured 3e-6 here; bf16 would give 1e-2).
    """
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    if matmul is None or not hasattr(matmul, "fp32_precision"):
        return False
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16" if on else "none"
    if on and product_error() > limit:
        matmul.fp32_precision = before
        return False
    return on


def float32_is_routed() -> bool:
    """Whether float32 products go to oneDNN now; see `route_float32`."""
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    return getattr(matmul, "fp32_precision", "none") == "bf16"


def bf16_is_emulated(device: torch.device) -> bool:
    """True on a CPU without instructions for it, where a convolution takes many times as long as in float32."""
    told = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type == "cpu" and told is not None and not told()


def bf16_works(device: torch.device, limit: float = 0.05) -> bool:
    """True when bf16 products are there and as accurate as bf16 can be (about 0.01 in the units of `product_error`)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    try:
        return product_error(256, torch.bfloat16) <= limit
    except RuntimeError:
        return False
