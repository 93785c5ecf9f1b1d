"""VQ-VAE and VQ-VAE-2."""

from __future__ import annotations

import math
from typing import Annotated, Any

from seisei.errors import UserError
from seisei.models.vqvae import VQVAE
from seisei.nn.gan.patchgan import PatchDiscriminator, layers_for
from seisei.nn.quantizers.codebooks import EMACodebook, GradientCodebook, SimVQCodebook
from seisei.nn.quantizers.residual import ProductQuantizer, ResidualQuantizer
from seisei.nn.quantizers.scalar import FSQ, LFQ, levels_for
from seisei.nn.spatial_conv import MapDecoder, MapEncoder, map_of
from seisei.objectives.vq import Coding
from seisei.objectives.vqgan import VQGAN
from seisei.recipes.options import Codebook, CodecNetwork, Head, Training, with_groups
from seisei.recipes.vaes import HEADS, image_of, mlp_or_conv
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.plan import Optim, Plan

# Channels of the first map, and the dimension of a code vector.
WIDTH, DIM = 64, 16


@with_groups
def vqvae(
    schema: Schema,
    *,
    codebook: Codebook = Codebook(),
    network: CodecNetwork = CodecNetwork(),
    head: Head = Head(),
    training: Training = Training(ema_decay=0.99),
) -> Plan:
    """Learn to compress images to discrete codes and to reconstruct them.

    Paper: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*.
    Command: seisei train vqvae photos/ --codebook-size 1024
    Duration: minutes on two cores. Expected: nearly all codes used; larger codebooks give sharper reconstructions.
    """
    return codec_plan(schema, [codebook.downsample or _downsample(schema)], codebook, network, head, training)


@with_groups
def vqvae2(
    schema: Schema,
    *,
    levels: Annotated[int, Range(ge=2, le=5)] = 2,
    codebook: Codebook = Codebook(),
    network: CodecNetwork = CodecNetwork(),
    head: Head = Head(),
    training: Training = Training(ema_decay=0.99),
) -> Plan:
    """Learn a hierarchy of discrete codes: coarse levels for what an image shows, fine ones for its detail.

    Paper: *Generating Diverse High-Fidelity Images with VQ-VAE-2 (Razavi, van den Oord, Vinyals, 2019)*.
    Command: seisei train vqvae2 photos/
    Duration: minutes on two cores. Expected: sharper reconstructions than vqvae's at the same number of bits.

    Arguments:
        levels: Number of levels; each has half the resolution of the one before.
        codebook_size: Number of codes in the codebook of each level.
        downsample: Downsampling factor of the finest level: pixels per code along each side; by default 2, 4 or 8, by
            image size.
    """
    factors = [codebook.downsample or _downsample(schema), *[2] * (levels - 1)]
    return codec_plan(schema, factors, codebook, network, head, training)


def _downsample(schema: Schema) -> int:
    """Pixels per code along each side: about 64 positions for small images, 256 for large ones."""
    side = max(image_of(schema).height, image_of(schema).width)
    return 2 if side < 16 else 4 if side <= 64 else 8


def codec_plan(
    schema: Schema, factors: list[int], codebook: Codebook, network: CodecNetwork, head: Head, training: Training
) -> Plan:
    """A plan that trains a codec of as many levels as there are downsampling factors, the finest first."""
    image = image_of(schema)
    _, format = mlp_or_conv(image, "conv")
    if (whole := math.prod(factors)) > min(image.height, image.width):
        problem = f"images of {image.width}×{image.height}, wanted at least {whole}×{whole}"
        raise UserError("E-TRN-08", "--downsample", problem, "choose a smaller --downsample")
    kind = head.head
    if kind == "auto":
        kind = "bernoulli" if image.levels == 2 else "gaussian"
    likelihood = Spec(HEADS[kind], levels=image.levels)
    per_value = likelihood.build().parameters_per_value
    dims: dict[str, Any] = {"width": network.width or WIDTH, "depth": 1 if network.depth is None else network.depth}
    encoders: list[Spec] = []
    decoders: list[Spec] = []
    quantizers: list[Spec] = []
    channels, *plane = image.shape
    inputs, outputs = [channels, *plane], [channels * per_value, *plane]
    for level, factor in enumerate(factors):
        patch = min(2, factor) if level == 0 else 1
        map_ = map_of(inputs, factor, dims["width"], patch)
        quantizer, size = _quantizer(codebook)
        # A coarser level passes on a feature map as large as the one that it read.
        above = map_[0] if level + 1 < len(factors) else 0
        encoders.append(Spec(MapEncoder, shape=inputs, factor=factor, patch=patch, **dims))
        quantizers.append(quantizer)
        decoders.append(Spec(MapDecoder, shape=outputs, inputs=size + above, factor=factor, patch=patch, **dims))
        inputs, outputs, dims = map_, map_, {**dims, "width": map_[0]}
    model = Spec(VQVAE, encoders=encoders, quantizers=quantizers, decoders=decoders, head=likelihood)
    # It starts from the best linear codec, which large steps would undo.
    optim = Optim(learning_rate=training.learning_rate, clip=1000.0, warmup=0.1)
    objective = Spec(Coding, model=model)
    if codebook.gan_weight:
        width, layers = network.width or WIDTH, layers_for(min(plane))
        discriminator = Spec(PatchDiscriminator, shape=list(image.shape), width=width, layers=layers)
        objective = Spec(VQGAN, model=model, discriminator=discriminator, weight=codebook.gan_weight)
    return Plan(objective, training.steps, training.batch, optim, ema_decay=training.ema_decay, format=format)


def _quantizer(codebook: Codebook) -> tuple[Spec, int]:
    """A quantizer, or several of them, and the dimension of the vectors that it takes."""
    count, whole = codebook.quantizers, codebook.code_dim or DIM
    dim = whole if codebook.quantizer_mode == "residual" or count == 1 else max(1, whole // count)
    vectors: dict[str, Any] = {
        "dim": dim,
        "codes": codebook.codebook_size,
        "estimator": codebook.gradient,
        "commitment": codebook.commitment,
    }
    if codebook.quantizer == "fsq":
        levels = levels_for(codebook.codebook_size)
        one, dim = Spec(FSQ, levels=levels), len(levels)
    elif codebook.quantizer == "lfq":
        dim = codebook.codebook_size.bit_length() - 1
        one = Spec(LFQ, dim=dim, commitment=codebook.commitment)
    elif codebook.quantizer == "gradient":
        one = Spec(GradientCodebook, **vectors)
    elif codebook.quantizer == "simvq":
        one = Spec(SimVQCodebook, **vectors)
    else:
        one = Spec(EMACodebook, distance="cosine" if codebook.quantizer == "cosine" else "euclidean", **vectors)
    if count == 1:
        return one, dim
    if codebook.quantizer_mode == "residual":
        return Spec(ResidualQuantizer, parts=[one] * count), dim
    return Spec(ProductQuantizer, parts=[one] * count), count * dim
