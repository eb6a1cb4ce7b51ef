import { expect, test } from "vitest";
import { restoreState, StateError } from "./state.ts";

const powerOn = () => ({ count: 0, time: 0n, fifo: new Uint8Array(4), added: 7 });
const saved = { count: 3, time: 9n, fifo: Uint8Array.of(1, 2, 3, 4), added: 8 };

/** What a device at power-on has after that record. */
function after(record: Parameters<typeof restoreState>[1]): object {
  const state = powerOn();
  const { fifo } = state;
  restoreState(state, record);
  expect(state.fifo).toBe(fifo);
  return state;
}

test("a record comes back whole, in the arrays that there were", () => {
  expect(after(saved)).toEqual(saved);
});

test("an older build's record leaves what it has not as at power-on, a newer one's has more", () => {
  const { added: _, ...older } = saved;
  expect(after(older)).toEqual({ ...saved, added: 7 });
  expect(after({ ...saved, later: 5 })).toEqual(saved);
});

test.each([
  ["of nothing that the device has", { other: 1 }],
  ["of another kind", { ...saved, count: 3n }],
  ["no number", { ...saved, count: Number.NaN }],
  ["of another length", { ...saved, fifo: new Uint8Array(3) }],
])("a record %s is refused, and nothing has changed", (_, record) => {
  const state = powerOn();
  expect(() => restoreState(state, record)).toThrow(StateError);
  expect(state).toEqual(powerOn());
});
