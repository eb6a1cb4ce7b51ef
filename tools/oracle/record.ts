/**
 * Recorded vectors: a few cases of each form with the end states of a real CPU, for machines without a compiler.
 *
 * A recorded case holds no state that plays no part: a field that can be cleared without any other change in the end
 * state is cleared.
 */
import { copyCase, type EndState, emptyState, type OracleCase } from "./case.ts";
import { areEqual } from "./compare.ts";
import { fields } from "./fields.ts";
import { type Generated, Generator } from "./generate.ts";
import type { NativeCpu } from "./native.ts";
import type { Vector } from "./text.ts";

/** True when both ends changed the same things to the same values, whatever the start states were. */
function sameEffect(c: OracleCase, end: EndState, simple: OracleCase, simpleEnd: EndState): boolean {
  const carried: EndState = {
    ...simpleEnd,
    state: { ...simpleEnd.state, gpr: simpleEnd.state.gpr.slice(), fx: simpleEnd.state.fx.slice() },
  };
  for (const field of fields) {
    const start = field.read(simple.start);
    if (start !== field.read(c.start) && field.read(simpleEnd.state) === start)
      field.write(carried.state, field.read(c.start));
  }
  return areEqual(end, carried);
}

async function simplify(cpu: NativeCpu, vectors: readonly Vector[]): Promise<Vector[]> {
  const empty = emptyState();
  const candidates: { of: number; field: (typeof fields)[number]; case: OracleCase }[] = [];
  for (const [of, { case: c }] of vectors.entries()) {
    for (const field of fields) {
      if (field.name === "flags" || field.read(c.start) === field.read(empty)) continue;
      const simple = copyCase(c);
      field.write(simple.start, field.read(empty));
      candidates.push({ of, field, case: simple });
    }
  }
  const ends = await cpu.run(candidates.map((candidate) => candidate.case));
  const combined = vectors.map(({ case: c }) => copyCase(c));
  for (const [n, { of, field, case: simple }] of candidates.entries()) {
    const { case: c, end } = vectors[of];
    if (sameEffect(c, end, simple, ends[n])) field.write(combined[of].start, field.read(empty));
  }
  const combinedEnds = await cpu.run(combined);
  return vectors.map((vector, n) =>
    sameEffect(vector.case, vector.end, combined[n], combinedEnds[n])
      ? { case: combined[n], end: combinedEnds[n] }
      : vector,
  );
}

/** `perForm` single instructions of each form, at most one of them ending in an exception, by CPUID feature. */
export async function record(cpu: NativeCpu, perForm: number, seed: number): Promise<Map<string, Vector[]>> {
  const generator = new Generator({ seed, single: true });
  const made: Generated[] = [];
  for (let n = 0; n < generator.forms.length * perForm * 4; n++) made.push(generator.next());
  const ends = await cpu.run(made.map((g) => g.case));
  const counts = new Map<number, { ended: number; faulted: number }>();
  const chosen: { feature: string; vector: Vector }[] = [];
  for (const [n, { case: c, rows }] of made.entries()) {
    const end = ends[n];
    const count = counts.get(rows[0].id) ?? { ended: 0, faulted: 0 };
    counts.set(rows[0].id, count);
    const kind = end.stop.kind === "end" ? "ended" : "faulted";
    if (end.stop.kind === "timeout" || end.memory.length > 40 || count[kind] >= (kind === "ended" ? perForm : 1))
      continue;
    count[kind]++;
    chosen.push({ feature: rows[0].feature, vector: { case: c, end } });
  }
  const simple = await simplify(
    cpu,
    chosen.map((entry) => entry.vector),
  );
  const byFeature = new Map<string, Vector[]>();
  for (const [n, { feature }] of chosen.entries())
    byFeature.set(feature, [...(byFeature.get(feature) ?? []), simple[n]]);
  return byFeature;
}
