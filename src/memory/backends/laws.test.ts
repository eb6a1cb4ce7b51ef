import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { pageKernels } from "../../../test/page-kernels.ts";
import { nodeDiskHost } from "../../host/disk-files.ts";
import { memoryServices } from "../../host/guest-memory.ts";
import type { MemoryBacking } from "../backing.ts";
import { CompressedPages } from "./compressed.ts";
import { EncryptedPages } from "./encrypted.ts";
import { FilePages } from "./file.ts";
import { KeptPages, type KeptStats } from "./kept-pages.ts";
import { checkLaws } from "./laws.ts";
import { type MemoryObject, MemoryObjectError } from "./memory-object.ts";
import { newMemoryObject } from "./new-object.ts";
import { OverlayPages } from "./overlay.ts";
import { PersistentPages } from "./persistent.ts";
import { PlainPages } from "./plain.ts";
import { randomOf, World } from "./remote/world.ts";
import { SameFilledPages } from "./same-filled.ts";
import { SharedPages, SharedStore } from "./shared.ts";

const kernels = pageKernels();
const codec = memoryServices.codec as NonNullable<typeof memoryServices.codec>;
const newCipher = memoryServices.newCipher as NonNullable<typeof memoryServices.newCipher>;
const newFile = memoryServices.newFile as NonNullable<typeof memoryServices.newFile>;
const folder = mkdtempSync(join(tmpdir(), "memvisor-laws-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

type Make = (pageCount: number) => MemoryObject;
type Stack = (inner: MemoryObject) => MemoryObject;

const bottoms: Readonly<Record<string, Make>> = {
  plain: (pageCount) => new PlainPages(pageCount),
  compressed: (pageCount) => new CompressedPages(pageCount, { kernels }),
  "compressed, and then cold": (pageCount) => new CompressedPages(pageCount, { kernels, codec, coldAfter: 20 }),
  remote: (pageCount) => new World(randomOf(pageCount)).pages(pageCount),
  persistent: (pageCount) => {
    const file = nodeDiskHost.create(join(folder, String(files++)));
    file.resize(pageCount * 4096);
    return new PersistentPages(file);
  },
  file: (pageCount) => new FilePages(pageCount, newFile(join(folder, String(files++))), kernels),
};
const stacks: Readonly<Record<string, Stack>> = {
  zero: (inner) => new SameFilledPages(inner),
  overlay: (inner) => new OverlayPages(inner, new PlainPages(20)),
  compressed: (inner) => new CompressedPages(inner.pageCount, { kernels, codec, inner, coldAfter: 20 }),
  encrypted: (inner) => new EncryptedPages(inner, newCipher()),
  shared: (inner) => new SharedPages(inner.pageCount, new SharedStore(inner, kernels)),
};

const named = <T>(table: Readonly<Record<string, T>>): [string, T][] => Object.entries(table);
const over =
  (outer: Stack, make: Make): Make =>
  (pageCount) =>
    outer(make(pageCount));
const two = named(stacks).flatMap(([outer, stack]) => [
  ...named(bottoms).map(([inner, make]): [string, Make] => [`${outer} over ${inner}`, over(stack, make)]),
  ...named(stacks).map(([inner, below]): [string, Make] => [
    `${outer} over ${inner}`,
    over(stack, over(below, bottoms.plain)),
  ]),
]);

describe("a memory object keeps its laws", () => {
  test.each([...named(bottoms), ...two])("%s", (_, make) => {
    for (let seed = 1; seed <= 2; seed++) expect(checkLaws(make, { seed, steps: 250 })).toBeUndefined();
  });
});

/** Keeps nothing while it fails. */
class Failing extends KeptPages {
  readonly #pages = new Map<number, Uint8Array>();
  fails = false;

  constructor(pageCount: number) {
    super("failing", pageCount);
  }
  has(page: number): boolean {
    return this.#pages.has(page);
  }
  protected load(page: number, target: Uint8Array): void {
    target.set(this.#pages.get(page) as Uint8Array);
  }
  protected store(page: number, source: Uint8Array): void {
    if (this.fails) throw new MemoryObjectError("no room");
    this.#pages.set(page, source.slice());
  }
  protected drop(page: number): void {
    this.#pages.delete(page);
  }
  protected kept(): KeptStats {
    return { pagesHeld: this.#pages.size, hostBytes: 0 };
  }
}

describe("what cannot be kept harms no other page", () => {
  test.each(named(stacks))("%s over what fails", (_, stack) => {
    let failing: Failing | undefined;
    const make = (pageCount: number): MemoryObject => {
      failing = new Failing(pageCount);
      return stack(failing);
    };
    const fail = (on: boolean): void => {
      (failing as Failing).fails = on;
    };
    for (let seed = 1; seed <= 2; seed++) expect(checkLaws(make, { seed, steps: 250, fail })).toBeUndefined();
  });
});

test("the laws find an object that forgets a byte", () => {
  class Forgetful extends PlainPages {
    protected override store(page: number, source: Uint8Array): void {
      const other = source.slice();
      if (page === 7) other[100] = 0;
      super.store(page, other);
    }
  }
  expect(checkLaws((pageCount) => new Forgetful(pageCount), { seed: 1, steps: 400 })).toContain("page 7 ");
});

test("what people can name is built of these kinds", () => {
  const kindOf = (backing: MemoryBacking): string => {
    using object = newMemoryObject(backing, 16, kernels, memoryServices);
    return object.kind;
  };
  const path = join(folder, "named");
  expect(kindOf({ kind: "compressed", inner: { kind: "encrypted", inner: { kind: "file", path } } })).toBe(
    "zero:compressed:encrypted:file",
  );
  expect(kindOf({ kind: "shared", inner: { kind: "compressed" } })).toBe("zero:shared:compressed");
});
