/** Which forms of the table were tried, how often, and how those tried alone ended. */
import { type InstructionRow, rows } from "#x86";
import type { EndState } from "./case.ts";
import { whyNot } from "./forms.ts";
import type { Generated } from "./generate.ts";
import { printStop } from "./text.ts";

interface Count {
  tried: number;
  in32: number;
  alone: number;
  /** How it ended when alone, by the stop's name. */
  ends: Map<string, number>;
}

export class Coverage {
  readonly #counts = new Map<number, Count>();

  note(generated: Generated, end: EndState): void {
    const alone = generated.rows.length === 1;
    for (const row of generated.rows) {
      const count = this.#counts.get(row.id) ?? { tried: 0, in32: 0, alone: 0, ends: new Map<string, number>() };
      this.#counts.set(row.id, count);
      count.tried++;
      if (generated.case.mode === 32) count.in32++;
      if (!alone) continue;
      count.alone++;
      const stop = printStop(end.stop);
      count.ends.set(stop, (count.ends.get(stop) ?? 0) + 1);
    }
  }

  /** True when every form that the oracle tries was tried. */
  isComplete(forms: readonly InstructionRow[]): boolean {
    return forms.every((row) => this.#counts.has(row.id));
  }

  /** A line for each form, then what was left out, then a sum. */
  print(forms: readonly InstructionRow[], everyForm: boolean): string {
    const name = (row: InstructionRow): string =>
      `${row.code.padEnd(20)} ${[row.mnemonic, ...row.operands].join(" ").padEnd(28)}`;
    const lines: string[] = [];
    for (const row of forms) {
      const count = this.#counts.get(row.id);
      const ends = [...(count?.ends ?? [])].sort((a, b) => b[1] - a[1]).map(([stop, n]) => `${stop} ${n}`);
      const neverDone = !row.privileged && count !== undefined && count.alone > 0 && !count.ends.has("end");
      if (everyForm || !count || neverDone) {
        lines.push(
          `${name(row)} ${count ? `${count.tried} tried (${count.in32} in 32-bit code), alone: ${ends.join(", ")}` : "not tried"}`,
        );
      }
    }
    const reasons = new Map<string, string[]>();
    for (const row of rows) {
      const reason = whyNot(row);
      if (reason && row.id !== 0) reasons.set(reason, [...(reasons.get(reason) ?? []), row.mnemonic]);
    }
    for (const [reason, names] of reasons) lines.push(`left out, ${reason}: ${[...new Set(names)].join(" ")}`);
    const covered = forms.filter((row) => this.#counts.has(row.id)).length;
    const completed = forms.filter((row) => this.#counts.get(row.id)?.ends.has("end")).length;
    lines.push(
      `forms covered: ${covered} of ${forms.length} (${completed} seen to run to the end alone), table: ${rows.length - 1}`,
    );
    return lines.join("\n");
  }
}
