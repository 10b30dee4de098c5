"""Keep the branch of an ONNX model for frames of the canvas size.

python tools/onnx_canvas.py whole.onnx model.onnx

onnxruntime has no `ResizeArea`, which the other branch needs. Requires onnx alone.
"""

from __future__ import annotations

import sys

import onnx


def keep_canvas(nodes) -> None:
    """Replace the condition on the size of frames by its branch of plain copies.

    Args:
      nodes: the nodes of the ONNX graph, which are changed in place.
    """
    for index, node in enumerate(nodes):
        if node.op_type != "If":
            continue
        for attribute in node.attribute:
            branch = attribute.g
            if all(inner.op_type == "Identity" for inner in branch.node):
                ends = []
                for inside, outside in zip(branch.output, node.output):
                    end = onnx.helper.make_node("Identity", [inside.name], [outside])
                    ends.append(end)
                kept = [*nodes[:index], *branch.node, *ends, *nodes[index + 1 :]]
                del nodes[:]
                nodes.extend(kept)
                return


def main(source: str, output: str) -> None:
    """Convert an ONNX file.

    Args:
      source: path of the file.
      output: path of the file to write.
    """
    model = onnx.load(source)
    keep_canvas(model.graph.node)
    onnx.save(model, output)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
