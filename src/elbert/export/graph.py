"""Building ONNX graphs: each call of an operator adds a node, and numbers become initializers.

    g = Graph()
    x = g.input("x", FLOAT, ["rows", 2])
    sure = g.Less(g.ReduceMax(x, [-1], keepdims=0), 0.5)

A loop's body is a graph inside a graph: it reads values of the outer graph by name. Constants and weights are stored
once, in the outermost graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elbert._optional import require

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto


Value = str
"""The name of a node's output."""
Operand = Value | bool | int | float | Sequence[int] | NDArray[Any]
"""A value, or a number that becomes an initializer: float32, int64, or the array's type."""
Shape = Sequence[int | str | None]

# TensorProto's type numbers, which are part of the file format.
FLOAT, UINT8, INT8, INT32, INT64, BOOL, FLOAT16 = 1, 2, 3, 6, 7, 9, 10


class Graph:
    """A graph under construction; ``outer`` is the graph around a loop's body."""

    def __init__(self, outer: Graph | None = None) -> None:
        self.helper: Any = require("onnx.helper", "onnx")
        self.outer = outer
        self.nodes: list[NodeProto] = []
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._number = 0

    @property
    def root(self) -> Graph:
        """The outermost graph."""
        return self if self.outer is None else self.outer.root

    def __getattr__(self, operator: str) -> Callable[..., Value]:
        """An ONNX operator by name: operands by position, attributes by keyword."""
        if not operator[:1].isupper():
            raise AttributeError(operator)

        def call(*operands: Operand, **attributes: Any) -> Value:
            (value,) = self.node(operator, operands, 1, **attributes)
            return value

        return call

    def node(self, operator: str, operands: Sequence[Operand], results: int, **attributes: Any) -> list[Value]:
        """Add an operator with several results."""
        values = [self.fresh(operator) for _ in range(results)]
        names = [self.value(operand) for operand in operands]
        self.nodes.append(self.helper.make_node(operator, names, values, name=values[0], **attributes))
        return values

    def value(self, operand: Operand) -> Value:
        """The name of an operand; a number becomes an initializer, shared by equal numbers."""
        if isinstance(operand, str):
            return operand
        array = operand if isinstance(operand, np.ndarray) else np.array(operand, constant_type(operand))
        root, key = self.root, (array.dtype.str, array.shape, array.tobytes())
        if key not in root._constants:
            root._constants[key] = self.weight(self.fresh("constant"), array)
        return root._constants[key]

    def weight(self, name: Value, array: NDArray[Any]) -> Value:
        """Store an initializer of that name in the outermost graph."""
        from onnx import numpy_helper

        self.root.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def input(self, name: Value, kind: int, shape: Shape) -> Value:
        """Declare an input; returns its name."""
        self.inputs.append(self.helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: Value, value: Value, kind: int, shape: Shape) -> None:
        """Declare an output that has the value of ``value``."""
        self.nodes.append(self.helper.make_node("Identity", [value], [name], name=f"to_{name}"))
        self.outputs.append(self.helper.make_tensor_value_info(name, kind, shape))

    def body(self) -> Graph:
        """A new graph nested in this one, for a loop."""
        return Graph(self)

    def fresh(self, about: str) -> Value:
        """An unused name that starts with ``about``."""
        self.root._number += 1
        return f"{about}_{self.root._number}"

    def proto(self, name: str) -> GraphProto:
        """The finished graph, without unused nodes and constants."""
        nodes, read = prune_nodes(self.nodes, [output.name for output in self.outputs])
        inputs = {declared.name for declared in self.inputs}  # defaults of inputs stay, used or not
        initializers = [stored for key, stored in self.initializers.items() if key in read | inputs]
        graph: GraphProto = self.helper.make_graph(nodes, name, self.inputs, self.outputs, initializers)
        return graph


def prune_nodes(nodes: Sequence[NodeProto], targets: Sequence[Value]) -> tuple[list[NodeProto], set[Value]]:
    """The nodes that the target values depend on, in order, and all values that they read."""
    read, kept = set(targets), []
    for node in reversed(nodes):
        if not read.isdisjoint(node.output):
            kept.append(node)
            read |= read_values(node)
    return kept[::-1], read


def read_values(node: NodeProto) -> set[Value]:
    """The values that a node reads, including those that its nested bodies read."""
    inner = [inside for attribute in node.attribute for inside in attribute.g.node]
    return set(node.input).union(*map(read_values, inner))


def constant_type(operand: Operand) -> str:
    """The element type of a Python number or list as an initializer."""
    first = operand[0] if isinstance(operand, Sequence) else operand
    if isinstance(first, bool):
        return "bool"
    return "float32" if isinstance(first, float) else "int64"
