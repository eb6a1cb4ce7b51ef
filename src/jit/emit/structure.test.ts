import { expect, test } from "vitest";
import { type LoopShape, loopsOf, nodesOf, type Shape, structure } from "./structure.ts";

/** "0>1 1>2,1" as successors. */
function graph(text: string): number[][] {
  const edges = text.split(" ").map((each) => each.split(">"));
  const successors: number[][] = [];
  for (const [from, to] of edges) successors[Number(from)] = to === "" ? [] : to.split(",").map(Number);
  return successors;
}
const print = (shapes: readonly Shape[]): string =>
  shapes
    .map((shape) => (shape.kind === "node" ? `${shape.node}` : `${shape.entries.join("|")}(${print(shape.body)})`))
    .join(" ");

test("a chain is its nodes in order", () => {
  expect(print(structure(graph("0>1 1>2 2>"), [0]))).toBe("0 1 2");
});
test("a node that goes to itself is a loop", () => {
  expect(print(structure(graph("0>1 1>1,2 2>"), [0]))).toBe("0 1(1) 2");
});
test("a loop in a loop lies in it", () => {
  expect(print(structure(graph("0>1 1>2 2>2,3 3>1,4 4>"), [0]))).toBe("0 1(1 2(2) 3) 4");
});
test("a loop that can be entered in its middle says so, and the one inside it does not", () => {
  expect(print(structure(graph("0>1 1>2 2>2,3 3>1"), [0, 2]))).toBe("0 1|2(1 2(2) 3)");
});
test("two nodes that lead to each other and are both entered are one loop of two entries", () => {
  expect(print(structure(graph("0>1,2 1>2 2>1"), [0]))).toBe("0 1|2(1 2)");
});
test("what no entry reaches is left out", () => {
  expect(print(structure(graph("0>1 1> 2>1"), [0]))).toBe("0 1");
});

test("in any graph every edge goes forward or to the top of a loop around, and outside edges end at entries", () => {
  let seed = 1;
  const below = (bound: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return (seed >>> 8) % bound;
  };
  for (let round = 0; round < 2000; round++) {
    const count = 1 + below(14);
    const successors = Array.from({ length: count }, () => Array.from({ length: below(4) }, () => below(count)));
    const entries = [...new Set(Array.from({ length: 1 + below(3) }, () => below(count)))];
    const shapes = structure(successors, entries);
    const order = shapes.flatMap(nodesOf);
    expect(new Set(order).size).toBe(order.length);
    const loops = loopsOf(shapes).map((loop) => ({ loop, inside: new Set(nodesOf(loop)) }));
    for (const from of order) {
      for (const to of successors[from]) {
        const around = loops.filter(({ inside }) => inside.has(from));
        const back = around.some(({ loop }: { loop: LoopShape }) => loop.header === to);
        expect(back || order.indexOf(to) > order.indexOf(from), `${from} to ${to} in ${print(shapes)}`).toBe(true);
        for (const { loop, inside } of loops)
          if (inside.has(to) && !inside.has(from)) expect(loop.entries, print(shapes)).toContain(to);
      }
    }
    for (const { loop, inside } of loops)
      for (const entry of entries) if (inside.has(entry)) expect(loop.entries).toContain(entry);
  }
});
