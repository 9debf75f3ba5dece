#!/usr/bin/env python3
"""Seconds of training steps in PyTorch on a GPU: the peer that tools/gpu-check shows beside the executor.

The networks are those of model/net/builders. As PyTorch is used on GPUs: torch.compile, autocast to bf16 with fp32
weights, fused attention (scaled_dot_product_attention), fused optimizers, channels last for residual networks. Inputs
lie on the GPU. Exit code 69 where PyTorch or a GPU for it is missing, with the reason.
"""
import argparse
import json
import sys
import time

UNAVAILABLE = 69
try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError as missing:
    print(f"PyTorch: {missing}")
    sys.exit(UNAVAILABLE)

from torch_step import Block, Gpt, ResNet18


class FusedBlock(Block):
    @staticmethod
    def attend(q, k, v, mask):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class Bottleneck(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        after = 4 * width
        self.conv1, self.norm1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.norm3 = nn.Conv2d(width, after, 1, bias=False), nn.BatchNorm2d(after)
        self.skip = None
        if stride != 1 or before != after:
            self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(self.norm3(self.conv3(y)) + (x if self.skip is None else self.skip(x)))


class ResNet50(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        blocks, before = [], 64
        for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
            for k in range(count):
                blocks.append(Bottleneck(before, width, 2 if stage > 0 and k == 0 else 1))
                before = 4 * width
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(2048, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.stem(x))), 3, 2, 1)
        return self.head(self.blocks(x).mean((2, 3)))


def case(given):
    n, device = given.micro_batch, given.device
    fused = {"fused": True} if device == "cuda" else {}
    if given.model == "gpt2":
        model = Gpt(block=FusedBlock, layers=given.layers).to(device)
        data = torch.randint(50257, (n, given.sequence + 1), device=device)
        inputs, labels = data[:, :-1].contiguous(), data[:, 1:].reshape(-1)
        return model, torch.optim.AdamW(model.parameters(), 1e-4, **fused), inputs, labels
    side, classes, network = {"resnet18": (32, 10, ResNet18), "resnet50": (224, 1000, ResNet50)}[given.model]
    model = network(classes).to(device, memory_format=torch.channels_last)
    inputs = torch.randn(n, 3, side, side, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(classes, (n,), device=device)
    return model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, **fused), inputs, labels


def step(given, model, optimizer, inputs, labels):
    optimizer.zero_grad(set_to_none=True)
    parts = given.batch // given.micro_batch
    for _ in range(parts):
        with torch.autocast(given.device, torch.bfloat16):
            logits = model(inputs)
            loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]).float(), labels)
        (loss / parts).backward()
    optimizer.step()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model", choices=("gpt2", "resnet18", "resnet50"))
    arguments.add_argument("--batch", type=int, required=True)
    arguments.add_argument("--micro-batch", type=int, help="samples at a time (default: all)")
    arguments.add_argument("--sequence", type=int, default=1024, help="tokens of a sample of gpt2")
    arguments.add_argument("--layers", type=int, default=12, help="of gpt2")
    arguments.add_argument("--steps", type=int, default=10)
    arguments.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to try the script")
    arguments.add_argument("--eager", action="store_true", help="without torch.compile")
    given = arguments.parse_args()
    given.micro_batch = given.micro_batch or given.batch
    if given.batch % given.micro_batch != 0:
        arguments.error("micro-batches have to divide the batch")
    if given.device == "cuda" and not torch.cuda.is_available():
        print("PyTorch: no GPU is available to it")
        sys.exit(UNAVAILABLE)
    finish = torch.cuda.synchronize if given.device == "cuda" else lambda: None
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    model, optimizer, inputs, labels = case(given)
    compiled = model if given.eager else torch.compile(model)
    for _ in range(3):
        step(given, compiled, optimizer, inputs, labels)
    seconds = []
    for _ in range(given.steps):
        finish()
        start = time.perf_counter()
        step(given, compiled, optimizer, inputs, labels)
        finish()
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() if given.device == "cuda" else None
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
