"""Whether the page's colours can be told apart: by distances in OKLab (Ottosson 2020), as people see them who have
all cones, and who lack one kind (Machado, Oliveira and Fernandes 2009, severity 1)."""
import re

OPS = ["forward", "backward", "backward_input", "backward_weight", "recompute", "accumulate", "clear", "load_batch", "optimizer_step",
       "sum_squares", "outer_gradient", "outer_step", "send", "receive", "all_reduce", "reduce_scatter", "all_gather", "broadcast"]
BUFFERS = ["parameters", "gradients", "optimizer_state", "outer_state", "gathered", "unreduced", "value", "gradient", "saved", "kept",
           "deferred", "squares", "scratch", "communication"]
POOLS = ["parameters", "gradients", "optimizer_state", "activations", "communication", "workspace", "context", "fragmentation", "stand_ins",
         "communicators", "carried"]
PASSES = ["forward", "backward", "optimizer_step"]
MESSAGES = ["send", "receive", "all_reduce", "reduce_scatter", "all_gather"]
SERIES = [f"series{k}" for k in range(8)]
# Of what stands in one picture, and how far apart any two have to be: 0.02 is about what is just seen side by side.
GROUPS = {"ops": (OPS, 0.066), "passes": (PASSES, 0.1), "messages": (MESSAGES, 0.08), "buffers": (BUFFERS, 0.055), "pools": (POOLS, 0.055), "series": (SERIES, 0.08), "parts of a step": (["forward", "exposed", "idle"], 0.1)}
# What stands beside one another in nearly every picture: any of the first from any of the second.
BESIDE = {"passes and messages": (PASSES, MESSAGES, 0.1)}
SIGHTS = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no long-wave cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no middle-wave cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no short-wave cones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_CONES = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]]
TO_LAB = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099], [0.0259040371, 0.7827717662, -0.8086757660]]


def times(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector)) for row in matrix]


def linear(color):
    parts = [int(color[k:k + 2], 16) / 255 for k in (1, 3, 5)]
    return [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]


def seen(color, sight):
    light = [min(1, max(0, part)) for part in times(SIGHTS[sight], linear(color))]
    return times(TO_LAB, [cone ** (1 / 3) for cone in times(TO_CONES, light)])


def contrast(a, b):
    """WCAG 2.1's ratio."""
    low, high = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(linear, (a, b)))
    return (high + 0.05) / (low + 0.05)


def looks_of(css):
    """{look: {name: color}} of the page's style."""
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", part)) for part in css.split("@media (prefers-color-scheme: dark)", 1))
    return {"light": light, "dark": {**light, **dark}}


def complaints(css):
    for look, colors in looks_of(css).items():
        pairs = [(group, [(one, other) for k, one in enumerate(names) for other in names[k + 1:]], least) for group, (names, least) in GROUPS.items()]
        pairs += [(group, [(one, other) for one in ones for other in others], least) for group, (ones, others, least) in BESIDE.items()]
        for group, own, least in pairs:
            for sight in SIGHTS:
                places = {name: seen(colors[name], sight) for pair in own for name in pair}
                for one, other in own:
                    distance = sum((a - b) ** 2 for a, b in zip(places[one], places[other])) ** 0.5
                    if distance < least:
                        yield f"{look}, {sight}: {one} and {other} of {group} are {distance:.3f} apart, less than {least}"
        for name in {name for names, _ in GROUPS.values() for name in names} - {"idle"}:
            if contrast(colors[name], colors["panel"]) < 1.5:
                yield f"{look}: {name} is hardly seen on its ground"
        for name in ["ink", "soft", "accent"]:
            for ground in ["paper", "panel"]:
                if contrast(colors[name], colors[ground]) < 4.5:
                    yield f"{look}: text in {name} is hard to read on {ground}"
