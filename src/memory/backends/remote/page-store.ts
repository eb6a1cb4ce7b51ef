/** What a page server keeps pages in. An object is named by 16 bytes in hexadecimal. */
import { pageSize } from "#address";
import { Slots } from "../slots.ts";
import type { KeptPage } from "./protocol.ts";

export interface PageStore {
  /** Another one when pages were lost. */
  readonly instance: Uint8Array;
  readonly pagesHeld: number;
  /** Keeps the newest version of a page. False, and what was there stays, where there is no room. */
  write(object: string, page: number, kept: KeptPage): boolean;
  /** Bytes that are the caller's. They may be damaged: then they are not what their check says. */
  read(object: string, page: number): KeptPage | undefined;
  punch(object: string, first: number, count: number): void;
  drop(object: string): void;
  /** The objects of which there are pages. */
  readonly objects: Iterable<string>;
  close(): void;
}

interface Place {
  slot: number;
  version: number;
  check: number;
}

/** Pages in memory, gone with the process. */
export class MemoryPageStore implements PageStore {
  readonly instance: Uint8Array;
  readonly #most: number;
  readonly #slots = new Slots(pageSize);
  readonly #objects = new Map<string, Map<number, Place>>();

  /** `instance`: 16 random bytes. */
  constructor(instance: Uint8Array, mostPages: number) {
    this.instance = instance;
    this.#most = mostPages;
  }

  get pagesHeld(): number {
    return this.#slots.taken;
  }

  get objects(): Iterable<string> {
    return this.#objects.keys();
  }

  write(object: string, page: number, { version, check, bytes }: KeptPage): boolean {
    const pages = this.#objects.get(object) ?? new Map<number, Place>();
    const place = pages.get(page);
    if (place !== undefined && place.version > version) return true;
    if (place === undefined && this.pagesHeld >= this.#most) return false;
    const slot = place?.slot ?? this.#slots.take();
    this.#slots.bytes(slot).set(bytes);
    pages.set(page, { slot, version, check });
    this.#objects.set(object, pages);
    return true;
  }

  read(object: string, page: number): KeptPage | undefined {
    const place = this.#objects.get(object)?.get(page);
    return place && { version: place.version, check: place.check, bytes: this.#slots.bytes(place.slot).slice() };
  }

  punch(object: string, first: number, count: number): void {
    const pages = this.#objects.get(object);
    if (pages === undefined) return;
    // A hole may be much larger than what is there.
    const inHole =
      count > pages.size
        ? [...pages.keys()].filter((page) => page >= first && page < first + count)
        : Array.from({ length: count }, (_, n) => first + n);
    for (const page of inHole) {
      const place = pages.get(page);
      if (place !== undefined) this.#slots.give(place.slot);
      pages.delete(page);
    }
    if (pages.size === 0) this.#objects.delete(object);
  }

  drop(object: string): void {
    for (const { slot } of this.#objects.get(object)?.values() ?? []) this.#slots.give(slot);
    this.#objects.delete(object);
  }

  close(): void {
    this.#objects.clear();
  }
}
