/** Which rule lifts a row. A row without a rule lifts to #UD, and is reported once by its name. */
import { rows } from "#x86";
import { controlRules } from "./control.ts";
import { integerRules } from "./integer.ts";
import type { Rule } from "./lifter.ts";
import { mmxRules } from "./mmx.ts";
import { sseRules } from "./sse.ts";
import { stringRules } from "./string.ts";
import { systemRules } from "./system.ts";
import { x87Rules } from "./x87.ts";

const families: readonly Record<string, Rule>[] = [
  integerRules,
  controlRules,
  stringRules,
  systemRules,
  sseRules,
  mmxRules,
  x87Rules,
];

/** By row id. */
export const ruleOfRow: readonly (Rule | undefined)[] = rows.map((row) => {
  for (const family of families) if (Object.hasOwn(family, row.lift)) return family[row.lift];
  return undefined;
});

/** By row id: 1 for rows whose rules may look at the mode. */
export const systemRows = Uint8Array.from(rows, ({ lift }) => (Object.hasOwn(systemRules, lift) ? 1 : 0));
