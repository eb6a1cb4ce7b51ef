import { expect, test } from "vitest";
import { gpa } from "#address";
import { generationGsi, generationIdAddress } from "../memory-map.ts";
import { newTestPlatform } from "../test-platform.ts";
import { FlatMemory } from "../virtio/test-driver.ts";
import { GenerationId } from "./device.ts";

const vector = 0x40;

/** The IOAPIC's entry of the generation ID's interrupt, edge-triggered, to CPU 0. */
function enable({ platform }: ReturnType<typeof newTestPlatform>): void {
  const { ioapic, lapics } = platform;
  ioapic.writeMmio(0, 4, 0x10 + 2 * generationGsi);
  ioapic.writeMmio(0x10, 4, vector);
  lapics[0].writeMmio(0xf0, 4, 0x1ff);
}

test("each renewal is another ID and one interrupt; the first ID is none", () => {
  const t = newTestPlatform();
  enable(t);
  const memory = new FlatMemory(1 << 20);
  let fill = 1;
  const random = (target: Uint8Array): void => void target.fill(fill++);
  const generation = new GenerationId(memory, t.platform.gsi(generationGsi));
  const state = (): unknown[] => {
    const id = new Uint8Array(17);
    memory.read(gpa(generationIdAddress), id);
    return [[...id], t.platform.lapics[0].pendingVector()];
  };
  generation.begin(random);
  expect(state()).toEqual([[...Array(16).fill(1), 0], -1]);
  for (const n of [2, 3]) {
    generation.renew(random);
    expect(state()).toEqual([[...Array(16).fill(n), 0], vector]);
    expect(t.platform.lapics[0].acknowledge()).toBe(vector);
    t.platform.lapics[0].writeMmio(0xb0, 4, 0);
  }
});
