"""Convolution and batch norm that are exact, and whose second derivatives cost about as much as their first.

torch differentiates a convolution's backward pass by convolutions with kernels as large as the image, and that of
batch norm by many passes over memory. Both have a short closed form: a convolution is bilinear, so each of its
derivatives is again one of its three passes (forward, gradient of the input, gradient of the weight), and the
backward pass of batch norm is linear and symmetric in the gradient that it is given. In channels-last memory torch
sums the statistics of batch norm one by one, which loses two digits of single precision; here they are summed in
pairs.
"""

import torch
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from fearlib.errors import Undefined
from fearlib.scores.forward_passes import replaced, runs_as

_convolution_backward = torch.ops.aten.convolution_backward.default
_batch_norm_backward = torch.ops.aten.native_batch_norm_backward.default
ONE_VALUE = "its batch norm has one value a channel to normalise"


def cheap_second_derivatives(network: nn.Module):
    """Within, `network` can be differentiated twice by the weights of its layers and by its input.

    Batch norm takes its statistics from the batch and leaves its running ones alone; its parameters are
    constants. It raises Undefined if it has a single value to take them of. A layer with a forward pass of its
    own, or a batch norm that stays in evaluation mode, keeps it.
    """
    forwards = {}
    for module in network.modules():
        if runs_as(module, nn.Conv2d) and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            forwards[module] = _convolution(module)
        elif runs_as(module, _BatchNorm) and (module.training or module.running_mean is None):
            forwards[module] = _batch_norm(module)
    return replaced(forwards)


def _convolution(layer: nn.Conv2d):
    geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)

    def forward(images):
        output = Convolution.apply(images, layer.weight, geometry)
        return output if layer.bias is None else output + layer.bias.view(-1, 1, 1)

    return forward


def _batch_norm(layer: _BatchNorm):
    def forward(features):
        ones = torch.ones(features.shape[1], dtype=features.dtype, device=features.device)
        weight = ones if layer.weight is None else layer.weight.detach()
        bias = 0 * ones if layer.bias is None else layer.bias.detach()
        return BatchNorm.apply(features, weight, bias, layer.eps)

    return forward


def _convolve(images, weight, geometry):
    stride, padding, dilation, groups = geometry
    return torch.conv2d(images, weight, None, stride, padding, dilation, groups)


def _input_gradient(gradient, images, weight, geometry):
    return _backward(gradient, images, weight, geometry, (True, False, False))[0]


def _weight_gradient(gradient, images, weight, geometry):
    return _backward(gradient, images, weight, geometry, (False, True, False))[1]


def _backward(gradient, images, weight, geometry, wanted):
    stride, padding, dilation, groups = geometry
    return _convolution_backward(
        gradient, images, weight, None, stride, padding, dilation, False, [0, 0], groups, wanted
    )


class Convolution(Function):
    """y = x * w."""

    @staticmethod
    def forward(ctx, images, weight, geometry):
        ctx.save_for_backward(images, weight)
        ctx.geometry = geometry
        return _convolve(images, weight, geometry)

    @staticmethod
    def backward(ctx, gradient):
        of_images, of_weight, _ = ctx.needs_input_grad
        arguments = (gradient, *ctx.saved_tensors, ctx.geometry)
        return (
            InputGradient.apply(*arguments) if of_images else None,
            WeightGradient.apply(*arguments) if of_weight else None,
            None,
        )


class InputGradient(Function):
    """dL/dx of dL/dy and w; x gives its shape alone."""

    @staticmethod
    def forward(ctx, gradient, images, weight, geometry):
        ctx.save_for_backward(gradient, weight)
        ctx.geometry = geometry
        return _input_gradient(gradient, images, weight, geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx, cotangent):
        gradient, weight = ctx.saved_tensors
        return (
            _convolve(cotangent, weight, ctx.geometry),
            None,
            _weight_gradient(gradient, cotangent, weight, ctx.geometry),
            None,
        )


class WeightGradient(Function):
    """dL/dw of dL/dy and x; w gives its shape alone."""

    @staticmethod
    def forward(ctx, gradient, images, weight, geometry):
        ctx.save_for_backward(gradient, images)
        ctx.geometry = geometry
        return _weight_gradient(gradient, images, weight, geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx, cotangent):
        gradient, images = ctx.saved_tensors
        return (
            _convolve(images, cotangent, ctx.geometry),
            _input_gradient(gradient, images, cotangent, ctx.geometry),
            None,
            None,
        )


class BatchNorm(Function):
    """y = weight * z + bias, z = (x - mean) / sd over the batch."""

    @staticmethod
    def forward(ctx, features, weight, bias, eps):
        by_position = features.movedim(1, -1).flatten(0, -2)
        if len(by_position) < 2:
            raise Undefined(ONE_VALUE)
        mean = by_position.mean(0)
        variance = (by_position - mean).square_().mean(0)
        ctx.save_for_backward(features, weight, mean, (variance + eps).rsqrt())
        ctx.eps = eps
        return torch.batch_norm(features, weight, bias, mean, variance, False, 0.0, eps, True)

    @staticmethod
    def backward(ctx, gradient):
        return BatchNormGradient.apply(gradient, *ctx.saved_tensors, ctx.eps), None, None, None


class BatchNormGradient(Function):
    """B(g) = weight / sd * (g - mean(g) - z mean(g z)), dL/dx of g = dL/dy.

    For a cotangent h: B is symmetric, so dL/dg = B(h). With c = mean(g z), d = mean(h z) and
    g, h less their means, dL/dx = -weight / sd^2 * (d g + c h + z (mean(g h) - 3 c d)).
    """

    @staticmethod
    def forward(ctx, gradient, features, weight, mean, inverse_sd, eps):
        result, of_weight, of_bias = _batch_norm_backward(
            gradient, features, weight, None, None, mean, inverse_sd, True, eps, (True, True, True)
        )
        ctx.save_for_backward(gradient, features, weight, mean, inverse_sd, of_weight, of_bias)
        ctx.eps = eps
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx, cotangent):
        gradient, features, weight, mean, inverse_sd, g_dot_z, g_sum = ctx.saved_tensors
        of_gradient, h_dot_z, h_sum = _batch_norm_backward(
            cotangent, features, weight, None, None, mean, inverse_sd, True, ctx.eps, (True, True, True)
        )
        over = [axis for axis in range(features.dim()) if axis != 1]
        n = features.numel() // features.shape[1]

        def by_channel(values):
            return values.view(-1, *[1] * (features.dim() - 2))

        c, d = g_dot_z / n, h_dot_z / n
        g, h = gradient - by_channel(g_sum / n), cotangent - by_channel(h_sum / n)
        of_z = (g * h).sum(over) / n - 3 * c * d
        scale = -weight * inverse_sd**2
        of_features = (features - by_channel(mean)).mul_(by_channel(scale * of_z * inverse_sd))
        of_features.addcmul_(g, by_channel(scale * d)).addcmul_(h, by_channel(scale * c))
        return of_gradient, of_features, None, None, None, None
