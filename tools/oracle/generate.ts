/**
 * Random cases from a seed: single instructions and short sequences over every form the oracle tries.
 *
 * Law: the same seed and options give the same cases. No instruction reads a flag that an earlier one left undefined,
 * on any path; all branches go forward but for one LOOP that counts a register nothing else writes.
 */
import { DECODED, decode, Instruction, type InstructionRow, OPERANDS, type OperandShape, rows } from "#x86";
import { CaseBuilder, type Item, RCX } from "./builder.ts";
import type { Mode, OracleCase } from "./case.ts";
import { encode } from "./encode.ts";
import { placesOf, undefinedAfter, undefinedFlags } from "./flags.ts";
import { approximate, firstOnly, whyNot } from "./forms.ts";
import { Random } from "./random.ts";
import { fillX87, fillXmm } from "./values.ts";

export interface GeneratorOptions {
  readonly seed: number;
  /** Mnemonics or feature names to keep to; all where absent. */
  readonly only?: ReadonlySet<string>;
  readonly features?: ReadonlySet<string>;
  /** Single instructions alone. */
  readonly single?: boolean;
  readonly modes?: readonly Mode[];
}

export interface Generated {
  readonly case: OracleCase;
  readonly rows: readonly InstructionRow[];
}

/** Instructions that always end a case in user mode; kept out of most sequences. */
const alwaysFault = /^(in|out|ins|outs|hlt|cli|sti|int3|ud[012]|into|clac|stac)$/;
/** What these store tells processors apart (MXCSR_MASK), so nothing may read it. */
const savesState = /^f?xsave$/;
const pageSeeds = 64;

const placesOfRow = (row: InstructionRow): string[] =>
  row.operands.map((kind) => (OPERANDS[kind] as OperandShape).place);
const usesX87 = (row: InstructionRow): boolean =>
  (row.map === 0 && row.opcode >= 0xd8 && row.opcode <= 0xdf) ||
  placesOfRow(row).some((place) => place.startsWith("mmx"));
const usesXmm = (row: InstructionRow): boolean => placesOfRow(row).some((place) => place.startsWith("xmm"));
const usesBoth = (row: InstructionRow): boolean =>
  /^(f?x?save|fxrstor|xrstor|emms|ldmxcsr|stmxcsr|movq2dq|movdq2q)$/.test(row.mnemonic);

const runsIn = (row: InstructionRow, mode: Mode): boolean =>
  (row.modes === "both" || row.modes === String(mode)) && !(mode === 32 && row.rexW === 1);

export class Generator {
  readonly #random: Random;
  readonly #options: GeneratorOptions;
  readonly #forms: readonly InstructionRow[];
  readonly #fillers: readonly InstructionRow[];
  #cycle: InstructionRow[] = [];
  #made = 0;

