"""Standard names and one-sentence explanations of the metrics that a report shows, by the names in the run's files."""

from __future__ import annotations

NAMES = {  # name in the run's files: standard name
    "kl": "KL",
    "elbo": "ELBO",
    "iwae": "IWAE",
    "fid": "FID",
    "l1": "L1",
    "told apart": "discriminator accuracy",
    "slope at real": "R1 gradient norm",
    "slope at drawn": "R2 gradient norm",
    "slope": "R1 gradient norm",
    "slope off one": "WGAN-GP penalty",
    "cost": "discriminator loss",
    "adversarial": "adversarial loss",
    "augmentation": "augmentation probability",
    "diversity of the least varied kind": "diversity of the least varied class",
    "heed": "input sensitivity",
    "chequered": "checkerboard artifacts",
    "color": "colorfulness",
    "balance": "model-selection score",
    "Fréchet distance, biased": "Fréchet distance (biased)",
    "Fréchet distance inside classes": "intra-class Fréchet distance",
    "kernel distance": "kernel distance (unbiased MMD²)",
    "calibration error": "expected calibration error (ECE)",
    "checkerboard ratio": "checkerboard artifacts",
    "copies": "data copying",
    "kinds drawn": "classes generated",
    "reverse KL of kinds": "reverse KL of class frequencies",
    "L1 of the image given": "L1 of the input image",
    "Fréchet distance of the image given": "Fréchet distance of the input image",
    "label_loss": "label cross-entropy",
    "error": "mean squared error",
    "used": "codebook usage",
    "perplexity": "codebook perplexity",
    "collisions": "code collisions",
    "heard": "level sensitivity",
    "nats a code": "nats per code",
}
EXPLANATIONS = {  # what a value says, for readers who meet the metric for the first time
    "reconstruction": "Negative log-likelihood of an example given its latent: lower means closer reconstructions.",
    "kl": "KL divergence of the posterior from the prior: information per example that the latent carries.",
    "elbo": "Evidence lower bound: the log-likelihood is at least this.",
    "D(x)": "Mean discriminator output for real examples.",
    "D(G(z))": "Mean discriminator output for generated examples.",
    "told apart": "How often the discriminator scores the real one of a pair higher: ½ is chance, 1 is certain.",
    "slope at real": "Norm of the discriminator's input gradient at real examples; the R1 penalty keeps it small.",
    "slope at drawn": "Norm of the discriminator's input gradient at samples; the R2 penalty keeps it small.",
    "slope": "Norm of the discriminator's input gradient at real images; the R1 penalty keeps it small.",
    "slope off one": "Squared deviation of the discriminator's gradient norm from 1.",
    "cost": "Loss of the discriminator without its gradient penalty.",
    "adversarial": "Generator loss from the discriminator: lower means that outputs look more real to it.",
    "augmentation": "Probability of augmenting what the discriminator sees; it rises when the discriminator overfits.",
    "diversity": "Spacing of samples over spacing of real examples: about 1 is healthy, near 0 is mode collapse.",
    "diversity of the least varied kind": "The same within the class where it is lowest.",
    "heed": "How much outputs change with the input, relative to the targets: near 0 means the input is ignored.",
    "chequered": "Checkerboard energy of outputs over that of targets: 1 is ideal, well above 1 is a visible pattern.",
    "color": "Colorfulness of outputs over that of targets: 1 is ideal, well below 1 is washed out.",
    "balance": "L1 weighted by the Fréchet distance; the checkpoint with the lowest value is kept.",
    "L1": "Mean absolute difference from the target, for values in 0 … 1.",
    "PSNR": "Peak signal-to-noise ratio: mean squared error on a logarithmic scale; higher is better.",
    "SSIM": "Structural similarity of output and target in luminance, contrast, and structure; 1 means identical.",
    "Fréchet distance, biased": "Distance of outputs and targets in feature space, for comparison within this run.",
    "accuracy": "Fraction of labels predicted correctly.",
    "label_loss": "Negative log-probability of the true label.",
    "commitment": "Distance between encoder outputs and the codes chosen for them.",
    "error": "Mean squared error of reconstructions.",
    "used": "Fraction of the codebook in use; low usage is codebook collapse.",
    "perplexity": "Effective number of codes as a fraction of the codebook; 1 means that all are used equally often.",
    "collisions": "Fraction of examples whose codes are identical to those of another example.",
    "heard": "Error with another image's codes at this level over the usual error; near 1 means an unused level.",
    "nats a code": "Negative log-likelihood per code.",
}


def metric_name(key: object) -> str:
    """The standard name of a metric.

    Example:
        >>> metric_name("told apart"), metric_name("L1 of color of the twin"), metric_name("free_bits")
        ('discriminator accuracy', 'L1 of color of the L1-only baseline', 'free bits')
    """
    text = str(key)
    return NAMES.get(text) or text.replace("_", " ").replace("of the twin", "of the L1-only baseline")


def explanation(key: str) -> str:
    """A sentence on what the metric says; empty where there is none."""
    return EXPLANATIONS.get(key) or EXPLANATIONS.get(key.partition(" of ")[0], "")
