/**
 * Makes a failing case small: fewer instructions, fewer patches, plainer state, as long as it fails.
 *
 * `fails` says of each candidate whether it still fails; it is asked in batches. The number of rounds is bounded.
 */
import { copyCase, emptyState, type OracleCase } from "./case.ts";
import { fields } from "./fields.ts";
import { placesOf } from "./flags.ts";

export type Fails = (candidates: readonly OracleCase[]) => Promise<boolean[]>;

const rounds = 30;
const nop = 0x90;

function withoutInstructions(c: OracleCase): OracleCase[] {
  const places = placesOf(c);
  if (places.length < 2) return [];
  const hasBranches = places.some((p) => p.target >= 0);
  return places.flatMap((p) => {
    if (p.row.mnemonic === "nop" && hasBranches) return [];
    const cut = copyCase(c);
    const rest = [...c.code.subarray(0, p.offset), ...c.code.subarray(p.offset + p.length)];
    cut.code = Uint8Array.from(rest);
    if (!hasBranches) return [cut];
    // Branches count bytes: leave the room.
    const blank = copyCase(c);
    blank.code.fill(nop, p.offset, p.offset + p.length);
    return [cut, blank];
  });
}

function withoutPatches(c: OracleCase): OracleCase[] {
  return c.patches.map((_, n) => {
    const less = copyCase(c);
    less.patches.splice(n, 1);
    return less;
  });
}

/** Each part of the state as a fresh process has it. */
function plainer(c: OracleCase): OracleCase[] {
  const empty = emptyState();
  return fields
    .filter((field) => field.read(c.start) !== field.read(empty))
    .map((field) => {
      const simple = copyCase(c);
      field.write(simple.start, field.read(empty));
      return simple;
    });
}

export async function shrink(c: OracleCase, fails: Fails): Promise<OracleCase> {
  let best = c;
  for (let round = 0; round < rounds; round++) {
    let progress = false;
    for (const step of [withoutInstructions, withoutPatches, plainer]) {
      for (let again = 0; again < rounds; again++) {
        const candidates = step(best);
        if (candidates.length === 0) break;
        const failing = await fails(candidates);
        const at = failing.indexOf(true);
        if (at < 0) break;
        best = candidates[at];
        progress = true;
      }
    }
    if (!progress) break;
  }
  return best;
}
