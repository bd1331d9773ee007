"""A network gets a score without training: zero-cost measures.

Every measure is a short function of a `Minibatch`, registered under its name in `MEASURES`; a new one is one
more function. Sums run over the weights W of all convolutions and linear layers; L is the cross entropy of the
minibatch, network in training mode. Definitions follow Abdelfattah et al. (2021) unless another paper is named.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from fearlib.errors import Undefined, is_number
from fearlib.files.progress import progress
from fearlib.randomness import seeded
from fearlib.scores.effective_rank import effective_ranks
from fearlib.scores.kaiming import (
    NOISE_IMAGES,
    PAIR,
    PATTERN_IMAGES,
    block_entropies,
    block_jacobians,
    channel_correlations,
    patterns,
)
from fearlib.scores.minibatch import Minibatch, refuse_other_rows
from fearlib.scores.perturbation import perturbed_features
from fearlib.scores.registry import MEASURES, measure, measure_names
from fearlib.scores.synaptic_flow import synaptic_flow
from fearlib.spaces.nats import Architecture
from fearlib.spaces.nats_network import build_network
from fearlib.spaces.network import in_mode, layer_macs
from fearlib.training.classifier import check_minibatch

SPACE_PARAMETERS = 0.398554, 0.054191886336  # mean in 10^6 and variance in 10^12 over the whole space
K = 1e-5  # keeps logarithms and inverses finite


@dataclass(frozen=True)
class Measurement:
    """A measure's value; `undefined` says why it is NaN, if it is. `seconds` are those of computing it alone."""

    value: float
    seconds: float
    undefined: str = ""


