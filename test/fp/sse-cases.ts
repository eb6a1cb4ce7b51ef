/** SSE states as test/native/fp-judge.c has them. */

/** A case as text. */
export function showSse(c: DataView): string {
  const hex = (at: number) => c.getBigUint64(at, true).toString(16).padStart(16, "0");
  return `xmm0=${hex(0)} xmm1=${hex(16)} rax=${hex(32)} mxcsr=${c.getUint32(44, true).toString(16)} flags=${c.getUint32(40, true).toString(16)} trapped=${c.getUint32(48, true)}`;
}
