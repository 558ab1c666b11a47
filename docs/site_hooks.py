"""Bring the pages that lie outside of docs/ onto the documentation's site; mkdocs.yml names this file under `hooks`.

README.md is the site's first page, and the results of the benchmarks, the changelog and the rules for contributors are pages
of it. Their links are written for readers of the repository, and are turned into links between pages of the site.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def outside() -> dict[str, str]:
    """Return the site's files that lie outside of docs/: where each is on the site, and its path in the repository."""
    pages = {
        "index.md": "README.md",
        "contributing.md": "CONTRIBUTING.md",
        "security.md": "SECURITY.md",
        "changelog.md": "CHANGELOG.md",
    }
    results = sorted((ROOT / "benchmarks" / "results").iterdir())
    return pages | {f"benchmarks/results/{file.name}": f"benchmarks/results/{file.name}" for file in results}


def on_files(files: Any, config: Any) -> Any:
    """Add what lies outside of docs/ to the files of the site."""
    from mkdocs.structure.files import File

    for place, path in outside().items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, files: Any, **_: Any) -> str:
    """Turn the links of a page into links between pages of the site."""
    return linked(markdown, page.file.src_uri, {file.src_uri for file in files})


def linked(markdown: str, place: str, site: Collection[str]) -> str:
    """Return a page's text with links as the site needs them.

    A link to a file of the repository that isn't on the site becomes its text. One that leads nowhere stays, for mkdocs to
    report.

    Args:
        markdown: the page.
        place: where the page is on the site.
        site: where the files of the site are.
    """
    paths = outside()
    places = {path: place for place, path in paths.items()}
    folder = posixpath.dirname(paths.get(place, f"docs/{place}"))

    def link(match: re.Match[str]) -> str:
        image, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        there = places.get(path, path.removeprefix("docs/"))
        if there in site:
            return f"{image}[{text}]({posixpath.relpath(there, posixpath.dirname(place) or '.')}{anchor})"
        return text if (ROOT / path).exists() else match[0]

    parts = re.split(r"(^```.*?^```)", markdown, flags=re.DOTALL | re.MULTILINE)  # code stays as it is
    return "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)
