import { expect, test } from "vitest";
import { type Pressure, PressureGauge } from "./pressure.ts";

test("pressure rises at once, and falls after two seconds to the worst of them", () => {
  const gauge = new PressureGauge();
  const readings: [at: number, now: Pressure, told: Pressure][] = [
    [0, "some", "some"],
    [0.1, "critical", "critical"],
    [1, "none", "critical"],
    [2, "some", "critical"],
    [2.9, "none", "critical"],
    [3, "none", "some"],
    [3.1, "none", "some"],
    [4, "some", "some"],
    [5.5, "none", "some"],
    [7.4, "none", "some"],
    [7.5, "none", "none"],
  ];
  const told = readings.map(([at, now]) => {
    gauge.read(now, at * 1e9);
    return gauge.level;
  });
  expect(told).toEqual(readings.map(([, , level]) => level));
});
