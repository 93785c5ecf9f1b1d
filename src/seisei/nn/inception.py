"""Inception-v3 up to its final pooling: the 2048 features of the Fréchet inception distance (FID).

Seven plain layers and eleven mixed ones; a layer is convolution, batch norm with fixed statistics, and ReLU; a mixed
layer concatenates the outputs of its branches:

    3×299² → 32×149² → 32×147² → 64×147² → 64×73² → 80×73² → 192×71² → 192×35²
           → 256, 288, 288 × 35²  (5b … 5d)  → 768×17²  (6a … 6e)  → 1280, 2048, 2048 × 8²  (7a … 7c)  → mean, 2048

Parameter names are those of torchvision's `inception_v3`. Three details follow the original FID network where
torchvision differs: average pooling excludes padding, the pooling branch of the last layer uses max pooling, and images
of any size are resized to 299×299 and scaled from (0, 1) to (−1, 1).

No weights are included or downloaded: name a file that has them.

References: *Rethinking the Inception Architecture for Computer Vision (Szegedy, Vanhoucke, Ioffe, Shlens, Wojna,
    2016)*, arXiv 1512.00567; as a measure: *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
    Equilibrium (Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, 2017)*, arXiv 1706.08500.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.errors import UserError

FEATURES, SIDE = 2048, 299
# Batch size (about 0.25 GiB), and the number of missing tensors an error names.
TOGETHER, NAMED = 16, 3

Kernel: TypeAlias = int | tuple[int, int]
# A step of a branch: (name, channels, kernel), or a pooling module. A list of steps runs in parallel on the same map.
Step: TypeAlias = tuple[str, int, Kernel] | nn.Module
Branch: TypeAlias = Sequence[Step | list[Step]]


class Layer(nn.Module):
    """ReLU(batch norm(W x)): a convolution without bias.

    Arguments:
        inputs: input channels.
        outputs: output channels.
        kernel: kernel size.
        stride: stride.
        within: no padding; otherwise the map keeps its size.
    """

    def __init__(self, inputs: int, outputs: int, kernel: Kernel, *, stride: int = 1, within: bool = False) -> None:
        super().__init__()
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        around = (0, 0) if within else (high // 2, wide // 2)
        self.conv = nn.Conv2d(inputs, outputs, (high, wide), stride, around, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H', W')."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Mixed(nn.Module):
    """Parallel branches, their output channels concatenated.

    Arguments:
        inputs: input channels.
        branches: each a sequence of steps; a list as a step forks the branch.
        halve: whether the last step of each branch has stride 2.

    Example:
        >>> both = Mixed(8, [[("narrow", 2, 1)], [("first", 4, 1), [("wide", 3, (1, 3)), ("high", 3, (3, 1))]]])
        >>> both.outputs, both(torch.zeros(1, 8, 5, 5)).shape
        (8, torch.Size([1, 8, 5, 5]))
    """

    def __init__(self, inputs: int, branches: Sequence[Branch], *, halve: bool = False) -> None:
        super().__init__()
        self.outputs = 0
        self.branches: list[list[list[nn.Module]]] = []
        for branch in branches:
            line: list[list[nn.Module]] = []
            channels = inputs
            for number, step in enumerate(branch):
                last = halve and number == len(branch) - 1
                parts = [self._part(channels, part, last) for part in (step if isinstance(step, list) else [step])]
                channels = sum(count for _, count in parts)
                line.append([part for part, _ in parts])
            self.branches.append(line)
            self.outputs += channels

    def _part(self, inputs: int, step: Step, halve: bool) -> tuple[nn.Module, int]:
        if isinstance(step, nn.Module):
            return step, inputs
        name, outputs, kernel = step
        layer = Layer(inputs, outputs, kernel, stride=2 if halve else 1, within=halve)
        self.add_module(name, layer)
        return layer, outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H', W')."""
        found: list[Tensor] = []
        for branch in self.branches:
            maps = [x]
            for parts in branch:
                maps = [part(now) for now in maps for part in parts]
            found += maps
        return torch.cat(found, 1)


class Inception(nn.Module):
    """The network, randomly initialized; `loaded` gives it weights.

    Example:
        >>> sum(parameter.numel() for parameter in Inception().parameters())
        21785568
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Layer(3, 32, 3, stride=2, within=True)
        self.Conv2d_2a_3x3 = Layer(32, 32, 3, within=True)
        self.Conv2d_2b_3x3 = Layer(32, 64, 3)
        self.maxpool1 = nn.MaxPool2d(3, 2)
        self.Conv2d_3b_1x1 = Layer(64, 80, 1)
        self.Conv2d_4a_3x3 = Layer(80, 192, 3, within=True)
        self.maxpool2 = nn.MaxPool2d(3, 2)
        channels = 192
        for name, branches, halve in _mixed():
            mixed = Mixed(channels, branches, halve=halve)
            self.add_module(name, mixed)
            channels = mixed.outputs
        assert channels == FEATURES
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Features of images, (B, 1 or 3, H, W) in [0, 1], as (B, 2048); gray is repeated for all three colors.

        Raises:
            UserError: images with neither one nor three channels.
        """
        check_channels(x.shape[1])
        parts = (x[start : start + TOGETHER] for start in range(0, len(x), TOGETHER))
        return torch.cat([self.pooled(prepared(part)) for part in parts])

    def pooled(self, x: Tensor) -> Tensor:
        """Mean of the last map, (B, 2048), for images (B, 3, 299, 299) in [−1, 1]."""
        for layer in self.children():
            x = layer(x)
        return x.mean((2, 3))


