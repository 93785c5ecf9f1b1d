"""Three ways to a label: discriminant function, discriminative model, generative model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.table import Table
from seisei.models.classifier import DiscriminantClassifier, DiscriminativeClassifier, GenerativeClassifier
from seisei.models.classifier import Network as Trunk
from seisei.models.kde import KernelDensity
from seisei.models.linear import Landmarks, Planes
from seisei.models.mixture import Mixture
from seisei.models.vae import VAE
from seisei.nn.conv import ConvEncoder
from seisei.nn.densities.full_covariance import Full, Tied
from seisei.nn.densities.gaussian import Diagonal
from seisei.nn.densities.ppca import PPCA
from seisei.nn.masking import ImageReader
from seisei.nn.mlp import MLPDecoder, MLPEncoder
from seisei.nn.priors import StandardNormal
from seisei.nn.tabular.features import Columns, RowFeatures, Sizes
from seisei.nn.tabular.head import RowHead
from seisei.objectives.likelihood import Fitting, JointBound, MaximumLikelihood
from seisei.recipes.options import (
    BatchSize,
    Decay,
    Depth,
    Latent,
    Network,
    Rate,
    Steps,
    Training,
    Width,
    with_groups,
)
from seisei.recipes.vaes import ends, image_of, naming_classes
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.plan import Optim, Plan

L2 = Annotated[float, Range(gt=0, le=1e9)]
Density = Literal["auto", "gaussian", "linear", "naive", "mixture", "ppca-mixture", "kde", "vae"]
# Mixture components, and EM iterations at most, by default: fitting ends when it has converged.
ITERATIONS = 200
DEFAULTS: dict[str, tuple[int, int]] = {
    "gaussian": (1, 1),
    "linear": (1, 1),
    "naive": (1, 1),
    "mixture": (3, ITERATIONS),
    "ppca-mixture": (5, 20),
}
# From so many numbers on single precision is chosen: it is twice as fast, and shrinkage covers its rounding.
LARGE = 256


@with_groups
def discriminant(
    schema: Schema,
    *,
    method: Literal["perceptron", "linear", "kernel"] = "linear",
    l2: L2 = 1.0,
    landmarks: Annotated[int, Range(ge=1, le=20_000)] = 1000,
    gamma: Annotated[float, Range(ge=0, le=1e9)] = 0.0,
) -> Plan:
    """Fit a discriminant function: it predicts a class, without probabilities.

    Paper: *Support-Vector Networks (Cortes, Vapnik, 1995)*.
    Command: seisei train discriminant digits --method kernel
    Duration: a second on two cores. Expected: 96 % accuracy on held-out digits when linear, 99 % with a kernel.

    Arguments:
        method: perceptron; linear, a support vector machine; or kernel, one with a Gaussian (RBF) kernel.
        l2: L2 regularization of the support vector machine: larger for wider margins that tolerate more violations.
        landmarks: Training rows that the kernel is evaluated at (Nyström approximation); at most all of them.
        gamma: Kernel coefficient γ of exp(−γ‖x − x'‖²); 0 for one over the variance of the data.
    """
    classes, sizes, features = _reading(schema)
    inputs = features.build().outputs
    if method == "kernel":
        features, inputs = Spec(Landmarks, features=features, inputs=inputs, count=landmarks, gamma=gamma), landmarks
    if method == "perceptron":
        surface = Spec(Planes, features=features, inputs=inputs, classes=classes, method="perceptron")
    else:
        surface = Spec(Planes, features=features, inputs=inputs, classes=classes, method="margin", strength=l2)
    return fitted(Spec(DiscriminantClassifier, surface=surface), 1)


@with_groups
def discriminative(
    schema: Schema,
    *,
    network: Literal["auto", "linear", "mlp", "conv"] = "auto",
    l2: L2 = 1.0,
    width: Width = None,
    depth: Depth = None,
    steps: Steps = 2000,
    batch: BatchSize = 64,
    learning_rate: Rate = 1e-3,
    weight_decay: Annotated[float, Range(ge=0, le=10)] = 0.01,
    ema_decay: Decay = 0.99,
) -> Plan:
    """Learn p(y | x): a class with its probability.

    Paper: *On Discriminative vs. Generative Classifiers (Ng, Jordan, 2001)*.
    Command: seisei train discriminative digits
    Duration: about five seconds on two cores. Expected: 97 % accuracy on held-out digits.

    Arguments:
        network: linear is logistic regression; mlp for tables and small images, conv for larger images; auto chooses.
        l2: L2 regularization of logistic regression.
        width: Hidden units per layer (mlp), or channels of the first feature map (conv).
        depth: Hidden layers (mlp), or residual blocks per resolution (conv).
        steps: Training steps (updates of the weights); logistic regression is solved exactly.
        batch: Batch size: examples per step.
        learning_rate: Peak learning rate of Adam.
        weight_decay: Weight decay (AdamW).
        ema_decay: Decay of the exponential moving average (EMA) of the weights; the averaged weights are the model.
    """
    classes, sizes, features = _reading(schema)
    image = schema.x if isinstance(schema.x, Image) else None
    if network == "auto":
        network = "conv" if image is not None and min(image.height, image.width) >= 16 else "mlp"
    inputs = features.build().outputs
    if network == "linear":
        planes = Spec(Planes, features=features, inputs=inputs, classes=classes, method="logistic", strength=l2)
        return fitted(Spec(DiscriminativeClassifier, trunk=planes), 1)
    if network == "conv":
        shape = list(image_of(schema).shape)
        layers = Spec(ConvEncoder, shape=shape, outputs=classes, width=width or 32, depth=1 if depth is None else depth)
        trunk = Spec(Trunk, layers=layers)
    else:
        layers = Spec(
            MLPEncoder, shape=[inputs], outputs=classes, width=width or 256, depth=2 if depth is None else depth
        )
        trunk = Spec(Trunk, layers=layers, features=features)
    model = Spec(DiscriminativeClassifier, trunk=trunk)
    optim = Optim(learning_rate=learning_rate, weight_decay=weight_decay, clip=10.0)
    format: Any = "channels_last" if network == "conv" else "contiguous"
    plan = Spec(MaximumLikelihood, model=model)
    return Plan(plan, steps, batch, optim, ema_decay=ema_decay, format=format)


@with_groups
def generative(
    schema: Schema,
    *,
    density: Density = "auto",
    components: Annotated[int, Range(ge=1, le=10_000)] | None = None,
    rank: Annotated[int, Range(ge=1, le=4096)] = 25,
    pseudo_count: Annotated[float, Range(ge=0, le=1e9)] = 3.0,
    iterations: Annotated[int, Range(ge=1, le=10**9)] | None = None,
    prior: Literal["data", "uniform"] = "data",
    max_points: Annotated[int, Range(ge=1, le=10**7)] = 10_000,
    bandwidth: Annotated[float, Range(ge=0)] = 0.0,
    max_shift: Annotated[int, Range(ge=0, le=8)] = 0,
    latent: Latent = 32,
    width: Width = None,
    depth: Depth = None,
    head: Literal["auto", "bernoulli", "gaussian", "logistic"] = "auto",
    mask_prob: Annotated[float, Range(ge=0, le=1)] = 0.0,
    training: Training = Training(steps=3000),
) -> Plan:
    """Learn p(x | y) and p(y): classify by Bayes' rule, sample a class, score examples; missing values allowed.

    Paper: *Mixtures of Probabilistic Principal Component Analyzers (Tipping, Bishop, 1999)*.
    Command: seisei train generative digits --density ppca-mixture
    Duration: a second or two on two cores. Expected: 98 % accuracy on held-out digits.

    Arguments:
        density: Density of x given its class. gaussian: a Gaussian per class. linear: Gaussians with one covariance
            (linear discriminant analysis). naive: independent values (naive Bayes). mixture: a Gaussian mixture per
            class. ppca-mixture: a mixture of probabilistic PCA, for images. kde: kernel density estimation. vae: a
            conditional variational autoencoder. auto: gaussian for tables, ppca-mixture for images.
        components: Mixture components per class.
        rank: Dimensions of probabilistic PCA.
        pseudo_count: Shrinkage of each covariance toward a multiple of the identity, in pseudo-observations: raise it
            for classes with few examples.
        iterations: Maximum number of EM iterations; fitting ends earlier when it has converged.
        prior: Class prior: as in the data, or uniform.
        max_points: Maximum number of training rows that kde keeps.
        bandwidth: Bandwidth of kde; 0 chooses it by leave-one-out likelihood.
        max_shift: Largest shift of an image in pixels; the likelihood is averaged over all shifts (shift invariance).
        latent: Latent dimension of the vae.
        width: Hidden units per layer of the vae, or channels.
        depth: Hidden layers of the vae, or residual blocks per resolution.
        head: Likelihood of a pixel in the vae; auto is bernoulli, which classifies best.
        mask_prob: Share of training examples of which the vae sees only a part, so that it copes with missing values.
        steps: Training steps of the vae.
        batch: Batch size of the vae.
        learning_rate: Peak learning rate of the vae.
        ema_decay: Decay of the exponential moving average (EMA) of the vae's weights.
    """
    classes, sizes, _ = _reading(schema)
    max_shift = 0 if isinstance(schema.x, Table) else max_shift
    if density == "auto":
        density = "gaussian" if isinstance(schema.x, Table) else "ppca-mixture"
    if density == "vae":
        head = "bernoulli" if head == "auto" else head
        inner, format = vae_of(schema, latent, Network("auto", width, depth), head, classes, masked=mask_prob > 0)
        model = Spec(GenerativeClassifier, density=inner, classes=classes, prior=prior, max_shift=max_shift)
        optim = Optim(learning_rate=training.learning_rate, clip=1000.0)
        objective = Spec(JointBound, model=model, warmup=0.1, mask_prob=mask_prob)
        return Plan(objective, training.steps, training.batch, optim, ema_decay=training.ema_decay, format=format)
    if density == "kde":
        inner = Spec(KernelDensity, classes=classes, sizes=sizes, rows=max_points, bandwidth=bandwidth)
        # Its EM iterations, where rows lack a label, are its own.
        return fitted(_bayes(schema, inner, prior, max_shift), 1)
    k, most = DEFAULTS[density]
    k = components or k
    numbers = gaussians(density, classes * k, len(Columns(sizes).numbers), rank, pseudo_count)
    inner = Spec(Mixture, classes=classes, components=k, sizes=sizes, numbers=numbers)
    # One Gaussian per class of complete rows with labels takes one iteration; missing values take more.
    most = ITERATIONS if most == 1 else most
    return fitted(_bayes(schema, inner, prior, max_shift), iterations or most)


def _bayes(schema: Schema, density: Spec, prior: str, max_shift: int) -> Spec:
    """Bayes' rule over a density of flat rows."""
    shape = list(schema.x.shape) if isinstance(schema.x, Image) else None
    return Spec(
        GenerativeClassifier,
        density=density,
        classes=len(schema.classes),
        prior=prior,
        shape=shape,
        max_shift=max_shift,
    )


def vae_of(schema: Schema, latent: int, network: Network, head: str, classes: int, masked: bool) -> tuple[Spec, Any]:
    """A class-conditional VAE of images or rows, and its memory format."""
    prior = Spec(StandardNormal, latent=latent)
    if not isinstance(schema.x, Table):
        encoder, decoder, pixels, format = ends(schema, 2 * latent, latent, network, head, classes)
        reader = None
        if masked:
            channels, *plane = encoder.arguments["shape"]
            encoder, reader = encoder.override("shape", [channels + 1, *plane]), Spec(ImageReader)
        return Spec(VAE, encoder=encoder, decoder=decoder, head=pixels, prior=prior, reader=reader), format
    sizes = list(schema.x.sizes)
    reader, cells = Spec(RowFeatures, sizes=sizes, missing=True), Spec(RowHead, sizes=sizes)
    dims = {"width": network.width or 128, "depth": 2 if network.depth is None else network.depth, "classes": classes}
    encoder = Spec(MLPEncoder, shape=[reader.build().outputs], outputs=2 * latent, **dims)
    decoder = Spec(MLPDecoder, shape=[cells.build().outputs], latent=latent, **dims)
    return Spec(VAE, encoder=encoder, decoder=decoder, head=cells, prior=prior, reader=reader), "contiguous"


def gaussians(density: str, count: int, dim: int, rank: int, pseudo_count: float) -> Spec:
    """The Gaussian components of a density."""
    precision = "single" if dim >= LARGE else "double"
    shared = {"count": count, "dim": dim, "shrinkage": 1e-6, "pseudo_count": pseudo_count, "precision": precision}
    if density == "naive":
        return Spec(Diagonal, **shared)
    if density == "ppca-mixture":
        return Spec(PPCA, rank=min(rank, max(1, dim - 1)), **shared)
    return Spec(Tied if density == "linear" else Full, **shared)


def fitted(model: Spec, iterations: int) -> Plan:
    """A plan of EM steps: each sees all examples, so there is no batch to choose, and nothing to average."""
    return Plan(Spec(Fitting, model=model), iterations, 1, ema_decay=0.0)


def _reading(schema: Schema) -> tuple[int, Sizes, Spec]:
    """How many classes there are, what x holds, and what a network reads of it.

    Raises:
        UserError: x is neither an image nor a row, or there are no classes.
    """
    if len(schema.classes) < 2:
        raise UserError("E-TRN-12", "data", "no classes to tell apart, wanted at least 2", naming_classes(schema))
    if isinstance(schema.x, Table):
        sizes: Sizes = list(schema.x.sizes)
        return len(schema.classes), sizes, Spec(RowFeatures, sizes=sizes, missing=True)
    return len(schema.classes), image_of(schema).values, Spec(RowFeatures, sizes=image_of(schema).values)
