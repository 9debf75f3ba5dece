#!/usr/bin/env python3
"""Seconds of training steps in PyTorch: the peer that bench/step_ratio holds the executor against.

The networks are those of model/net/builders: GPT-2 with a tied head, and ResNet-18 with the stem for
small images. Attention is unfused, as PyTorch 1.13 has no other on CPUs.
"""
import argparse
import json
import resource
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, mask):
        n, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.out(self.attend(q, k, v, mask).transpose(1, 2).reshape(n, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x))))

    @staticmethod
    def attend(q, k, v, mask):
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        return scores.masked_fill(mask, float("-inf")).softmax(-1) @ v


class Gpt(nn.Module):
    def __init__(self, vocabulary=50257, positions=1024, width=768, layers=12, heads=12, block=Block):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.blocks = nn.ModuleList(block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0, 0.02)

    def forward(self, tokens):
        t = tokens.shape[1]
        mask = torch.ones(t, t, dtype=torch.bool).triu(1)
        x = self.tokens(tokens) + self.positions.weight[:t]
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


class Basic(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.skip = None
        if stride != 1 or before != width:
            self.skip = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + (x if self.skip is None else self.skip(x)))


class ResNet18(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        blocks, before = [], 64
        for stage, width in enumerate((64, 128, 256, 512)):
            for k in range(2):
                blocks.append(Basic(before, width, 2 if stage > 0 and k == 0 else 1))
                before = width
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(512, classes)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.norm(self.stem(x)))).mean((2, 3)))


def case(name):
    if name == "gpt2":
        model, data = Gpt(), torch.randint(50257, (4, 65))
        inputs, labels = data[:, :-1], data[:, 1:].reshape(-1)
        return model, torch.optim.AdamW(model.parameters(), 1e-4), inputs, labels
    model = ResNet18()
    inputs, labels = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    return model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9), inputs, labels


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model", choices=("gpt2", "resnet18"))
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--steps", type=int, default=5)
    given = arguments.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(given.threads)
    model, optimizer, inputs, labels = case(given.model)
    seconds = []
    for _ in range(2 + given.steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        logits = model(inputs)
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds[2:],
                      "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
