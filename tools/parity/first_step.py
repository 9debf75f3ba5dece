"""Files that `rehearse-exec train --first-step` writes, and the networks in them, for PyTorch.

The networks are written down here once more, from their papers: what they share with ours is the
names of the parameters and the layouts of their tensors.
"""
import json
import struct

TYPES = {"F32": ("f", 4), "F64": ("d", 8), "I32": ("i", 4)}


def read(path):
    """Tensors by name as (type, shape, bytes), and the metadata."""
    with open(path, "rb") as file:
        text = file.read()
    length = struct.unpack("<Q", text[:8])[0]
    header = json.loads(text[8:8 + length])
    data = memoryview(text)[8 + length:]
    metadata = header.pop("__metadata__")
    return {name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
            for name, entry in header.items()}, metadata


def numbers(tensor):
    """The elements of a tensor."""
    code, size = TYPES[tensor[0]]
    return struct.unpack(f"<{len(tensor[2]) // size}{code}", tensor[2])


def model_of(metadata):
    """("gpt", {"layers": "12", ...}) of the metadata's "gpt layers=12 ..."."""
    kind, *fields = metadata["model"].split(" ")
    return kind, dict(field.split("=", 1) for field in fields)


# ---- recorded gradients -------------------------------------------------------------------------

PROJECTIONS = 4


def signs(seed, count):
    """+1 and -1 from a xorshift generator: a projection that any error shows in."""
    state = 0x9E3779B97F4A7C15 ^ (seed + 1)
    for _ in range(count):
        state ^= state << 13 & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 7
        state ^= state << 17 & 0xFFFFFFFFFFFFFFFF
        yield 1 if state & 1 << 33 else -1


def projections(values):
    """Sums of the elements with random signs."""
    return [sum(s * x for s, x in zip(signs(seed, len(values)), values)) for seed in range(PROJECTIONS)]


def fingerprint(entries):
    """Of what the step begins with: recorded gradients are right for no other."""
    import hashlib
    digest = hashlib.sha256()
    for name in sorted(entries):
        if not name.startswith("gradients/"):
            digest.update(name.encode() + bytes(entries[name][2]))
    return digest.hexdigest()


def norm(values):
    return sum(x * x for x in values) ** 0.5


def record(model, entries, loss, gradients):
    return {"model": model, "begins_with": fingerprint(entries), "loss": loss,
            "gradients": {name: {"norm": norm(values), "projections": projections(values)}
                          for name, values in gradients.items()}}
