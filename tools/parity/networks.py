"""GPT-2, LLaMA and residual networks in PyTorch: loss(weights, fields, input, labels).

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
        hidden = linear(name + "up", norm(name + "norm2", x))
        cubic = (2 / torch.pi) ** 0.5 * (hidden + 0.044715 * hidden ** 3)
        x = x + linear(name + "down", 0.5 * hidden * (1 + torch.tanh(cubic)))
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


def residual(w, widths, blocks, image, labels):
    """He et al., arXiv 1512.03385, with basic blocks and the stem for small images."""

    def conv_norm(conv, norm, x, stride):
        weight = w[conv + ".weight"].permute(0, 3, 1, 2)
        y = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2)
        return F.batch_norm(y, None, None, w[norm + ".scale"], w[norm + ".shift"], True, 0, 1e-5)

    x = F.relu(conv_norm("stem.conv", "stem.norm", image.permute(0, 3, 1, 2), 1))
    for stage, width in enumerate(widths):
        for block in range(blocks):
            name = f"stage{stage + 1}_block{block + 1}."
            stride = 2 if stage > 0 and block == 0 else 1
            skip = x
            if name + "conv_shortcut.weight" in w:
                skip = conv_norm(name + "conv_shortcut", name + "norm_shortcut", x, stride)
            y = F.relu(conv_norm(name + "conv1", name + "norm1", x, stride))
            x = F.relu(conv_norm(name + "conv2", name + "norm2", y, 1) + skip)
    logits = F.linear(x.mean((2, 3)), w["head.linear.weight"], w["head.linear.bias"])
    return F.cross_entropy(logits, labels.flatten())


def resnet18(w, fields, image, labels):
    return residual(w, (64, 128, 256, 512), 2, image, labels)


def resnet20(w, fields, image, labels):
    return residual(w, (16, 32, 64), 3, image, labels)


LOSSES = {"gpt": gpt, "llama": llama, "resnet18": resnet18, "resnet20": resnet20}
