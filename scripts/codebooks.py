"""Writes src/base/codebooks.inc: the codebooks of GGUF's IQ types, as the values that PyPI's gguf 0.19 has for them.
Run: python scripts/codebooks.py. Each entry is a number: 2 bits for each of 8 elements, 3 bits for each of 4, the first
element lowest; they say which of the type's values it is."""
import pathlib

import gguf
import numpy

OUT = pathlib.Path(__file__).resolve().parents[1] / "src/base/codebooks.inc"
TYPES = ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S")


def entries(name: str) -> tuple[list[int], list[int]]:
    """The values that elements take, and the numbers of the entries."""
    kind = getattr(gguf.quants, name)
    kind.init_grid()
    grid = kind.grid.reshape(kind.grid_shape).astype(int)
    values = sorted(set(grid.ravel().tolist()))
    bits = 2 if len(values) <= 4 else 3
    return values, [sum(values.index(x) << bits * i for i, x in enumerate(row)) for row in grid.tolist()]


def main() -> None:
    lines = ["// Made by scripts/codebooks.py from the values that PyPI's gguf 0.19 has."]
    for name in TYPES:
        values, numbers = entries(name)
        short = name.replace("_", "").capitalize()
        lines.append(f"constexpr int8_t kValuesOf{short}[] = {{{', '.join(map(str, values))}}};")
        lines.append(f"constexpr uint16_t kNumbersOf{short}[] = {{")
        for at in range(0, len(numbers), 16):
            lines.append("    " + ", ".join(f"0x{x:04x}" for x in numbers[at : at + 16]) + ",")
        lines.append("};")
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
