import { expect, test } from "vitest";
import { MachineClock } from "./machine-clock.ts";

function scene() {
  let now = 0;
  const log: string[] = [];
  const clock = new MachineClock(
    () => now,
    () => log.push("earlier"),
  );
  const alarm = (name: string) => clock.alarm(() => log.push(name));
  return { clock, log, alarm, pass: (ns: number) => (now += ns) };
}

test("alarms ring in the order of their times, when they are due", () => {
  const { clock, log, alarm, pass } = scene();
  alarm("late").set(20);
  alarm("soon").set(10);
  alarm("later").set(30);
  clock.ringDue();
  expect([log.splice(0), clock.next()]).toEqual([[], 10]);
  pass(20);
  clock.ringDue();
  expect([log, clock.next()]).toEqual([["soon", "late"], 30]);
});

test("skipped time is time that has passed, and none goes back", () => {
  const { clock, pass } = scene();
  clock.skipTo(100);
  pass(5);
  expect(clock.now()).toBe(105);
  clock.skipTo(50);
  expect(clock.now()).toBe(105);
});

test("an alarm for a time before the awaited one is told at once, and no other", () => {
  const { clock, log, alarm } = scene();
  const timer = alarm("timer");
  timer.set(10);
  clock.await(50);
  timer.set(60);
  timer.set(undefined);
  expect(log).toEqual([]);
  timer.set(40);
  expect(log).toEqual(["earlier"]);
  clock.await();
  timer.set(1);
  expect(log).toEqual(["earlier"]);
});
