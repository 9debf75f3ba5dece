"""GPT-2, LLaMA, vision transformers and residual networks in PyTorch: loss(weights, fields, input, labels).

weights: by the names that model/net/builders give them. Convolutions are [out, height, width, in]
and images [sample, height, width, channel] there: turned here into PyTorch's order.
"""
import torch
from torch.nn import functional as F


def attention(q, k, v):
    """Causal; [sample, head, position, size], grouped keys and values repeated."""
    repeats = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    positions = q.shape[2]
    hidden = torch.ones(positions, positions, dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v


def heads_of(x, count):
    samples, positions, width = x.shape
    return x.view(samples, positions, count, width // count).transpose(1, 2)


def joined(x):
    samples, heads, positions, size = x.shape
    return x.transpose(1, 2).reshape(samples, positions, heads * size)


def gelu(x):
    """Hendrycks and Gimpel, arXiv 1606.08415, in its form with tanh."""
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x ** 3)))


def gpt(w, fields, tokens, labels):
    """Radford et al. 2019: learned positions, norms ahead of the branches, GELU by tanh, tied head."""
    width, heads = int(fields["width"]), int(fields["heads"])

    def norm(name, x):
        return F.layer_norm(x, (width,), w[name + ".scale"], w[name + ".shift"], 1e-5)

    def linear(name, x):
        return F.linear(x, w[name + ".weight"], w[name + ".bias"])

    table = w["embedding.token.weight"]
    x = table[tokens] + w["embedding.position.weight"][:tokens.shape[1]]
    for layer in range(1, int(fields["layers"]) + 1):
        name = f"decoder{layer}."
        q, k, v = linear(name + "qkv", norm(name + "norm1", x)).split(width, -1)
        x = x + linear(name + "projection",
                       joined(attention(heads_of(q, heads), heads_of(k, heads), heads_of(v, heads))))
        x = x + linear(name + "down", gelu(linear(name + "up", norm(name + "norm2", x))))
    head = table if fields["tied"] == "true" else w["head.linear.weight"]
    logits = F.linear(norm("head.norm", x), head)
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def rotated(x):
    """Su et al., arXiv 2104.09864: pairs (i, i + size / 2) of position p by p 10000^(-2 i / size)."""
    size, positions = x.shape[-1], x.shape[-2]
    rates = 10000 ** (-2 * torch.arange(size // 2, dtype=x.dtype) / size)
    angles = torch.arange(positions, dtype=x.dtype)[:, None] * rates
    a, b = x.chunk(2, -1)
    return torch.cat((a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()), -1)


def llama(w, fields, tokens, labels):
    """Touvron et al., arXiv 2302.13971: RMS norm, rotary positions, SwiGLU, no biases."""
    width, heads, groups = (int(fields[key]) for key in ("width", "heads", "kv_heads"))
    size = width // heads

    def norm(name, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w[name + ".scale"]

    def linear(name, x):
        return F.linear(x, w[name + ".weight"])

    x = w["embedding.token.weight"][tokens]
    for layer in range(1, int(fields["layers"]) + 1):
        name = f"decoder{layer}."
        packed = linear(name + "qkv", norm(name + "norm1", x))
        q, k, v = packed.split((heads * size, groups * size, groups * size), -1)
        out = attention(rotated(heads_of(q, heads)), rotated(heads_of(k, groups)), heads_of(v, groups))
        x = x + linear(name + "projection", joined(out))
        hidden = norm(name + "norm2", x)
        x = x + linear(name + "down", F.silu(linear(name + "gate", hidden)) * linear(name + "up", hidden))
    logits = linear("head.linear", norm("head.norm", x))
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def vit(w, fields, image, labels):
    """Dosovitskiy et al., arXiv 2010.11929: a class token, norms ahead of the branches, GELU by tanh."""
    width, heads, patch = (int(fields[key]) for key in ("width", "heads", "patch"))
    samples, height, across, channels = image.shape

    def norm(name, x):
        return F.layer_norm(x, (width,), w[name + ".scale"], w[name + ".shift"], 1e-5)

    def linear(name, x):
        return F.linear(x, w[name + ".weight"], w[name + ".bias"])

    # A convolution whose windows do not meet.
    kernel = w["embedding.projection.weight"].view(width, patch, patch, channels).permute(0, 3, 1, 2)
    x = F.conv2d(image.permute(0, 3, 1, 2), kernel, w["embedding.projection.bias"], patch)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat((w["embedding.class.token"].expand(samples, 1, width), x), 1)
    x = x + w["embedding.position.weight"]
    for layer in range(1, int(fields["layers"]) + 1):
        name = f"encoder{layer}."
        q, k, v = (heads_of(part, heads)
                   for part in linear(name + "qkv", norm(name + "norm1", x)).split(width, -1))
        p = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        x = x + linear(name + "projection", joined(p @ v))
        x = x + linear(name + "down", gelu(linear(name + "up", norm(name + "norm2", x))))
    logits = linear("head.linear", norm("head.norm", x)[:, 0])
    return F.cross_entropy(logits, labels.flatten())


def residual(w, blocks, image, labels):
    """He et al., arXiv 1512.03385; large images come through the stem of its table 1."""

    def conv_norm(conv, norm, x, stride):
        weight = w[conv + ".weight"].permute(0, 3, 1, 2)
        y = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2)
        return F.batch_norm(y, None, None, w[norm + ".scale"], w[norm + ".shift"], True, 0, 1e-5)

    large = max(image.shape[1:3]) > 64
    x = F.relu(conv_norm("stem.conv", "stem.norm", image.permute(0, 3, 1, 2), 2 if large else 1))
    if large:
        x = F.max_pool2d(x, 3, 2, 1)
    bottleneck = "stage1_block1.conv3.weight" in w
    for stage, count in enumerate(blocks):
        for block in range(count):
            name = f"stage{stage + 1}_block{block + 1}."
            stride = 2 if stage > 0 and block == 0 else 1
            skip = x
            if name + "conv_shortcut.weight" in w:
                skip = conv_norm(name + "conv_shortcut", name + "norm_shortcut", x, stride)
            if bottleneck:
                y = F.relu(conv_norm(name + "conv1", name + "norm1", x, 1))
                y = F.relu(conv_norm(name + "conv2", name + "norm2", y, stride))
                y = conv_norm(name + "conv3", name + "norm3", y, 1)
            else:
                y = F.relu(conv_norm(name + "conv1", name + "norm1", x, stride))
                y = conv_norm(name + "conv2", name + "norm2", y, 1)
            x = F.relu(y + skip)
    logits = F.linear(x.mean((2, 3)), w["head.linear.weight"], w["head.linear.bias"])
    return F.cross_entropy(logits, labels.flatten())


def resnet18(w, fields, image, labels):
    return residual(w, (2, 2, 2, 2), image, labels)


def resnet20(w, fields, image, labels):
    return residual(w, (3, 3, 3), image, labels)


def resnet50(w, fields, image, labels):
    return residual(w, (3, 4, 6, 3), image, labels)


LOSSES = {"gpt": gpt, "llama": llama, "resnet18": resnet18, "resnet20": resnet20,
          "resnet50": resnet50, "vit": vit}
