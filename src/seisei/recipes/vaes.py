"""Autoencoder and VAE."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.table import Table
from seisei.models.vae import VAE, Autoencoder
from seisei.nn.conv import ConvDecoder, ConvEncoder
from seisei.nn.heads import BernoulliHead, GaussianHead, LogisticMixtureHead
from seisei.nn.mlp import MLPDecoder, MLPEncoder
from seisei.nn.priors import StandardNormal, VampPrior
from seisei.objectives.elbo import ELBO, IWAE
from seisei.objectives.reconstruction import Reconstruction
from seisei.recipes.options import Head, Latent, Network, Training, with_groups
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.plan import Optim, Plan

HEADS = {"bernoulli": BernoulliHead, "gaussian": GaussianHead, "logistic": LogisticMixtureHead}
# The width is that of a hidden layer of an MLP, and of the first feature map of a convolution network.
NETWORKS: dict[str, tuple[type, type, dict[str, int]]] = {
    "mlp": (MLPEncoder, MLPDecoder, {"width": 512, "depth": 2}),
    "conv": (ConvEncoder, ConvDecoder, {"width": 32, "depth": 1}),
}


@with_groups
def autoencoder(
    schema: Schema,
    *,
    latent: Latent = 32,
    network: Network = Network(),
    head: Head = Head(),
    training: Training = Training(steps=3000),
) -> Plan:
    """Learn to compress images to a latent vector and to reconstruct them.

    Paper: *Reducing the Dimensionality of Data with Neural Networks (Hinton, Salakhutdinov, 2006)*.
    Command: seisei train autoencoder digits
    Duration: about half a minute on two cores. Expected: held-out 8×8 digits are reconstructed with a mean squared
    error of about 0.003.

    Arguments:
        latent: Latent dimension.
    """
    encoder, decoder, likelihood, format = ends(schema, latent, latent, network, head.head)
    model = Spec(Autoencoder, encoder=encoder, decoder=decoder, head=likelihood)
    return _plan(Spec(Reconstruction, model=model), training, format)


@with_groups
def vae(
    schema: Schema,
    *,
    latent: Latent = 32,
    network: Network = Network(),
    head: Head = Head(),
    prior: Literal["normal", "vamp"] = "normal",
    components: Annotated[int, Range(ge=1, le=10_000)] = 500,
    condition: Literal["none", "label"] = "none",
    beta: Annotated[float, Range(ge=0, le=1000)] = 1.0,
    warmup: Annotated[float, Range(ge=0, le=1)] = 0.1,
    free_bits: Annotated[float, Range(ge=0, le=100)] = 0.0,
    importance_samples: Annotated[int, Range(ge=1, le=1000)] = 1,
    training: Training = Training(steps=3000),
) -> Plan:
    """Learn to generate new images, to encode and decode them, and to bound their likelihood.

    Paper: *Auto-Encoding Variational Bayes (Kingma, Welling, 2013)*.
    Command: seisei train vae digits --latent 16
    Duration: about half a minute on two cores. Expected: about 1.92 bits per dimension on held-out 8×8 digits.

    Arguments:
        latent: Latent dimension.
        prior: Prior over latents: normal, or vamp (a mixture of posteriors of learned pseudo-inputs).
        components: Number of pseudo-inputs of the vamp prior.
        condition: label conditions encoder and decoder on the class, so that you can choose it when sampling.
        beta: Weight of the KL term; below 1 for sharper reconstructions, above 1 for a smoother latent space.
        warmup: Share of training over which the weight of the KL term rises from 0 (KL annealing).
        free_bits: Nats of KL per latent dimension that are not penalized, against posterior collapse.
        importance_samples: Samples of the latent in the training bound; above 1 it is the importance-weighted bound
            (IWAE), for which beta, warmup and free_bits are not used.
    """
    classes = _classes(schema) if condition == "label" else 0
    encoder, decoder, likelihood, format = ends(schema, 2 * latent, latent, network, head.head, classes)
    before = Spec(StandardNormal, latent=latent)
    if prior == "vamp":
        before = Spec(VampPrior, latent=latent, shape=list(image_of(schema).shape), components=components)
    model = Spec(VAE, encoder=encoder, decoder=decoder, head=likelihood, prior=before)
    if importance_samples > 1:
        objective = Spec(IWAE, model=model, samples=importance_samples)
    else:
        objective = Spec(ELBO, model=model, beta=beta, warmup=warmup, free_bits=free_bits)
    return _plan(objective, training, format)


def _plan(objective: Spec, training: Training, format: Any) -> Plan:
    optim = Optim(learning_rate=training.learning_rate, clip=1000.0)
    return Plan(objective, training.steps, training.batch, optim, ema_decay=training.ema_decay, format=format)


def image_of(schema: Schema) -> Image:
    """The image end of a schema.

    Raises:
        UserError: it has none.
    """
    if not isinstance(schema.x, Image):
        found = {"row": "a table", "text": "text"}.get(schema.x.noun, f"{schema.x.noun}s")
        raise UserError("E-TRN-13", "data", f"expected images, found {found}", "give a folder of images")
    return schema.x


def naming_classes(schema: Schema) -> str:
    """How a person gives classes for data like these, as a remedy."""
    if isinstance(schema.x, Table):
        return "name the column with --target"
    return "put each class in its own sub-folder, or add a metadata.csv with the columns file_name and label"


def _classes(schema: Schema) -> int:
    if schema.y is not None and not schema.classes:
        problem = "vae is conditioned on classes only"
        raise UserError("E-TRN-12", "--condition", problem, "write --condition label, or train cgan or vqvae+prior")
    if not schema.classes:
        raise UserError("E-TRN-12", "--condition label", "the images have no labels", naming_classes(schema))
    if len(schema.classes) < 2:
        raise UserError("E-TRN-12", "--condition label", "1 class found, wanted at least 2", "leave out --condition")
    return len(schema.classes)


def ends(
    schema: Schema, outputs: int, latent: int, network: Network, head: str, classes: int = 0
) -> tuple[Spec, Spec, Spec, Any]:
    """Encoder, decoder, head and memory format for images of this schema."""
    image = image_of(schema)
    kind, format = mlp_or_conv(image, network.network)
    if head == "auto":
        head = "bernoulli" if image.levels == 2 else "gaussian"
    likelihood = Spec(HEADS[head], levels=image.levels)
    per_value = likelihood.build().parameters_per_value
    encode, decode, defaults = NETWORKS[kind]
    dims: dict[str, Any] = {
        "width": network.width or defaults["width"],
        "depth": defaults["depth"] if network.depth is None else network.depth,
        "classes": classes,
    }
    side = max(image.height, image.width)
    if kind == "conv":
        # Beyond this, maps at half the image's size cost most of the encoder's time.
        dims["patch"] = 2 if side <= 32 else 4
    channels, *plane = image.shape
    encoder = Spec(encode, shape=[channels, *plane], outputs=outputs, **dims)
    if kind == "conv":
        dims["even"] = True
        if side > 32:
            # Otherwise larger samples show a lattice of patches and of the upsampling, which long training leaves.
            dims |= {"patch": 2 if side <= 64 else 4, "enlarging": "bilinear", "smooth": True}
    decoder = Spec(decode, shape=[channels * per_value, *plane], latent=latent, **dims)
    return encoder, decoder, likelihood, format


def mlp_or_conv(image: Image, network: str) -> tuple[str, Any]:
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
