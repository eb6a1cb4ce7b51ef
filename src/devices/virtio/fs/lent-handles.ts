/**
 * Files that the guest has open and the service lends: their reads and writes are done on the spot.
 *
 * A request lies in memory that other vCPUs may change meanwhile: so it is read once, and what the service reads of it counts for
 * nothing here. In particular it is the service that says when a file is closed.
 */
import type { DeviceMemory } from "#memory";
import type { LentFile } from "../../io/index.ts";
import { sliceRanges } from "../chain.ts";
import type { Chain } from "../device.ts";
import { inHeaderBytes, opcode, outHeaderBytes, writeArgumentBytes } from "./protocol.ts";
import { answerHeader, writeReply } from "./reply.ts";
import { type Header, parseHeader, parseRequest } from "./request.ts";
import type { LentHandle } from "./wire.ts";

const headBytes = inHeaderBytes + writeArgumentBytes;

interface Extent {
  readonly offset: number;
  readonly size: number;
}

interface Lent {
  readonly node: number;
  readonly file: LentFile;
}

export class LentHandles {
  readonly #memory: DeviceMemory;
  readonly #byHandle = new Map<number, Lent>();
  readonly #handles = new Map<number, number>();
  readonly #head = new Uint8Array(headBytes);

  constructor(memory: DeviceMemory) {
    this.#memory = memory;
  }

  add({ handle, node, file: number }: LentHandle, file: LentFile): void {
    this.#byHandle.set(handle, { node, file });
    this.#handles.set(number, handle);
  }

  clear(): void {
    this.#byHandle.clear();
    this.#handles.clear();
  }

  /** The file is not used any more. */
  drop(number: number): void {
    this.#byHandle.delete(this.#handles.get(number) ?? -1);
    this.#handles.delete(number);
  }

  /**
   * Does what a chain asks for, and gives the length of the answer; undefined where that is the service's. `mostBytes`: to be
   * read or written at most.
   */
  answer(chain: Chain, mostBytes: number): { readonly moved: number; readonly length: number } | undefined {
    if (this.#byHandle.size === 0 || chain.writableBytes < outHeaderBytes) return undefined;
    if (chain.read(0, this.#head) < headBytes) return undefined;
    const header = parseHeader(this.#head);
    if (header.opcode !== opcode.read && header.opcode !== opcode.write) return undefined;
    const request = parseRequest(header, this.#head);
    if ((request.kind !== "read" && request.kind !== "write") || request.size > mostBytes) return undefined;
    const lent = this.#byHandle.get(request.handle);
    if (lent?.node !== header.node || request.offset < 0 || !lent.file.isQuick) return undefined;
    const moved =
      request.kind === "read" ? this.#read(chain, lent, request) : this.#write(chain, lent, header, request);
    if (moved === undefined) return undefined;
    const body = request.kind === "write" ? writeReply(moved) : undefined;
    const length = outHeaderBytes + (body?.length ?? moved);
    if (body !== undefined) chain.write(outHeaderBytes, body);
    chain.write(0, answerHeader(length, 0, header.unique));
    return { moved, length };
  }

  #read(chain: Chain, { file }: Lent, { offset, size }: Extent): number | undefined {
    const targets = sliceRanges(chain.writable, outHeaderBytes, Math.min(size, chain.writableBytes - outHeaderBytes));
    return this.#memory.access(targets, true, (pieces) => file.read(offset, pieces));
  }

  #write(chain: Chain, { file }: Lent, header: Header, { offset, size }: Extent): number | undefined {
    const whole = headBytes + size;
    const room = outHeaderBytes + writeReply(0).length;
    if (header.length < whole || chain.readableBytes < header.length || chain.writableBytes < room) return undefined;
    const sources = sliceRanges(chain.readable, headBytes, size);
    return this.#memory.access(sources, false, (pieces) => file.write(offset, pieces));
  }
}
