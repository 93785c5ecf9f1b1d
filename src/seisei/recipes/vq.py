"""VQ-VAE and VQ-VAE-2."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from seisei.errors import UserError
from seisei.models.vqvae import VQVAE
from seisei.nn.gan.patchgan import PatchDiscriminator, layers_for
from seisei.nn.quantizers.codebooks import AveragedCodes, LearnedCodes, MappedCodes
from seisei.nn.quantizers.residual import Grouped, Residual
from seisei.nn.quantizers.scalar import FiniteScalar, LookupFree, levels_for
from seisei.nn.spatial_conv import MapDecoder, MapEncoder, map_of
from seisei.objectives.vq import Coding
from seisei.objectives.vqgan import SharpCoding
from seisei.recipes.vaes import HEADS, BatchSize, Decay, Depth, Head, Rate, Steps, Width, image_of, plain_or_conv
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.plan import Optim, Plan

Codes = Annotated[int, Range(ge=2, le=1 << 20)]
Kind = Literal["averaged", "cosine", "learned", "mapped", "finite-scalar", "lookup-free"]
Slots = Annotated[int, Range(ge=1, le=32)]
Dim = Annotated[int, Range(ge=1, le=4096)] | None
Factor = Literal[2, 4, 8, 16, 32] | None

# Channels of the first map, and of a vector that is quantized.
WIDTH, DIM = 64, 16


def vqvae(
    schema: Schema,
    *,
    codes: Codes = 512,
    quantizer: Kind = "averaged",
    slots: Slots = 1,
    together: Literal["residual", "grouped"] = "residual",
    factor: Factor = None,
    dim: Dim = None,
    gradient: Literal["straight-through", "rotation"] = "straight-through",
    commitment: Annotated[float, Range(ge=0, le=100)] = 0.25,
    sharp: Annotated[float, Range(ge=0, le=100)] = 0.0,
    width: Width = None,
    depth: Depth = None,
    head: Head = "auto",
    steps: Steps = 10_000,
    batch: BatchSize = 64,
    learning_rate: Rate = 1e-3,
    average: Decay = 0.99,
) -> Plan:
    """Learn to write an image as a few whole numbers, and to read it from them.

    Paper: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*.
    Command: seisei train vqvae photos/ --codes 1024
    Duration: minutes on two cores. Expected: nearly all codes used, and a sharper image with more of them.

    Arguments:
        codes: How many different codes there are.
        quantizer: averaged: codes are means of what chose them. cosine: the same on a sphere. learned: by gradient.
            mapped: all through one linear map. finite-scalar: rounding on a grid. lookup-free: signs.
        slots: Codes at each place of the grid.
        together: How several codes make one place: residual, each corrects those before; grouped, each is of one part.
        factor: Pixels a place stands for, each way; by default 2 for small images, 4, or 8 for large ones.
        dim: Numbers that a code stands for.
        gradient: How it passes the codes: straight-through, or turned as the rotation trick does.
        commitment: How much the encoder is held to its codes.
        sharp: How much a discriminator has a say in what comes back, against the error: 0.5 for sharper textures, 0
        for none.
        width: Channels of the first feature map.
        depth: Residual blocks at each size.
        head: What a pixel's likelihood is; auto is bernoulli for black and white, gaussian otherwise.
        steps: Updates of the weights.
        batch: Images an update.
        learning_rate: Of Adam, at its highest.
        average: Decay of the moving average of the weights that is used afterwards.
    """
    image = image_of(schema)
    factors = [factor or _factor(image.height, image.width)]
    return _coding(
        schema, factors, codes, quantizer, slots, together, dim, gradient, commitment, sharp, width, depth, head, steps,
        batch, learning_rate, average,
    )  # fmt: skip


def vqvae2(
    schema: Schema,
    *,
    levels: Annotated[int, Range(ge=2, le=5)] = 2,
    codes: Codes = 512,
    quantizer: Kind = "averaged",
    slots: Slots = 1,
    together: Literal["residual", "grouped"] = "residual",
    factor: Factor = None,
    dim: Dim = None,
    gradient: Literal["straight-through", "rotation"] = "straight-through",
    commitment: Annotated[float, Range(ge=0, le=100)] = 0.25,
    sharp: Annotated[float, Range(ge=0, le=100)] = 0.0,
    width: Width = None,
    depth: Depth = None,
    head: Head = "auto",
    steps: Steps = 10_000,
    batch: BatchSize = 64,
    learning_rate: Rate = 1e-3,
    average: Decay = 0.99,
) -> Plan:
    """Learn codes on several grids: coarse ones for what an image is of, fine ones for the rest.

    Paper: *Generating Diverse High-Fidelity Images with VQ-VAE-2 (Razavi, van den Oord, Vinyals, 2019)*.
    Command: seisei train vqvae2 photos/
    Duration: minutes on two cores. Expected: sharper images than vqvae's for the same bits.

    Arguments:
        levels: Grids, each of half the places of the one before, each way.
        codes: How many different codes each grid has.
        quantizer: See vqvae.
        slots: Codes at each place of the grids.
        together: How several codes make one place: residual, each corrects those before; grouped, each is of one part.
        factor: Pixels a place of the finest grid stands for, each way; by default 2, 4, or 8 for large images.
        dim: Numbers that a code stands for.
        gradient: How it passes the codes: straight-through, or turned as the rotation trick does.
        commitment: How much the encoder is held to its codes.
        sharp: How much a discriminator has a say in what comes back, against the error: 0.5 for sharper textures, 0
        for none.
        width: Channels of the first feature map.
        depth: Residual blocks at each size.
        head: What a pixel's likelihood is; auto is bernoulli for black and white, gaussian otherwise.
        steps: Updates of the weights.
        batch: Images an update.
        learning_rate: Of Adam, at its highest.
        average: Decay of the moving average of the weights that is used afterwards.
    """
    image = image_of(schema)
    factors = [factor or _factor(image.height, image.width), *[2] * (levels - 1)]
    return _coding(
        schema, factors, codes, quantizer, slots, together, dim, gradient, commitment, sharp, width, depth, head, steps,
        batch, learning_rate, average,
    )  # fmt: skip


def _factor(height: int, width: int) -> int:
    """How many pixels a place stands for, each way: about 64 places for small images, 256 for large ones."""
    return 2 if max(height, width) < 16 else 4 if max(height, width) <= 64 else 8


def _coding(
    schema: Schema, factors: list[int], codes: int, quantizer: str, slots: int, together: str, dim: int | None,
    gradient: str, commitment: float, sharp: float, width: int | None, depth: int | None, head: str, steps: int,
    batch: int, learning_rate: float, average: float,
) -> Plan:  # fmt: skip
    image = image_of(schema)
    _, format = plain_or_conv(image, "conv")
    places = math.prod(factors)
    if places > min(image.height, image.width):
        problem = f"images of {image.width}×{image.height}, wanted at least {places}×{places}"
        raise UserError("E-TRN-08", "--factor", problem, "choose a smaller --factor")
    if head == "auto":
        head = "bernoulli" if image.levels == 2 else "gaussian"
    likelihood = Spec(HEADS[head], levels=image.levels)
    per_value = likelihood.build().parameters_per_value
    dims: dict[str, Any] = {"width": width or WIDTH, "depth": 1 if depth is None else depth}
    encoders: list[Spec] = []
    decoders: list[Spec] = []
    quantizers: list[Spec] = []
    channels, *plane = image.shape
    read, made = [channels, *plane], [channels * per_value, *plane]
    for level, times in enumerate(factors):
        patch = min(2, times) if level == 0 else 1
        map_ = map_of(read, times, dims["width"], patch)
        part, size = _quantizer(quantizer, codes, slots, together, dim, gradient, commitment)
        # A coarser level tells a map as large as the one that it read.
        inputs = size + (map_[0] if level + 1 < len(factors) else 0)
        encoders.append(Spec(MapEncoder, shape=read, factor=times, patch=patch, **dims))
        quantizers.append(part)
        decoders.append(Spec(MapDecoder, shape=made, inputs=inputs, factor=times, patch=patch, **dims))
        read, made, dims = map_, map_, {**dims, "width": map_[0]}
    model = Spec(VQVAE, encoders=encoders, quantizers=quantizers, decoders=decoders, head=likelihood)
    # It starts from the best linear codec, which large steps would undo.
    optim = Optim(learning_rate=learning_rate, clip=1000.0, warmup=0.1)
    objective = Spec(Coding, model=model)
    if sharp:
        discriminator = Spec(
            PatchDiscriminator, shape=list(image.shape), width=width or WIDTH, layers=layers_for(min(plane))
        )
        objective = Spec(SharpCoding, model=model, discriminator=discriminator, weight=sharp)
    return Plan(objective, steps, batch, optim, average=average, format=format)


def _quantizer(
    kind: str, codes: int, slots: int, together: str, dim: int | None, gradient: str, commitment: float
) -> tuple[Spec, int]:
    """A quantizer of this kind, or several of them, and the size of the vectors that it takes."""
    each = (dim or DIM) if together == "residual" or slots == 1 else max(1, (dim or DIM) // slots)
    by_vectors: dict[str, Any] = {"dim": each, "codes": codes, "estimator": gradient, "commitment": commitment}
    if kind == "finite-scalar":
        levels = levels_for(codes)
        one, each = Spec(FiniteScalar, levels=levels), len(levels)
    elif kind == "lookup-free":
        each = codes.bit_length() - 1
        one = Spec(LookupFree, dim=each, commitment=commitment)
    elif kind == "learned":
        one = Spec(LearnedCodes, **by_vectors)
    elif kind == "mapped":
        one = Spec(MappedCodes, **by_vectors)
    else:
        one = Spec(AveragedCodes, distance="cosine" if kind == "cosine" else "euclidean", **by_vectors)
    if slots == 1:
        return one, each
    if together == "residual":
        return Spec(Residual, parts=[one] * slots), each
    return Spec(Grouped, parts=[one] * slots), slots * each
