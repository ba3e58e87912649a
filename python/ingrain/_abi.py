"""Whether the torch that is imported is the one that the extension was built for: C++ has no stable interface between
two minor versions of torch, and what does not fit would crash in place of saying so."""

import re

SUPPORTED = "2.11 to 2.13"


def problem(built: str, here: str) -> str | None:
    """What is wrong with torch `here` for an extension that was built with `built` ("2.13.0+cpu"); None if nothing is."""
    of_built, of_here = (re.match(r"(\d+)\.(\d+)", version) for version in (built, here))
    if of_built and of_here and of_built.groups() == of_here.groups():
        if "+cu" in built and "+cpu" in here:
            return (f"ingrain was built with torch {built}, with CUDA, and this is torch {here}, without: install a torch "
                    "with CUDA, or ingrain again beside this one (docs/python.md)")
        return None
    return (f"ingrain was built with torch {built}, and this is torch {here}: install ingrain again beside this torch "
            f"(pip install --force-reinstall --no-deps --no-cache-dir PATH; it works with {SUPPORTED}), or torch {built}")
