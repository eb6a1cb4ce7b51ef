/**
 * Plain data as JSON and back: numbers, texts, lists and records as JSON has them, 64-bit integers as {"n": "decimal"},
 * bytes as {"b": "hex"}.
 */
export type Value =
  | number
  | string
  | boolean
  | bigint
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value };

export class ValueError extends Error {
  override name = "ValueError";
}

export function printValue(value: Value): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === "bigint") return { n: String(each) };
    if (each instanceof Uint8Array) return { b: hexOf(each) };
    return each;
  });
}

/** Throws `ValueError` for a text that `printValue` does not give. */
export function parseValue(text: string): Value {
  try {
    return JSON.parse(text, (_, each: unknown) => {
      if (typeof each !== "object" || each === null || Array.isArray(each)) return each;
      const [name, ...others] = Object.keys(each);
      if (others.length > 0) return each;
      const only = (each as Record<string, unknown>)[name];
      if (name === "n" && typeof only === "string" && /^-?\d{1,20}$/.test(only)) return BigInt(only);
      if (name === "b" && typeof only === "string" && /^(?:[0-9a-f]{2})*$/.test(only)) return bytesOf(only);
      return each;
    }) as Value;
  } catch (error) {
    throw new ValueError(error instanceof Error ? error.message : String(error));
  }
}

const hexBytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => hexBytes[byte]).join("");

const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from({ length: hex.length / 2 }, (_, n) => Number.parseInt(hex.slice(2 * n, 2 * n + 2), 16));
