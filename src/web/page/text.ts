/** Numbers and ends as a person reads them. */
import type { VmEnd } from "#control";

const units = ["B", "KiB", "MiB", "GiB"] as const;

/** "12.3 MiB": three digits at most, four below a unit's end. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const whole = unit === 0 || value >= 100 || Number.isInteger(value);
  return `${whole ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** "1.2 k", "34 M": for rates and counters. */
export function countText(count: number): string {
  for (const [size, name] of [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (count >= size) return `${roundText(count / size)} ${name}`;
  }
  return roundText(count);
}

const roundText = (value: number): string =>
  Number.isInteger(value) || value >= 100 ? value.toFixed(0) : value.toFixed(1);

/** "1:02:03", "4:05". */
export function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = `${Math.floor(seconds / 60) % 60}:${two(seconds % 60)}`;
  return seconds < 3600 ? minutes : `${Math.floor(seconds / 3600)}:${minutes.padStart(5, "0")}`;
}

export function endText({ reason }: VmEnd): string {
  const texts: Record<VmEnd["reason"], string> = {
    poweroff: "The guest powered off.",
    reset: "The guest was reset.",
    panic: "The guest's kernel panicked.",
    timeout: "The time was up.",
    stopped: "Stopped.",
    error: "memvisor failed.",
  };
  return texts[reason];
}
