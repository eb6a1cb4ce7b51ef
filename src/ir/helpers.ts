/**
 * Runtime helpers that the IR's `call` reaches: functions of the Wasm runtime with the signature
 * `(vp: i32, a: i32, b: i32, imm: i32) → i32`, where nonzero leaves at the instruction's start (for the reason in LEAVE).
 *
 * `touches` declares what a helper reads or writes of the state that compiled code keeps in locals:
 * g general registers, t TEMP, f arithmetic flags, x XMM and VTEMP. Everything else lives in the record at all times.
 * Helpers that answer nonzero have changed nothing architectural, but for what `again` allows.
 */
export interface HelperRow {
  readonly name: string;
  readonly touches: string;
}

const table = {
  // Filled by the instruction families: name → touches.
  // Integer: runtime/integer.ts.
  div: "gt",
  idiv: "gt",
  crc32: "gt",
  decimal: "gt",
  locked_neg: "t",
  cmpxchg16b: "gt",
  fence: "",
  // Flags: runtime/system.
  sys_popf: "tf",
  // Strings: runtime/string.ts.
  rep_movs: "g",
  rep_cmps: "gf",
  rep_stos: "g",
  rep_lods: "g",
  rep_scas: "gf",
} as const satisfies Record<string, string>;

export type HelperName = keyof typeof table;
export const helperRows: readonly HelperRow[] = Object.entries<string>(table).map(([name, touches]) => ({ name, touches }));
export const Helper = Object.fromEntries(helperRows.map((row, n) => [row.name, n])) as Record<HelperName, number>;