def prepared(x: Tensor) -> Tensor:
    """Network input (B, 3, 299, 299) in [−1, 1] from images (B, 1 or 3, H, W) in [0, 1].

    Example:
        >>> prepared(torch.full((1, 1, 8, 8), 0.75))[0, :, 0, 0].tolist()
        [0.5, 0.5, 0.5]
    """
    large = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return 2 * large.expand(-1, 3, -1, -1) - 1


def check_channels(channels: int) -> None:
    """Refuse images that are neither grayscale nor RGB.

    Raises:
        UserError: neither 1 channel nor 3.

    Example:
        >>> check_channels(4)
        Traceback (most recent call last):
        seisei.errors.UserError: --inception: images of 4 channels, wanted 1 (gray) or 3 (color); leave it out
    """
    if channels not in (1, 3):
        problem = f"images of {channels} channels, wanted 1 (gray) or 3 (color)"
        raise UserError("E-EVA-28", "--inception", problem, "leave it out", found=channels, wanted=[1, 3])


def loaded(tensors: Mapping[str, Tensor], where: str) -> Inception:
    """The network with these weights; those after the pooling (`fc`, `AuxLogits`) are ignored.

    Arguments:
        tensors: by the names of torchvision's `inception_v3`.
        where: the file they come from.

    Raises:
        UserError: tensors are missing, of another shape, or not finite.

    Example:
        >>> loaded(Inception().state_dict(), "random").pooled(torch.zeros(1, 3, 75, 75)).shape
        torch.Size([1, 2048])
    """
    with torch.device("meta"):
        network = Inception()
    # num_batches_tracked is unused, and some files lack it.
    wanted = {name: of for name, of in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    remedy = "give the weights of torchvision's inception_v3, or FID weights with its parameter names"
    if missing := [name for name in wanted if name not in tensors]:
        problem = f"lacks {_some(missing)} of the {len(wanted)} tensors of Inception-v3"
        raise UserError("E-EVA-27", where, problem, remedy, found=len(wanted) - len(missing), wanted=len(wanted))
    for name, of in wanted.items():
        found = tensors[name]
        if found.shape != of.shape or not found.is_floating_point():
            problem = f"{name} is {_shape(found)} of {found.dtype}, wanted {_shape(of)} of floating point"
            raise UserError("E-EVA-27", where, problem.replace("torch.", ""), remedy)
        # A negative variance has no square root.
        if not bool(torch.isfinite(found).all()) or (name.endswith("running_var") and bool((found < 0).any())):
            raise UserError("E-EVA-27", where, f"{name} holds non-finite values or negative variances", remedy)
    state = {
        name: tensors[name].to("cpu", torch.float32) if name in wanted else torch.tensor(0)
        for name in network.state_dict()
    }
    network.load_state_dict(state, assign=True)
    # channels_last takes two thirds of the time on a CPU.
    for weights in network.parameters():
        weights.requires_grad_(False)
        if weights.ndim == 4:
            weights.data = weights.data.contiguous(memory_format=torch.channels_last)
    return network


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"


# ---- the mixed layers


def _mixed() -> Iterator[tuple[str, list[Branch], bool]]:
    """Name, branches and stride-2 flag of each mixed layer."""
    for name, pooled in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
        yield name, _small(pooled), False
    yield "Mixed_6a", _first_halving(), True
    for name, narrow in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        yield name, _long(narrow), False
    yield "Mixed_7a", _second_halving(), True
    yield "Mixed_7b", _wide(_mean()), False
    yield "Mixed_7c", _wide(nn.MaxPool2d(3, 1, 1)), False


def _mean() -> nn.Module:
    """3×3 average pooling, without padding in the mean."""
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def _small(pooled: int) -> list[Branch]:
    """Figure 5 of the paper, with one 5×5 kept."""
    return [
        [("branch1x1", 64, 1)],
        [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
        [_mean(), ("branch_pool", pooled, 1)],
    ]


def _first_halving() -> list[Branch]:
    """Figure 10 of the paper."""
    return [
        [("branch3x3", 384, 3)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
        [nn.MaxPool2d(3, 2)],
    ]


def _long(narrow: int) -> list[Branch]:
    """Figure 6 of the paper: 7×7 factorized into 1×7 and 7×1."""
    across, down = (1, 7), (7, 1)
    return [
        [("branch1x1", 192, 1)],
        [("branch7x7_1", narrow, 1), ("branch7x7_2", narrow, across), ("branch7x7_3", 192, down)],
        [
            ("branch7x7dbl_1", narrow, 1),
            ("branch7x7dbl_2", narrow, down),
            ("branch7x7dbl_3", narrow, across),
            ("branch7x7dbl_4", narrow, down),
            ("branch7x7dbl_5", 192, across),
        ],
        [_mean(), ("branch_pool", 192, 1)],
    ]


def _second_halving() -> list[Branch]:
    """Like the first reduction, with 1×7 and 7×1 in its longer branch."""
    return [
        [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)],
        [
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, (1, 7)),
            ("branch7x7x3_3", 192, (7, 1)),
            ("branch7x7x3_4", 192, 3),
        ],
        [nn.MaxPool2d(3, 2)],
    ]


def _wide(pool: nn.Module) -> list[Branch]:
    """Figure 7 of the paper: 1×3 and 3×1 in parallel."""
    across, down = (1, 3), (3, 1)
    return [
        [("branch1x1", 320, 1)],
        [("branch3x3_1", 384, 1), [("branch3x3_2a", 384, across), ("branch3x3_2b", 384, down)]],
        [
            ("branch3x3dbl_1", 448, 1),
            ("branch3x3dbl_2", 384, 3),
            [("branch3x3dbl_3a", 384, across), ("branch3x3dbl_3b", 384, down)],
        ],
        [pool, ("branch_pool", 192, 1)],
    ]