def zero_cost(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    measures: tuple[str, ...] | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Zero-cost measures of any image classifier at its present weights, by name; all of them by default.

    The network gives logits (batch, classes) and nothing else; its parameters are float32 or float64, as are
    `images` (batch, channels, height, width), normalised. `labels` (batch,) are class numbers from 0. `seed` draws
    the weights and the noise that some measures take, and what a network draws, as dropout does. A measure that is
    not defined for the network and these images, or comes out as NaN or infinite, is NaN, with a warning that says
    why. Measures share their passes. The network is left as it was; inference mode, no_grad and autocast play no
    part. Raises InputError for an unknown measure, and for a network, images or labels of another kind.
    """
    results = measure_network(network, images, labels, measures, seed)
    for name, result in results.items():
        if result.undefined:
            warnings.warn(f"{name} has no value for this network: {result.undefined}.", stacklevel=2)
    return {name: result.value for name, result in results.items()}


def measure_network(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    measures: tuple[str, ...] | None = None,
    seed: int = 0,
) -> dict[str, Measurement]:
    """`zero_cost` with the seconds that each measure would take alone, and the reason where one has no value."""
    measures = measure_names(measures)
    with torch.inference_mode(False), torch.enable_grad():
        images, labels = check_minibatch(network, images, labels)
        with in_mode(network, training=True), torch.autocast(images.device.type, enabled=False):
            batch = Minibatch(network, images, labels, seed)
            return {name: _evaluate(MEASURES[name].function, batch) for name in measures}


def score_architectures(
    architectures: list[Architecture],
    images: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    measures: tuple[str, ...] | None = None,
    channels: int = 16,
    cells: int = 5,
    seed: int = 0,
) -> tuple[pd.DataFrame, list[str]]:
    """Measures of architectures at initialisation: columns index, arch and one a measure; and what is undefined.

    Every network's weights are drawn from `seed`. Raises InputError for an unknown measure, a wrong size or a seed
    that is no integer.
    """
    lines, undefined, measures = [], [], measure_names(measures)
    for architecture in progress(architectures, "measuring", "architecture"):
        with seeded(seed):
            network = build_network(architecture, num_classes, channels, cells)
        results = measure_network(network, images, labels, measures, seed)
        values = {name: result.value for name, result in results.items()}
        lines.append({"index": architecture.index, "arch": str(architecture), **values})
        undefined += [
            f"{name} has no value for {architecture.index}: {result.undefined}"
            for name, result in results.items()
            if result.undefined
        ]
    return pd.DataFrame(lines), undefined


def _evaluate(function: Callable[[Minibatch], float], batch: Minibatch) -> Measurement:
    def value_and_reason(batch: Minibatch) -> tuple[float, str]:
        try:
            value = _number(function(batch))
            if not math.isfinite(value):
                raise Undefined(batch.why_not_finite())
            return value, ""
        except Undefined as reason:
            return math.nan, str(reason)

    timed = batch.timed(value_and_reason)
    value, undefined = timed.value
    return Measurement(value, timed.seconds + batch.pass_seconds(timed.asked), undefined)


def _number(given: object) -> float:
    if isinstance(given, torch.Tensor) and given.numel() == 1 and not given.is_complex():
        return float(given.detach())
    if not is_number(given):
        raise Undefined(f"its function gave a {type(given).__name__}, not one number")
    return float(given)


@measure(passes=3)
def grad_norm(batch):
    """Sum over layers of the Euclidean norm of dL/dW."""
    return sum(gradient.norm() for gradient in batch.gradients)


@measure(passes=3)
def snip(batch):
    """Sum of |W * dL/dW| (Lee et al. 2019)."""
    return sum((weight * gradient).abs().sum() for weight, gradient in zip(batch.weights, batch.gradients))


@measure(passes=9)
def grasp(batch):
    """Sum of -W * Hg with g = dL/dW and H the Hessian (Wang et al. 2020)."""
    return sum(
        -(weight * product).sum() for weight, product in zip(batch.weights, batch.hessian_gradient_products)
    )


@measure(passes=3)
def fisher(batch):
    """Sum over channels of half the batch mean of (sum over positions of a * dL/da)^2.

    a is a layer's output before batch norm; a channel counts once for every weight that leads to it
    (Theis et al. 2018, Turner et al. 2020, in the form of Abdelfattah et al.).
    """
    total = torch.zeros(())
    for (layer, activation), gradient in zip(batch.activations, batch.activation_gradients):
        refuse_other_rows(activation, len(batch.images))
        product = activation * gradient
        if isinstance(layer, nn.Linear):
            product = product.movedim(-1, 1)
        per_image = product.flatten(2).sum(2) if product.dim() > 2 else product
        total = total + per_image.pow(2).mean(0).sum() / 2 * layer.weight[0].numel()
    return total


@measure(passes=3, own_images=1)
def synflow(batch):
    """Sum of |W * dR/dW|, R the summed outputs for one image of ones (Tanaka et al. 2020).

    Parameters and buffers are replaced by their absolute values and batch norm is removed; double precision.
    """
    return synaptic_flow(batch, keep_batch_norm=False)


@measure(passes=3, own_images=1)
def synflow_bn(batch):
    """`synflow` with batch norm kept."""
    return synaptic_flow(batch, keep_batch_norm=True)


@measure(passes=3)
def jacob_cov(batch):
    """-sum(log(v + k) + 1/(v + k)) over the eigenvalues v of the Jacobian's correlation (Mellor et al. 2020).

    The Jacobian is that of the summed outputs with respect to each image; k = 1e-5.
    """
    values = torch.linalg.eigvalsh(_correlation(batch.image_gradients)) + K
    return -(values.log() + 1 / values).sum()


@measure(passes=3)
def plain(batch):
    """Sum of W * dL/dW."""
    return sum((weight * gradient).sum() for weight, gradient in zip(batch.weights, batch.gradients))


@measure(passes=0)
def params(batch):
    """Number of parameters."""
    return sum(parameter.numel() for parameter in batch.network.parameters())


@measure(passes=1)
def macs(batch):
    """Multiply-accumulates of one image's forward pass through convolutions and linear layers."""
    images, shapes = batch.output_shapes
    return sum(layer_macs(layer, shape, images) for layer, shape in shapes)


@measure(passes=0)
def l2_norm(batch):
    """Sum over layers of the Euclidean norm of W."""
    return sum(weight.norm() for weight in batch.weights)


@measure(passes=1)
def nwot(batch):
    """log |det K|, K_ij the number of ReLUs that images i and j find in the same state, on or off.

    NASWOT: Mellor et al., Neural Architecture Search without Training, 2021 (v3).
    """
    if not batch.rectified:
        raise Undefined("it has no ReLU module")
    same = torch.zeros(len(batch.images), len(batch.images), dtype=torch.float64)
    for output in batch.rectified:
        refuse_other_rows(output, len(same))
        state = (output.flatten(1) > 0).to(output.dtype) * 2 - 1
        same += ((state @ state.T).double().cpu() + state.shape[1]) / 2
    if torch.linalg.matrix_rank(same) < len(same):
        raise Undefined("K is singular, as images switch its ReLUs in the same way")
    return torch.linalg.slogdet(same).logabsdet


@measure(passes=2)
def zen(batch):
    """log of the features' mean change under a small change of the images, plus what batch norm hides of it.

    log E||f(x) - f(x + 0.01 e)|| + sum over batch norms of log sqrt(mean variance of its channels), x and e
    standard normal, the weights too (Lin et al., Zen-NAS, 2021, one draw), so that training does not change it.
    Connections are left as they are; a batch norm that sees a constant has no part.
    """
    features, others, variances = perturbed_features(batch)
    change = (features - others).flatten(1).norm(dim=1).mean()
    if change == 0:
        raise Undefined("its features do not depend on the images")
    means = torch.stack([variance.mean() for variance in variances]) if variances else torch.ones(1)
    return change.log() + means[means != 0].log().sum() / 2


@measure(passes=3)
def epe_nas(batch):
    """Sum over classes c of |s_c|, s_c = sum of log(|r_ij| + k) over the Jacobian's correlations r within c.

    The Jacobian is that of `jacob_cov`, k = 1e-5. With more than 100 classes s_c is divided by the class's images,
    and the score is the sum of |s_c - s_d| over all pairs (c, d), divided by the number of classes seen
    (Lopes et al., EPE-NAS, 2021).
    """
    correlation = _correlation(batch.image_gradients)
    classes = [batch.labels == label for label in batch.labels.unique()]
    sums = torch.stack([(correlation[same][:, same].abs() + K).log().sum() for same in classes])
    if batch.logits.shape[1] <= 100:
        return sums.abs().sum()
    means = sums / sums.new_tensor([int(same.sum()) for same in classes])
    return (means[:, None] - means).abs().sum() / len(classes)


@measure(passes=3)
def zico(batch):
    """Sum over layers of log sum(E|g| / sd(g)), over the weights' gradients g on each half of the minibatch.

    Weights with sd(g) below 0.01 E|g| are left out, as single precision decides about their quotient, and layers
    that have no other (Li et al., ZiCo, 2023).
    """
    if len(batch.images) < 2:
        raise Undefined("one image has no halves")
    total = 0.0
    for halves in zip(*batch.half_gradients):
        gradients = torch.stack(halves)
        mean, deviation = gradients.abs().mean(0), gradients.std(0, correction=0)
        ratio = (mean / deviation)[deviation > 0.01 * mean].sum()
        if ratio > 0:
            total += ratio.log()
    return total


@measure(passes=1, own_images=PAIR)
def meco(batch):
    """Sum over modules of the smallest eigenvalue of the Pearson correlations between a feature map's channels.

    Over positions, of the first of two noise images, with Kaiming weights; eigenvalues in double precision, at
    least 0 (Jiang, Wang & Bie, MeCo, 2023). The paper leaves open which feature maps: here those of every module
    without children, where the authors' code takes containers too, and so counts some twice. Channels that do not
    vary correlate with none, themselves included. Two images, as batch norm needs more than one value.
    """
    smallest = [torch.linalg.eigvalsh(correlation)[0] for correlation in channel_correlations(batch)]
    return torch.stack(smallest).clamp(min=0).sum()


@measure(passes=1, at_most=PATTERN_IMAGES)
def swap(batch):
    """Number of different patterns in which units after ReLUs are on or off over the minibatch's first 32 images.

    With Kaiming weights (Peng et al., SWAP-NAS, 2024). The paper leaves open how many images, and averages 32
    initialisations: here one, and 32 images, as 16 have no more than 65,536 patterns and full-size networks show
    nearly all of them.
    """
    return patterns(batch).unique().numel()


@measure(passes=1, at_most=PATTERN_IMAGES)
def swap_reg(batch):
    """`swap` times exp(-(P - mean)^2 / variance), P the number of parameters in millions (Peng et al. 2024).

    The paper leaves mean and variance to the user, who may fit them to accuracies: here they are those of P over
    all of NATS-Bench at full size with ten classes (`SPACE_PARAMETERS`), for networks of other sizes too.
    """
    mean, variance = SPACE_PARAMETERS
    return swap(batch) * math.exp(-((params(batch) / 1e6 - mean) ** 2) / variance)


@measure(passes=1, own_images=NOISE_IMAGES)
def az_expressivity(batch):
    """Sum over the stem and the blocks of the entropy of their output's principal components.

    64 noise images, Kaiming weights; the entropy is -sum p log(p + 1e-8), p the share of an eigenvalue of the
    channels' covariance in the sum of all (Lee & Ham, AZ-NAS, 2024). The paper leaves open what is the output of a
    block that hands on several: here its own.
    """
    return sum(block_entropies(batch))


@measure(passes=1, own_images=NOISE_IMAGES)
def az_progressivity(batch):
    """The smallest difference between a block's entropy and that before it, as in `az_expressivity` (ibid.)."""
    entropies = torch.stack(block_entropies(batch))
    if len(entropies) < 2:
        raise Undefined("it has no block")
    return entropies.diff().min()


@measure(passes=2, own_images=NOISE_IMAGES)
def az_trainability(batch):
    """Mean over blocks of 2 - s - 1 / (s + 1e-6), s the largest singular value of a block's Jacobian (ibid.).

    The Jacobian between channels is estimated with one draw of random signs, as in the authors' code. A block that
    hands its input on has minus infinity there: here the network has no value. The paper leaves open which input
    counts of a block that takes several: here the output of the block before.
    """
    jacobians = block_jacobians(batch)
    if not jacobians:
        raise Undefined("it has no block")
    norms = torch.stack([torch.linalg.matrix_norm(jacobian.double(), 2) for jacobian in jacobians])
    return (2 - norms - 1 / (norms + 1e-6)).mean()


@measure(passes=1)
def near(batch):
    """Sum over layers of the effective rank of their output, `effective_ranks` (Husistein et al., NEAR, 2024).

    The paper takes what is before and after an activation function, averaged over initialisations. It leaves open
    what counts as a layer: here, as in the authors' code, batch norm too, and the present weights alone.
    """
    return torch.stack(effective_ranks(batch)).sum()


def _correlation(jacobian: torch.Tensor) -> torch.Tensor:
    """Correlation matrix (batch, batch) of the images' gradients, in double precision."""
    correlation = torch.atleast_2d(torch.corrcoef(jacobian.flatten(1).double()))
    if not correlation.isfinite().all():
        raise Undefined("the gradient of its outputs with respect to an image is constant")
    return correlation
