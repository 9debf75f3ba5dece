"""What pages look like, roughly: mean colours of the parts of a screenshot, held against those of looks.json, which
`check_report PROGRAMS --update` writes. Of pages whose figures are stated, so that no price changes them."""
import json
import os
import struct
import zlib

COLUMNS, ROWS = 12, 32
KEPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "looks.json")
# Fonts differ from one system to the next, and with them where lines break.
MOST_TALLER, MOST_APART, MOST_OTHERS = 0.15, 36, 0.12


def pixels(png):
    """Rows of (red, green, blue) of 8 bits each."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert depth == 8 and kind in (2, 6), "not the PNG that browsers write"
    size, data, place = {2: 3, 6: 4}[kind], b"", 8
    while place < len(png):
        length, name = struct.unpack(">I4s", png[place:place + 8])
        data += png[place + 8:place + 8 + length] if name == b"IDAT" else b""
        place += 12 + length
    data, above, rows = zlib.decompress(data), bytes(width * size), []
    for y in range(height):
        begin = y * (width * size + 1)
        line, way = bytearray(data[begin + 1:begin + 1 + width * size]), data[begin]
        for k in range(len(line)):
            left, up, corner = line[k - size] if k >= size else 0, above[k], above[k - size] if k >= size else 0
            line[k] = (line[k] + [0, left, up, (left + up) // 2, paeth(left, up, corner)][way]) % 256
        rows.append([tuple(line[k:k + 3]) for k in range(0, len(line), size)])
        above = line
    return rows


def paeth(left, up, corner):
    estimate = left + up - corner
    return min((left, up, corner), key=lambda v: abs(estimate - v))


def look_of(png):
    """{height: of the page by its width, parts: mean colours, a text for each row}"""
    rows = pixels(png)
    height, width = len(rows), len(rows[0])

    def mean(r, c):
        part = [rows[y][x] for y in range(r * height // ROWS, max(r * height // ROWS + 1, (r + 1) * height // ROWS)) for x in range(c * width // COLUMNS, (c + 1) * width // COLUMNS)]
        return "".join(f"{sum(pixel[k] for pixel in part) // len(part):02x}" for k in range(3))
    return {"height": round(height / width, 3), "parts": [" ".join(mean(r, c) for c in range(COLUMNS)) for r in range(ROWS)]}


def difference(look, other):
    """Why they are not alike; empty: they are."""
    if abs(look["height"] / other["height"] - 1) > MOST_TALLER:
        return f"it is {look['height']} times as high as wide, not {other['height']}"

    def colors(it):
        return [[int(part[k:k + 2], 16) for k in (0, 2, 4)] for row in it["parts"] for part in row.split()]
    others = sum(max(abs(a - b) for a, b in zip(x, y)) > MOST_APART for x, y in zip(colors(look), colors(other)))
    return f"{others} of {ROWS * COLUMNS} parts have other colours" if others > MOST_OTHERS * ROWS * COLUMNS else ""


def kept():
    with open(KEPT) as file:
        return json.load(file)


def keep(looks):
    with open(KEPT, "w") as file:
        json.dump(looks, file, indent=1)
        file.write("\n")
