"""llm.c's CPU trainer as a peer: the files it reads, made here, and the seconds of its steps.

Get it from https://github.com/karpathy/llm.c and build it with `make train_gpt2` (with OpenMP). It
trains GPT-2 124M on 4 x 64 tokens and looks for its files where it is started. Weights are random
numbers as GPT-2's are before training, tokens are random.
"""
import array
import os
import pathlib
import random
import re
import subprocess

LAYERS, WIDTH, HEADS, POSITIONS, VOCABULARY, PADDED = 12, 768, 12, 1024, 50257, 50304
MODEL, DATA = (20240326, 3), (20240520, 1)  # magic numbers and versions of its two formats
TOKENS = 8192


def header(*numbers):
    return array.array("i", list(numbers) + [0] * (256 - len(numbers))).tobytes()


def write_model(path, rng):
    # A block of them over and over: the time does not depend on the values.
    block = array.array("f", (rng.gauss(0, 0.02) for _ in range(1 << 16)))
    square = WIDTH * WIDTH
    zeros, ones = (array.array("f", [value]) for value in (0, 1))
    tensors = [(block, PADDED * WIDTH), (block, POSITIONS * WIDTH)]  # tokens, positions
    tensors += [(ones, LAYERS * WIDTH), (zeros, LAYERS * WIDTH)]  # first norms
    tensors += [(block, 3 * LAYERS * square), (zeros, 3 * LAYERS * WIDTH)]  # queries, keys, values
    tensors += [(block, LAYERS * square), (zeros, LAYERS * WIDTH)]  # out of attention
    tensors += [(ones, LAYERS * WIDTH), (zeros, LAYERS * WIDTH)]  # second norms
    tensors += [(block, 4 * LAYERS * square), (zeros, 4 * LAYERS * WIDTH)]  # up
    tensors += [(block, 4 * LAYERS * square), (zeros, LAYERS * WIDTH)]  # down
    tensors += [(ones, WIDTH), (zeros, WIDTH)]  # last norm
    with open(path, "wb") as file:
        file.write(header(*MODEL, POSITIONS, VOCABULARY, LAYERS, HEADS, WIDTH, PADDED))
        for values, count in tensors:
            times, rest = divmod(count, len(values))
            for _ in range(times) if len(values) > 1 else ():
                values.tofile(file)
            (values * times if len(values) == 1 else values[:rest]).tofile(file)


def write_tokens(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(header(*DATA, TOKENS))
        array.array("H", (rng.randrange(VOCABULARY) for _ in range(TOKENS))).tofile(file)


def prepare(work):
    """Writes what the trainer reads into the folder `work`."""
    work, rng = pathlib.Path(work), random.Random(1)
    write_model(work / "gpt2_124M.bin", rng)
    for part in ("train", "val"):
        write_tokens(work / f"dev/data/tinyshakespeare/tiny_shakespeare_{part}.bin", rng)


def seconds_of_steps(checkout, work, threads, steps):
    """Of so many steps after the first one, in the files' folder; and its peak resident bytes."""
    command = ["stdbuf", "-oL", str(pathlib.Path(checkout).resolve() / "train_gpt2")]
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    seconds = []
    with subprocess.Popen(command, cwd=work, env=environment, text=True, stdout=subprocess.PIPE) as trainer:
        for line in trainer.stdout:
            if took := re.match(r"step \d+: .*\(took ([\d.]+) ms\)", line):
                seconds.append(float(took[1]) / 1e3)
            if len(seconds) > steps:
                break
        status = pathlib.Path(f"/proc/{trainer.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024
        trainer.kill()
    return seconds[1:], peak
