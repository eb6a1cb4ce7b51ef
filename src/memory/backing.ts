/**
 * Which memory object is to keep what is evicted, as plain data and as people write it: `compressed`, `file:PATH`,
 * `encrypted:file:PATH`; the outer one first.
 */
export type MemoryBacking =
  | { readonly kind: "plain" }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "compressed" | "encrypted" | "shared"; readonly inner?: MemoryBacking };

export const backingWords =
  "compressed, encrypted, shared, plain or file:PATH; or one in another, such as encrypted:file:PATH";

/** Undefined for what is none. */
export function parseBacking(text: string): MemoryBacking | undefined {
  const colon = text.indexOf(":");
  const kind = colon < 0 ? text : text.slice(0, colon);
  const rest = colon < 0 ? undefined : text.slice(colon + 1);
  switch (kind) {
    case "plain":
      return rest === undefined ? { kind } : undefined;
    case "file":
      return rest ? { kind, path: rest } : undefined;
    case "compressed":
    case "encrypted":
    case "shared": {
      if (rest === undefined) return { kind };
      const inner = parseBacking(rest);
      return inner && { kind, inner };
    }
    default:
      return undefined;
  }
}
