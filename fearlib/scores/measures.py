"""A network gets a score without training: zero-cost measures.

Every measure is a short function of a `Minibatch`, registered under its name in `MEASURES`; a new one is one
more function. Sums run over the weights W of all convolutions and linear layers; L is the cross entropy of the
minibatch, network in training mode. Definitions follow Abdelfattah et al. (2021) unless another paper is named.
"""

import math
import warnings
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from fearlib.errors import InputError, Undefined, require
from fearlib.plugin import Registry
from fearlib.scores.minibatch import Minibatch
from fearlib.spaces.nats import Architecture
from fearlib.spaces.nats_network import build_network
from fearlib.spaces.network import in_mode, layer_macs
from fearlib.training.classifier import check_minibatch

K = 1e-5  # keeps logarithms and inverses finite


@dataclass(frozen=True)
class Measure:
    """`passes` is its cost alone, in forward passes of the network (a backward pass counts two).

    They run over the minibatch, or over one image if `one_image`.
    """

    function: Callable[[Minibatch], float]
    passes: int
    one_image: bool = False


@dataclass(frozen=True)
class Measurement:
    """A measure's value; `undefined` says why it is NaN, if it is. `seconds` are those of computing it alone."""

    value: float
    seconds: float
    undefined: str = ""


MEASURES: MutableMapping[str, Measure] = Registry("measure", Measure, made_by=lambda measure: measure.function)


def measure(passes: int, one_image: bool = False):
    """Register a measure under its function's name. Raises InputError if that is taken."""

    def register(function):
        MEASURES[function.__name__] = Measure(function, passes, one_image)
        return function

    return register


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
    the noise that `zen` looks at, and what a network draws itself, as dropout does. A measure that is not defined
    for the network and these images, or comes out as NaN or infinite, is NaN, with a warning that says why.
    Measures share their passes. The network is left as it was; inference mode, no_grad and autocast play no part.
    Raises InputError for an unknown measure, and for a network, images or labels of another kind.
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
    measures = _measure_names(measures)
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

    Every network's weights are drawn from `seed`. Raises InputError for an unknown measure or a wrong size.
    """
    lines, undefined, measures = [], [], _measure_names(measures)
    for architecture in require("tqdm", "show progress").tqdm(architectures, unit="architecture"):
        torch.manual_seed(seed)
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


def _measure_names(names: tuple[str, ...] | None) -> tuple[str, ...]:
    for name in names or ():
        if name not in MEASURES:
            raise InputError(f"unknown measure {name!r}: the measures are {', '.join(MEASURES)}.")
    return tuple(MEASURES) if names is None else names


def _evaluate(function: Callable[[Minibatch], float], batch: Minibatch) -> Measurement:
    def value_and_reason(batch: Minibatch) -> tuple[float, str]:
        try:
            value = float(torch.as_tensor(function(batch)).detach())
            if not math.isfinite(value):
                raise Undefined(batch.why_not_finite())
            return value, ""
        except Undefined as reason:
            return math.nan, str(reason)

    timed = batch.timed(value_and_reason)
    value, undefined = timed.value
    return Measurement(value, timed.seconds + batch.pass_seconds(timed.asked), undefined)


def zero_cost_macs(name: str, macs_per_image: int, batch_size: int) -> int:
    """Multiply-accumulates that one measure needs alone, for a network of that many per image forward."""
    return MEASURES[name].passes * macs_per_image * (1 if MEASURES[name].one_image else batch_size)


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
        per_image = (activation * gradient).flatten(2).sum(2) if activation.dim() > 2 else activation * gradient
        total = total + per_image.pow(2).mean(0).sum() / 2 * layer.weight[0].numel()
    return total


@measure(passes=3, one_image=True)
def synflow(batch):
    """Sum of |W * dR/dW|, R the summed outputs for one image of ones (Tanaka et al. 2020).

    All parameters are replaced by their absolute values and batch norm is removed; double precision.
    """
    return batch.synaptic_flow(keep_batch_norm=False)


@measure(passes=3, one_image=True)
def synflow_bn(batch):
    """`synflow` with batch norm kept."""
    return batch.synaptic_flow(keep_batch_norm=True)


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
    return sum(layer_macs(layer, shape) for layer, shape in batch.output_shapes)


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
    features, others, variances = batch.perturbed_features()
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


def _correlation(jacobian: torch.Tensor) -> torch.Tensor:
    """Correlation matrix (batch, batch) of the images' gradients, in double precision."""
    correlation = torch.atleast_2d(torch.corrcoef(jacobian.flatten(1).double()))
    if not correlation.isfinite().all():
        raise Undefined("the gradient of its outputs with respect to an image is constant")
    return correlation
