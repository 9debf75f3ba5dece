"""A study's picture, plot.svg: accuracy against coverage, at equal steps and at equal FLOPs."""
import re

import matplotlib

matplotlib.use("svg")
# The same results draw the same file.
matplotlib.rcParams["svg.hashsalt"] = "study"
import matplotlib.pyplot as plt

from . import table

PANELS = [("equal_steps", "equal steps"), ("equal_flops", "equal FLOPs")]
MARKERS = "osD^vP*X"


def series_of(groups):
    """Lines: strategies with a coverage whose names differ only in the number at their end. Bands: all
    others. Each as {name: groups}."""
    lines, bands = {}, {}
    for strategy, group in groups.items():
        if group[0]["coverage"] is None:
            bands[strategy] = group
        else:
            lines.setdefault(re.sub(r"[-_ ]?\d+(\.\d+|/\d+)?$", "", strategy), []).append(group)
    return lines, bands


def draw_line(axes, name, groups, which, aside, style):
    """aside: by how much of coverage, so that error bars do not hide one another."""
    points = []
    for group in groups:
        both = table.spread(table.values_after(group, which, "accuracy"))
        if both is not None:
            points.append((group[0]["coverage"] + aside, 100 * both[0], 100 * both[1]))
    if points:
        x, y, error = zip(*sorted(points))
        axes.errorbar(x, y, yerr=error, label=name, capsize=3, **style)


def draw_band(axes, name, group, which, colour):
    both = table.spread(table.values_after(group, which, "accuracy"))
    if both is None:
        return
    mean, deviation = 100 * both[0], 100 * both[1]
    axes.axhspan(mean - deviation, mean + deviation, color=colour, alpha=0.2, linewidth=0)
    axes.axhline(mean, color=colour, label=name, linestyle=":")


def write(folder, records):
    lines, bands = series_of(table.by_strategy(records))
    colours = plt.get_cmap("tab10").colors
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.5), sharey=True)
    figure.subplots_adjust(left=0.08, right=0.98, top=0.85, bottom=0.27, wspace=0.05)
    for axes, (which, title) in zip(panels, PANELS):
        for number, (name, groups) in enumerate(lines.items()):
            style = {"color": colours[number % 10], "marker": MARKERS[number % len(MARKERS)]}
            draw_line(axes, name, groups, which, 0.008 * (number - (len(lines) - 1) / 2), style)
        for number, (name, group) in enumerate(bands.items()):
            draw_band(axes, name, group, which, "black" if group[0]["baseline"] else colours[9 - number % 10])
        axes.set_title(title)
        axes.set_xlabel("coverage (lines a little apart)")
        axes.set_xticks(sorted({group[0]["coverage"] for groups in lines.values() for group in groups}))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("test accuracy, %")
    handles, names = panels[1].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=3, frameon=False)
    figure.suptitle(f"{records[0]['scenario']}: mean and standard deviation of "
                    f"{max(map(len, table.by_strategy(records).values()))} seeds", fontsize=10)
    path = folder / "plot.svg"
    new = path.with_name("plot.svg.new")
    figure.savefig(new, format="svg", metadata={"Date": None})
    new.replace(path)
    return path
