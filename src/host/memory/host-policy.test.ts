import { describe, expect, test } from "vitest";
import type { HostFigures } from "./host-figures.ts";
import { Chooser, frameLimitOf, judgeHost, type MachineHolding } from "./host-policy.ts";

const gib = 2 ** 30;
const mib = 2 ** 20;

/** A host of 16 GiB that has so many MiB to give. */
const host = (availableMib: number, stalled = 0): HostFigures => ({
  totalBytes: 16 * gib,
  availableBytes: availableMib * mib,
  stalled,
});
const machine = (id: string, frames: number, rest: Partial<MachineHolding> = {}): MachineHolding => ({
  id,
  frameBytes: frames * mib,
  storedBytes: 0,
  ...rest,
});

describe("pressure of the host", () => {
  test.each([
    ["plenty", host(8000), "none", 0],
    ["less than a tenth", host(1600), "some", 0],
    ["less than a twentieth", host(800), "high", 839],
    ["next to nothing", host(400), "critical", 1239],
    ["a tenth, and all wait", host(1600, 0.5), "high", 39],
    ["a sixth, and all wait", host(2700, 0.5), "some", 0],
    ["plenty, and all wait for something else", host(8000, 0.5), "none", 0],
  ])("%s", (_name, figures, level, short) => {
    const judged = judgeHost(figures, [machine("a", 1000)], undefined);
    expect([judged.level, Math.ceil(judged.shortBytes / mib)]).toEqual([level, short]);
  });

  test.each([
    [800, "none", 0],
    [950, "some", 0],
    [1100, "high", 132],
    [1300, "critical", 332],
  ])("a limit of 1000 MiB for machines that hold %d", (held, level, short) => {
    const machines = [machine("a", held - 200), machine("b", 0, { storedBytes: 200 * mib })];
    const judged = judgeHost(host(8000), machines, 1000 * mib);
    expect([judged.level, Math.ceil(judged.shortBytes / mib)]).toEqual([level, short]);
  });
});

test("machines do without in proportion to what they have, but none with less than 16 MiB", () => {
  const machines = [machine("a", 600), machine("b", 300), machine("c", 17)];
  const judgement = { level: "high", shortBytes: 91.7 * mib } as const;
  const limits = machines.map((each) => (frameLimitOf(each, machines, judgement) ?? 0) / mib);
  expect(limits.map(Math.round)).toEqual([540, 270, 16]);
  expect(frameLimitOf(machines[0], machines, { level: "some", shortBytes: 0 })).toBeUndefined();
});

test("one after the other stands still while it is critical, the largest first, and they go on in the other order", () => {
  const chooser = new Chooser();
  let machines = [machine("a", 100), machine("b", 300), machine("c", 200)];
  const events: string[] = [];
  const seconds = (from: number, to: number, level: "none" | "high" | "critical"): void => {
    for (let at = from; at < to; at++) {
      const { stop, go } = chooser.choose({ level, shortBytes: 0 }, machines, 1000 * at);
      if (stop) events.push(`${at} stop ${stop}`);
      if (go) events.push(`${at} go ${go}`);
      machines = machines.map(({ chosenAt, ...each }) => {
        if (each.id === stop) return { ...each, chosenAt: 1000 * at };
        return chosenAt === undefined || each.id === go ? each : { ...each, chosenAt };
      });
    }
  };
  seconds(100, 125, "critical");
  seconds(125, 140, "high");
  seconds(140, 160, "none");
  expect(events).toEqual(["110 stop b", "120 stop c", "145 go c", "150 go b"]);
});
