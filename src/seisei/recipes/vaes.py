"""Autoencoder and VAE."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.table import Table
from seisei.models.vae import VAE, Autoencoder
from seisei.nn.conv import ConvDecoder, ConvEncoder
from seisei.nn.heads import BernoulliHead, GaussianHead, LogisticMixtureHead
from seisei.nn.mlp import MLPDecoder, MLPEncoder
from seisei.nn.priors import StandardNormal, VampPrior
from seisei.objectives.elbo import ELBO, IWAE
from seisei.objectives.reconstruction import Reconstruction
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.plan import Optim, Plan

Latent = Annotated[int, Range(ge=1, le=4096)]
Network = Literal["auto", "mlp", "conv"]
Width = Annotated[int, Range(ge=4, le=4096)] | None
Depth = Annotated[int, Range(ge=0, le=32)] | None
Head = Literal["auto", "bernoulli", "gaussian", "logistic"]
Steps = Annotated[int, Range(ge=1, le=10**9)]
BatchSize = Annotated[int, Range(ge=1, le=10**6)]
Rate = Annotated[float, Range(gt=0, le=1)]
Decay = Annotated[float, Range(ge=0, lt=1)]

HEADS = {"bernoulli": BernoulliHead, "gaussian": GaussianHead, "logistic": LogisticMixtureHead}
# The width is that of a hidden layer of an MLP, and of the first feature map of a convolution network.
NETWORKS: dict[str, tuple[type, type, dict[str, int]]] = {
    "mlp": (MLPEncoder, MLPDecoder, {"width": 512, "depth": 2}),
    "conv": (ConvEncoder, ConvDecoder, {"width": 32, "depth": 1}),
}


def autoencoder(
    schema: Schema,
    *,
    latent: Latent = 32,
    network: Network = "auto",
    width: Width = None,
    depth: Depth = None,
    head: Head = "auto",
    steps: Steps = 3000,
    batch: BatchSize = 64,
    learning_rate: Rate = 1e-3,
    average: Decay = 0.999,
) -> Plan:
    """Learn a code for every image and an image for every code.

    Paper: *Reducing the Dimensionality of Data with Neural Networks (Hinton, Salakhutdinov, 2006)*.
    Command: seisei train autoencoder digits
    Duration: about half a minute on two cores. Expected: held-out 8×8 digits come back with a mean squared error of
    about 0.003.

    Arguments:
        latent: Numbers in a code.
        network: mlp for small images, conv for larger ones; auto decides by size.
        width: Units of a hidden layer (mlp), channels of the first feature map (conv).
        depth: Hidden layers (mlp), residual blocks at each size (conv).
        head: What a pixel's likelihood is; auto is bernoulli for black and white, gaussian otherwise.
        steps: Updates of the weights.
        batch: Images an update.
        learning_rate: Of Adam, at its highest.
        average: Decay of the moving average of the weights that is used afterwards.
    """
    encoder, decoder, likelihood, format = ends(schema, latent, latent, network, width, depth, head, classes=0)
    model = Spec(Autoencoder, encoder=encoder, decoder=decoder, head=likelihood)
    optim = Optim(learning_rate=learning_rate, clip=1000.0)
    return Plan(Spec(Reconstruction, model=model), steps, batch, optim, average=average, format=format)


def vae(
    schema: Schema,
    *,
    latent: Latent = 32,
    network: Network = "auto",
    width: Width = None,
    depth: Depth = None,
    head: Head = "auto",
    prior: Literal["normal", "vamp"] = "normal",
    components: Annotated[int, Range(ge=1, le=10_000)] = 500,
    condition: Literal["none", "label"] = "none",
    beta: Annotated[float, Range(ge=0, le=1000)] = 1.0,
    warmup: Annotated[float, Range(ge=0, le=1)] = 0.1,
    free_bits: Annotated[float, Range(ge=0, le=100)] = 0.0,
    importance: Annotated[int, Range(ge=1, le=1000)] = 1,
    steps: Steps = 3000,
    batch: BatchSize = 64,
    learning_rate: Rate = 1e-3,
    average: Decay = 0.999,
) -> Plan:
    """Learn to draw new images, to encode and decode them, and to bound their likelihood.

    Paper: *Auto-Encoding Variational Bayes (Kingma, Welling, 2013)*.
    Command: seisei train vae digits --latent 16
    Duration: about half a minute on two cores. Expected: about 1.92 bits per dimension on held-out 8×8 digits.

    Arguments:
        latent: Numbers in a latent.
        network: mlp for small images, conv for larger ones; auto decides by size.
        width: Units of a hidden layer (mlp), channels of the first feature map (conv).
        depth: Hidden layers (mlp), residual blocks at each size (conv).
        head: What a pixel's likelihood is; auto is bernoulli for black and white, gaussian otherwise.
        prior: normal, or vamp: a mixture that the encoder makes of learned pseudo-images.
        components: Pseudo-images of the vamp prior.
        condition: label gives encoder and decoder the label, so that a kind can be chosen when sampling.
        beta: Weight of the KL term; below 1 for sharper reconstructions, above 1 for smoother latents.
        warmup: Fraction of training over which the KL term comes in.
        free_bits: Nats of KL per latent dimension that cost nothing, against posterior collapse.
        importance: Draws of the latent in the bound that is trained; above 1 it is IWAE's, and beta, warmup, free_bits
            rest.
        steps: Updates of the weights.
        batch: Images an update.
        learning_rate: Of Adam, at its highest.
        average: Decay of the moving average of the weights that is used afterwards.
    """
    classes = _classes(schema) if condition == "label" else 0
    encoder, decoder, likelihood, format = ends(schema, 2 * latent, latent, network, width, depth, head, classes)
    shape = list(image_of(schema).shape)
    before = Spec(StandardNormal, latent=latent)
    if prior == "vamp":
        before = Spec(VampPrior, latent=latent, shape=shape, components=components)
    model = Spec(VAE, encoder=encoder, decoder=decoder, head=likelihood, prior=before)
    if importance > 1:
        objective = Spec(IWAE, model=model, samples=importance)
    else:
        objective = Spec(ELBO, model=model, beta=beta, warmup=warmup, free_bits=free_bits)
    optim = Optim(learning_rate=learning_rate, clip=1000.0)
    return Plan(objective, steps, batch, optim, average=average, format=format)


def image_of(schema: Schema) -> Image:
    """The image end of a schema.

    Raises:
        UserError: it has none.
    """
    if not isinstance(schema.x, Image):
        raise UserError("E-TRN-13", "data", f"a {schema.x.noun} is no image", "give a folder of images")
    return schema.x


def naming_classes(schema: Schema) -> str:
    """How a person gives classes for data like these, as a remedy."""
    if isinstance(schema.x, Table):
        return "name the column with --target"
    return "put each class in its own sub-folder, or add a metadata.csv with the columns file_name and label"


def _classes(schema: Schema) -> int:
    if not isinstance(schema.y, Label):
        raise UserError("E-TRN-12", "--condition label", "the images have no labels", naming_classes(schema))
    if schema.y.classes < 2:
        raise UserError("E-TRN-12", "--condition label", "1 class found, wanted at least 2", "leave out --condition")
    return schema.y.classes


def ends(
    schema: Schema,
    outputs: int,
    latent: int,
    network: str,
    width: int | None,
    depth: int | None,
    head: str,
    classes: int,
) -> tuple[Spec, Spec, Spec, Any]:
    """Encoder, decoder, head and memory format for images of this schema."""
    image = image_of(schema)
    network, format = plain_or_conv(image, network)
    if head == "auto":
        head = "bernoulli" if image.levels == 2 else "gaussian"
    likelihood = Spec(HEADS[head], levels=image.levels)
    per_value = likelihood.build().parameters_per_value
    encode, decode, defaults = NETWORKS[network]
    dims = {
        "width": width or defaults["width"],
        "depth": defaults["depth"] if depth is None else depth,
        "classes": classes,
    }
    if network == "conv":
        # Beyond this, maps at half the image's size cost most of the time and show in no sample.
        dims["patch"] = 2 if max(image.height, image.width) <= 32 else 4
    channels, *plane = image.shape
    encoder = Spec(encode, shape=[channels, *plane], outputs=outputs, **dims)
    if network == "conv":
        dims["even"] = True
    decoder = Spec(decode, shape=[channels * per_value, *plane], latent=latent, **dims)
    return encoder, decoder, likelihood, format


def plain_or_conv(image: Image, network: str) -> tuple[str, Any]:
    """The kind of network for images of this size, and the memory format that suits it.

    Raises:
        UserError: images that convolutions do not take.
    """
    if network == "auto":
        network = "conv" if min(image.height, image.width) >= 16 else "mlp"
    if network == "conv" and not 8 <= min(image.height, image.width) <= max(image.height, image.width) <= 256:
        size = f"{image.width}×{image.height}"
        raise UserError(
            "E-TRN-08", "--network conv", f"images of {size}, wanted 8×8 to 256×256", "choose another --size"
        )
    return network, "channels_last" if network == "conv" and image.height >= 16 else "contiguous"
