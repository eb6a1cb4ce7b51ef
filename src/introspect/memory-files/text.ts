/** What files about memory say, as text for people and for tools that read lines. */
import type { MemorySlot, MemoryStats, PageRange } from "#vm";

/** A line for each range of the guest's addresses, as /proc/iomem has them. */
export function mapLines(slots: readonly MemorySlot[]): string[] {
  return slots.map(({ gpa, bytes, name, readOnly, object }) => {
    const more = [...(readOnly ? ["read-only"] : []), ...(object ? [`kept in ${object.kind}`] : [])];
    return [`${rangeText({ gpa, bytes })} : ${name}`, ...more].join(", ");
  });
}

/** First and last address. */
export function rangeText({ gpa, bytes }: PageRange): string {
  const digits = (address: number): string => address.toString(16).padStart(10, "0");
  return `${digits(gpa)}-${digits(gpa + bytes - 1)}`;
}

/** `name value` for each number or text in a record of any depth: names are joined by dots, members of lists have numbers. */
export function valueLines(value: unknown, name = ""): string[] {
  if (typeof value !== "object" || value === null) return [`${name} ${value}`];
  return Object.entries(value).flatMap(([key, each]) => valueLines(each, name === "" ? key : `${name}.${key}`));
}

/** A line for each age: since how many milliseconds pages were not used, and how many those are. */
export function ageLines({ ages }: MemoryStats): string[] {
  return ages.sinceMs.map((since, n) => `${since} ${ages.pages[n]}`);
}

export const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");
