import { expect, test } from "vitest";
import { EscapeKeys } from "./escape-keys.ts";

/** What comes of typing: text for the guest joined, commands in brackets. */
function typed(...pieces: string[]): string {
  const keys = new EscapeKeys();
  const show = (part: Uint8Array | string) => (typeof part === "string" ? `[${part}]` : String.fromCharCode(...part));
  return pieces.flatMap((piece) => [...keys.feed(Uint8Array.from(piece, (c) => c.charCodeAt(0)))].map(show)).join("");
}

test("plain keys go to the guest", () => expect(typed("ls\r", "\x03")).toBe("ls\r\x03"));
test("Ctrl-A x quits, wherever the bytes are cut", () => {
  expect([typed("a\x01xb"), typed("a\x01", "xb")]).toEqual(["a[quit]b", "a[quit]b"]);
});
test("Ctrl-A h and Ctrl-A ? help", () => expect(typed("\x01h\x01?")).toBe("[help][help]"));
test("Ctrl-A is sent by Ctrl-A Ctrl-A and by Ctrl-A a", () => expect(typed("\x01\x01\x01a")).toBe("\x01\x01"));
test("Ctrl-A and another key go to the guest, both", () => expect(typed("\x01k")).toBe("\x01k"));
