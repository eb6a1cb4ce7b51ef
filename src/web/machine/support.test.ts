import { expect, test } from "vitest";
import { hasX86MemoryOrder, whatIsMissing } from "./support.ts";

test("a processor is known by the sign of its NaN", () => {
  expect(hasX86MemoryOrder()).toBe(["x64", "ia32"].includes(process.arch));
});

test("a page that came by plain http is told to come by https", () => {
  expect(whatIsMissing()).toEqual(["This page came over plain http. Open it by https, or from localhost."]);
});
