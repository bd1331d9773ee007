"""Tables and figures with their captions, and what they rest on."""

import base64
import io
import re
from pathlib import Path

from fearlib.errors import InputError, one_line, require
from fearlib.files.outside import read_file
from fearlib.files.tables import read_csv

CAPTIONS = "captions.csv"
CAPTION_COLUMNS = ("kind", "name", "caption", "notebook", "parameters", "folders", "numbers", "interval")
MAX_BYTES = 2**24  # of a table or figure
COUNTS = ("n", "reached")  # columns that count architectures
ESTIMATE_BOUNDS = ["low", "high"]

FINDINGS = "findings"  # pages of prose beside the tables


def read_captions(results: Path) -> dict[tuple[str, str], dict]:
    """What is said of a table or figure, by its kind and name; nothing where the file does not exist.

    Raises InputError if a column is missing.
    """
    path = results / CAPTIONS
    if not path.exists():
        return {}
    captions = read_csv(path, MAX_BYTES, CAPTION_COLUMNS).fillna("").astype(str)
    return {(line["kind"], line["name"]): line for line in captions.to_dict("records")}


def tables(results: Path) -> list[dict]:
    """Every table, in the order of the captions: its `blocks`, its `csv` as base64, and what is said of it."""
    captions = read_captions(results)
    found = []
    for path in sorted(set(results.glob("*/*.md")) - set(results.glob(f"{FINDINGS}/*.md"))):
        name = path.stem if path.parent.name == "tables" else f"{path.parent.name}/{path.stem}"
        blocks = parse_markdown(read_file(path, MAX_BYTES).decode(errors="replace"))
        csv = path.with_suffix(".csv")
        content = read_file(csv, MAX_BYTES) if csv.exists() else b""
        found.append(
            _said("table", name, path.relative_to(results), captions)
            | {"blocks": blocks, "n": _counts(blocks), "csv": base64.b64encode(content).decode()}
        )
    return _in_order("table", found, captions)


def figures(results: Path) -> list[dict]:
    """Every figure, in the order of the captions: its image, and what is said of it."""
    captions = read_captions(results)
    found = [
        _said("figure", path.stem, path.relative_to(results), captions) | _image(path)
        for path in sorted(results.glob("figures/*.png"))
    ]
    return _in_order("figure", found, captions)


def add_sweeps(captioned: dict, sweeps: list[dict], counts: dict[str, str]) -> None:
    """Say of a table or figure what its sweeps' presets are, whether on a stand-in, and its architectures' number.

    Where neither it nor the table with its numbers counts them, how many its sweeps have.
    """
    of_it = [sweep for sweep in sweeps if sweep["name"] in captioned["folders"]]
    captioned["folders"] = [sweep["name"] for sweep in of_it]
    captioned["note"] = " ".join(dict.fromkeys(sweep["note"] for sweep in of_it if sweep["note"]))
    captioned["presets"] = list(dict.fromkeys(sweep["preset"] for sweep in of_it))
    counted = captioned.get("n") or counts.get(captioned["numbers"])
    captioned["n"] = (
        f"{counted} architectures"
        if counted
        else ", ".join(f"of the {sweep['architectures']} architectures of {sweep['name']}" for sweep in of_it)
    )


def _said(kind: str, name: str, file: Path, captions: dict) -> dict:
    said = captions.get((kind, name)) or dict.fromkeys(CAPTION_COLUMNS, "")
    folder, _, notebook = said["notebook"].partition("/")
    command = f"papermill --cwd {folder} {said['notebook']} build/{notebook} {said['parameters']}".strip()
    return {
        "kind": kind,
        "name": name,
        "file": file.as_posix(),
        "notebook": said["notebook"],
        "caption": said["caption"] or name,
        "command": command if notebook else "",
        "folders": said["folders"].split(),
        "numbers": said["numbers"],
        "interval": said["interval"],
    }


def _in_order(kind: str, found: list[dict], captions: dict) -> list[dict]:
    order = {name: place for place, (of_kind, name) in enumerate(captions) if of_kind == kind}
    return sorted(found, key=lambda each: order.get(each["name"], len(order)))


def parse_markdown(text: str) -> list[dict]:
    """A table file as blocks: tables with `header` and `rows` of cells, and other `text`.

    An estimate, its lower and its upper bound in columns of their own become one column.
    """
    blocks = []
    for part in re.split(r"\n\s*\n", text.strip()):
        lines = [
            [cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in part.splitlines()
            if line.lstrip().startswith("|")
        ]
        if len(lines) < 2 or len({len(line) for line in lines}) > 1:
            blocks.append({"text": part})
            continue
        header, _, *rows = lines
        rows = [["" if re.match(r"nan\b", cell) else cell for cell in row] for row in rows]
        blocks.append(_with_intervals(header, rows))
    return blocks


def _with_intervals(header: list[str], rows: list[list[str]]) -> dict:
    places = [place for place in range(1, len(header) - 1) if header[place : place + 2] == ESTIMATE_BOUNDS]
    for place in reversed(places):
        header = [*header[: place - 1], f"{header[place - 1]} (95%)", *header[place + 2 :]]
        rows = [
            [*row[: place - 1], f"{row[place - 1]} ({row[place]}..{row[place + 1]})", *row[place + 2 :]]
            if row[place]
            else [*row[:place], *row[place + 2 :]]
            for row in rows
        ]
    return {"header": header, "rows": rows}


def _counts(blocks: list[dict]) -> str:
    """The range of a table's numbers of architectures."""
    counts = [
        int(row[place])
        for block in blocks
        for place, name in enumerate(block.get("header", ()))
        if name in COUNTS
        for row in block["rows"]
        if row[place].isdecimal()
    ]
    return (
        "" if not counts else f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)}..{max(counts)}"
    )


def _image(path: Path) -> dict:
    """A PNG as base64 of a WebP, which is smaller, and its size in pixels. Raises InputError if it is no PNG."""
    require("PIL", "embed figures")
    from PIL import Image

    smaller = io.BytesIO()
    content = read_file(path, MAX_BYTES)
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.convert("RGB").save(smaller, "WEBP", lossless=True, quality=80, method=3)
    except Exception as error:  # a damaged image raises errors of many kinds
        raise InputError(f"{path} is not a readable PNG: {one_line(error)}.") from error
    return {"webp": base64.b64encode(smaller.getvalue()).decode(), "width": image.width, "height": image.height}
