import { expect, test } from "vitest";
import { parseManifest } from "./site-manifest.ts";

const file = { path: "images/kernel", packedBytes: 1, sizeBytes: 2, sha256: "0".repeat(64) };
const image = { name: "debian", title: "Debian", kernelVersion: "6.1", kernel: file, initrd: file };

test("a manifest is taken as it was written", () => {
  const manifest = { version: 1, images: [image] };
  expect(parseManifest(manifest)).toEqual(manifest);
});

for (const [what, manifest, message] of [
  ["of another version", { version: 2, images: [image] }, "version 2"],
  ["without images", { version: 1, images: [] }, "no images"],
  ["that is none", null, "version undefined"],
  ["whose image has no initrd", { version: 1, images: [{ ...image, initrd: undefined }] }, "lacks"],
  ["whose setup header is none", { version: 1, images: [{ ...image, setupHeader: {} }] }, "lacks"],
  ["with a checksum that is none", { version: 1, images: [{ ...image, kernel: { ...file, sha256: "?" } }] }, "lacks"],
] as const) {
  test(`a manifest ${what} is refused`, () => expect(() => parseManifest(manifest)).toThrow(message));
}