  constructor(options: GeneratorOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    const { only } = options;
    this.#forms = rows.filter(
      (row) =>
        !whyNot(row, options.features) &&
        (!only || only.has(row.mnemonic) || only.has(row.feature) || only.has(row.lift)),
    );
    this.#fillers = this.#forms.filter(
      (row) =>
        !row.privileged &&
        !alwaysFault.test(row.mnemonic) &&
        !approximate.has(row.mnemonic) &&
        !firstOnly.has(row.mnemonic) &&
        !savesState.test(row.mnemonic),
    );
    if (this.#forms.length === 0) throw new Error("no form of the table matches");
  }

  get forms(): readonly InstructionRow[] {
    return this.#forms;
  }

  next(): Generated {
    for (let tries = 0; tries < 1000; tries++) {
      const form = this.#nextForm();
      for (let again = 0; again < 20; again++) {
        const made = this.#make(form);
        if (made) return made;
      }
    }
    throw new Error("the generator finds no case");
  }

  /** Each form once in a random order, then again. */
  #nextForm(): InstructionRow {
    if (this.#cycle.length === 0) {
      this.#cycle = [...this.#forms];
      for (let i = this.#cycle.length - 1; i > 0; i--) {
        const j = this.#random.below(i + 1);
        [this.#cycle[i], this.#cycle[j]] = [this.#cycle[j], this.#cycle[i]];
      }
    }
    return this.#cycle.pop() as InstructionRow;
  }

  #modeFor(form: InstructionRow): Mode | undefined {
    const modes = (this.#options.modes ?? [64, 32]).filter((mode) => runsIn(form, mode));
    if (modes.length === 2) return this.#random.chance(85) ? 64 : 32;
    return modes[0];
  }

  #make(form: InstructionRow): Generated | undefined {
    const random = this.#random;
    const mode = this.#modeFor(form);
    if (!mode) return undefined;
    const alone =
      this.#options.single ||
      approximate.has(form.mnemonic) ||
      savesState.test(form.mnemonic) ||
      this.#fillers.length === 0 ||
      random.chance(50);
    const length = alone ? 1 : 2 + random.below(7);
    const focus = firstOnly.has(form.mnemonic) ? 0 : random.below(length);
    const b = new CaseBuilder(random, mode, length);
    let undefinedNow = 0;
    for (let n = 0; n < length; n++) {
      const item = this.#makeItem(b, n === focus ? form : undefined, undefinedNow);
      if (!item) return undefined;
      b.items.push(item);
      undefinedNow = this.#decoded
        ? undefinedAfter(item.row, this.#instruction.operandSize, undefined, false, undefinedNow)
        : 0;
    }
    if (length > 2 && random.chance(5)) addLoop(b);
    const used = b.items.map((item) => item.row);
    if (used.some((row) => usesX87(row) || usesBoth(row))) fillX87(random, b.state);
    if (used.some((row) => usesXmm(row) || usesBoth(row))) fillXmm(random, b.state);
    const name = `${form.mnemonic}-${this.#options.seed.toString(36)}-${(this.#made++).toString(36)}`;
    const made = b.finish(name, 1 + (Math.floor(this.#made / 512) % pageSeeds));
    return readsUndefined(made) ? undefined : { case: made, rows: used };
  }

  readonly #instruction = new Instruction();
  #decoded = true;

  /** One instruction of the form, or of any. What the decoder reads otherwise than meant is dropped. */
  #makeItem(b: CaseBuilder, form: InstructionRow | undefined, undefinedNow: number): Item | undefined {
    for (let tries = 0; tries < 40; tries++) {
      const row = form ?? this.#random.pick(this.#fillers);
      if (!runsIn(row, b.mode) || (row.flagsRead & undefinedNow) !== 0) {
        if (form) return undefined;
        continue;
      }
      const item = encode(b, row);
      if (!item) continue;
      const bytes = Uint8Array.from(item.bytes);
      const result = decode(bytes, 0, bytes.length, b.mode, this.#instruction);
      this.#decoded = result === DECODED;
      if (this.#instruction.row.id === row.id && this.#instruction.length === bytes.length) return item;
    }
    return undefined;
  }
}

/** Closes the case with a LOOP back, a few rounds, where nothing in it writes rCX. */
function addLoop(b: CaseBuilder): void {
  // XSAVE and XRSTOR may do only what the first round's rAX asks of them.
  if (b.items.some((item) => /^x(save|rstor)$/.test(item.row.mnemonic))) return;
  const row = rows.find((r) => r.mnemonic === "loop");
  if (!row || !b.set(RCX, BigInt(1 + b.random.below(4)))) return;
  const target = b.random.below(b.items.length);
  b.items.push({ row, bytes: [0xe2, 0], fixups: [{ kind: "relative", offset: 1, size: 1, target }] });
}

function readsUndefined(c: OracleCase): boolean {
  const places = placesOf(c);
  const flags = undefinedFlags(places);
  return places.some((p) => (p.row.flagsRead & (flags.get(p.offset) ?? 0)) !== 0);
}
