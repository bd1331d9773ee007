"""The page's sections: claims, tables and figures by the exhibit of the paper that has them, and those beyond."""

import re
from pathlib import PurePath

from fearlib.exhibits import EXHIBITS
from fearlib.report.rule import VERDICTS

OUTPUT = "mine/paper"  # where the commands write to


def together() -> list[tuple[str, ...]]:
    """The exhibits that share a section: claims in words come first, or behind what their notebook makes."""
    claims = [name for name in sorted(EXHIBITS) if name.startswith("C")]
    groups = {name: (name,) for name in sorted(EXHIBITS)}
    for claim in claims:
        notebook = EXHIBITS[claim].notebook
        beside = [name for name in groups if name not in claims and EXHIBITS[name].notebook == notebook]
        if beside:
            groups[beside[0]] += groups.pop(claim)
    return list(groups.values())


def paper_sections(claims: list[dict], captioned: list[dict], sweeps: list[dict]) -> list[dict]:
    """A section for every exhibit, or those that are `together`: what the paper shows, and what we have of it.

    `captioned` are tables and figures. One belongs to the first exhibit whose `files` it is one of, a claim to
    the exhibit that its id begins with.
    """
    return [
        {
            "anchor": f"exhibit-{names[0]}",
            "names": " · ".join(names),
            "title": EXHIBITS[names[0]].title,
            "shows": [EXHIBITS[name].shows for name in names],
            "commands": [f"fear paper {names[0]} {OUTPUT}{scale}" for scale in ("", " --preset paper")],
        }
        | _content(
            [claim for claim in claims if _exhibit(claim) in names],
            [each for each in captioned if _owner(each["file"]) in names],
            sweeps,
        )
        for names in together()
    ]


def further_sections(claims: list[dict], captioned: list[dict], sweeps: list[dict]) -> list[dict]:
    """What no exhibit has: a section for every notebook that makes such tables, and source of such claims."""
    claims = [(_words(claim["source"]), claim) for claim in claims if _exhibit(claim) not in EXHIBITS]
    captioned = [(_words(each["notebook"]), each) for each in captioned if not _owner(each["file"])]
    topics = dict.fromkeys(topic for topic, _ in (*claims, *captioned))
    return [
        {"anchor": f"beyond-{topic}", "names": "", "title": topic, "shows": [], "commands": []}
        | _content(*([each for of, each in found if of == topic] for found in (claims, captioned)), sweeps)
        for topic in topics
    ]


def _content(claims: list[dict], captioned: list[dict], sweeps: list[dict]) -> dict:
    """What a section holds, the sweeps that it rests on, and how many claims have which verdict."""
    folders = {claim["folder"] for claim in claims}.union(*(each["folders"] for each in captioned))
    verdicts = [claim["verdict"] for claim in claims]
    return {
        "claims": claims,
        "captioned": captioned,
        "rests_on": [sweep for sweep in sweeps if sweep["name"] in folders],
        "verdicts": {name: verdicts.count(name) for name in (*VERDICTS, *verdicts) if name in verdicts},
    }


def _owner(file: str) -> str | None:
    """The first exhibit, in the sections' order, whose files it is one of."""
    names = (name for names in together() for name in names)
    return next((name for name in names if any(map(PurePath(file).match, EXHIBITS[name].files))), None)


def _exhibit(claim: dict) -> str:
    return claim["id"].partition(".")[0]


def _words(name: str) -> str:
    """Of a notebook's path or a source: `zero cost`."""
    words = re.sub(r"[_-]", " ", PurePath(name).stem).replace("fear", "FEAR") or "others"
    return words[0].upper() + words[1:]
