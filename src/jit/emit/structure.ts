/**
 * Structured control flow from a graph: which loops there are, what lies in them, and an order in which every other edge
 * goes forward.
 *
 * A region's graph is cut into its strongly connected components, in topological order. A component with a cycle is a loop:
 * its edges to one node, the *header*, are cut (they become branches to the loop's top), and what is left is ordered in
 * the same way. (Tarjan 1972; for graphs that are reducible this finds the natural loops of the dominator tree.)
 *
 * A component that is entered at several nodes, because the graph is irreducible or because the region itself can be
 * entered in its middle, gets a dispatch at its top. Only such entries pay for it; inner loops stay as they are.
 */
export interface LoopShape {
  readonly kind: "loop";
  readonly header: number;
  /** Where the loop is entered from outside; more than the header where it begins with a dispatch. */
  readonly entries: readonly number[];
  readonly body: readonly Shape[];
}
export interface NodeShape {
  readonly kind: "node";
  readonly node: number;
}
export type Shape = NodeShape | LoopShape;

/** `successors[n]`: nodes that n goes to. Nodes that no entry reaches are left out. */
export function structure(successors: readonly (readonly number[])[], entries: readonly number[]): Shape[] {
  return arrange(successors, reachable(successors, entries), new Set(entries), new Set());
}

/** All loops, outer ones first. */
export function loopsOf(shapes: readonly Shape[]): LoopShape[] {
  return shapes.flatMap((shape) => (shape.kind === "loop" ? [shape, ...loopsOf(shape.body)] : []));
}

/** All nodes of a shape. */
export function nodesOf(shape: Shape): number[] {
  return shape.kind === "node" ? [shape.node] : shape.body.flatMap(nodesOf);
}

/** `cut`: nodes whose incoming edges go to the top of a loop around. `entries`: nodes reached from outside of `nodes`. */
function arrange(
  successors: readonly (readonly number[])[],
  nodes: ReadonlySet<number>,
  entries: ReadonlySet<number>,
  cut: ReadonlySet<number>,
): Shape[] {
  const follow = (node: number): number[] => successors[node].filter((to) => nodes.has(to) && !cut.has(to));
  const components = stronglyConnected(nodes, follow);
  const component = new Map<number, number>();
  components.forEach((members, n) => {
    for (const member of members) component.set(member, n);
  });
  const entered = new Set(entries);
  for (const node of nodes)
    for (const to of follow(node)) if (component.get(to) !== component.get(node)) entered.add(to);
  return components.map((members): Shape => {
    const first = members[0];
    if (members.length === 1 && !follow(first).includes(first)) return { kind: "node", node: first };
    const heads = members.filter((member) => entered.has(member)).sort((a, b) => a - b);
    const header = heads[0];
    const body = arrange(successors, new Set(members), new Set(heads), new Set([...cut, header]));
    return { kind: "loop", header, entries: heads, body };
  });
}

function reachable(successors: readonly (readonly number[])[], entries: readonly number[]): Set<number> {
  const found = new Set(entries);
  for (const node of found) for (const to of successors[node]) found.add(to);
  return found;
}

/** Components in topological order: no edge leads from a later one to an earlier one. */
function stronglyConnected(nodes: ReadonlySet<number>, follow: (node: number) => readonly number[]): number[][] {
  const order = new Map<number, number>();
  const low = new Map<number, number>();
  const stack: number[] = [];
  const onStack = new Set<number>();
  const components: number[][] = [];
  const visit = (node: number): void => {
    order.set(node, order.size);
    low.set(node, order.get(node) as number);
    stack.push(node);
    onStack.add(node);
    for (const to of follow(node)) {
      if (!order.has(to)) {
        visit(to);
        low.set(node, Math.min(low.get(node) as number, low.get(to) as number));
      } else if (onStack.has(to)) low.set(node, Math.min(low.get(node) as number, order.get(to) as number));
    }
    if (low.get(node) !== order.get(node)) return;
    const members: number[] = [];
    for (;;) {
      const member = stack.pop() as number;
      onStack.delete(member);
      members.push(member);
      if (member === node) break;
    }
    components.push(members);
  };
  for (const node of [...nodes].sort((a, b) => a - b)) if (!order.has(node)) visit(node);
  return components.reverse();
}
