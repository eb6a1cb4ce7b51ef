/** A platform on a hand-moved clock, which notes what it tells the world. For tests. */
import { ManualClock } from "./manual-clock.ts";
import { Platform } from "./platform.ts";

export interface TestPlatform {
  readonly platform: Platform;
  readonly clock: ManualClock;
  readonly log: string[];
  /** What each UART sent, as text. */
  readonly sent: string[];
}

/** 2026-11-21 12:34:56 UTC, plus guest time. */
export const testEpochMs = Date.UTC(2026, 10, 21, 12, 34, 56);

export function newTestPlatform(cpus = 1, clock = new ManualClock()): TestPlatform {
  const log: string[] = [];
  const sent = ["", "", "", ""];
  const platform = new Platform({
    clock,
    cpus,
    tscFrequencyHz: 2e9,
    signals: (cpu) => ({
      onPending: () => {},
      onNmi: () => void log.push(`cpu${cpu} nmi`),
      onInit: () => void log.push(`cpu${cpu} init`),
      onStartup: (vector) => void log.push(`cpu${cpu} startup ${vector}`),
    }),
    wallClock: () => testEpochMs + clock.now() / 1e6,
    serial: sent.map((_, n) => ({
      onTransmit: (bytes: Uint8Array) => {
        sent[n] += String.fromCharCode(...bytes);
      },
      onReceiveSpace: () => void log.push(`com${n + 1} space`),
    })),
    power: { onPowerOff: () => void log.push("off"), onReset: () => void log.push("reset") },
  });
  platform.powerOn();
  return { platform, clock, log, sent };
}
