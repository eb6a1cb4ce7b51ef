/**
 * Pages on page servers elsewhere. Reading one waits for it, and writing one for room on the way; a page on its way counts as kept, and is
 * read back from there.
 *
 * Law: what was written is read, or the machine waits, or it ends with an error that names the page. While no server is there,
 * the machine waits.
 */
import { KeptPages, type KeptStats } from "../kept-pages.ts";
import { MemoryObjectError } from "../memory-object.ts";
import { PageBits } from "../page-bits.ts";
import { type FarLine, head, parse, states, toMachine, toService } from "./line.ts";
import type { ReplicaEvent } from "./replicas.ts";

/** Pages that were asked for ahead of their use. */
const mostAhead = 64;

export class RemotePages extends KeptPages {
  readonly #line: FarLine;
  readonly #onEvent: (event: ReplicaEvent) => void;
  readonly #held: PageBits;
  /** Asked for; undefined: not here yet. */
  readonly #ahead = new Map<number, Uint8Array | MemoryObjectError | undefined>();
  /** Of these, those of `begin`. */
  readonly #begun = new Set<number>();
  #flushed = 0;
  #waits = 0;

  constructor(pageCount: number, line: FarLine, onEvent: (event: ReplicaEvent) => void) {
    super("remote", pageCount);
    this.#line = line;
    this.#onEvent = onEvent;
    this.#held = new PageBits(pageCount);
    line.onMessage = (message) => this.#receive(message);
  }

  has(page: number): boolean {
    return this.#held.has(page);
  }

  /** Asks for a page before it is needed; true when reading it does not wait. */
  begin(page: number): boolean {
    if (!this.has(page) || this.#ahead.get(page) !== undefined) return true;
    if (this.#ahead.has(page) || this.#ahead.size >= mostAhead) return false;
    if (!this.#line.send(head(toService.read, page))) return false;
    this.#ahead.set(page, undefined);
    this.#begun.add(page);
    return false;
  }

  override flush(): void {
    const before = this.#flushed;
    this.#send(head(toService.flush));
    while (this.#flushed === before) this.#line.wait();
  }

  protected load(page: number, target: Uint8Array): void {
    if (!this.#ahead.has(page)) {
      this.#send(head(toService.read, page));
      this.#ahead.set(page, undefined);
    }
    let found = this.#ahead.get(page);
    for (; found === undefined; found = this.#ahead.get(page)) {
      this.#waits++;
      this.#line.wait();
    }
    this.#ahead.delete(page);
    if (found instanceof MemoryObjectError) throw found;
    target.set(found);
  }

  protected store(page: number, source: Uint8Array): void {
    this.#forget(page);
    this.#send(head(toService.write, page), source);
    this.#held.set(page, true);
  }

  protected drop(page: number): void {
    this.#forget(page);
    this.#send(head(toService.punch, page, 1));
    this.#held.set(page, false);
  }

  protected override resized(pageCount: number): void {
    this.#held.resize(pageCount);
  }

  protected kept(): KeptStats {
    return { pagesHeld: this.#held.count, hostBytes: this.#held.hostBytes, own: { waits: this.#waits } };
  }

  /** What was asked for ahead of a change is not the page any more; its answer is still to come. */
  #forget(page: number): void {
    if (!this.#ahead.has(page)) return;
    while (this.#ahead.get(page) === undefined) this.#line.wait();
    this.#ahead.delete(page);
  }

  #arrived(page: number, found: Uint8Array | MemoryObjectError): void {
    this.#ahead.set(page, found);
    if (this.#begun.delete(page)) this.tell({ type: "ready", page });
  }

  #send(...parts: readonly Uint8Array[]): void {
    while (!this.#line.send(...parts)) this.#line.wait();
  }

  #receive(message: Uint8Array): void {
    const { kind, first, bytes } = parse(message);
    switch (kind) {
      case toMachine.page:
        return this.#arrived(first, bytes);
      case toMachine.lost:
        return this.#arrived(first, new MemoryObjectError(`remote memory: ${new TextDecoder().decode(bytes)}`));
      case toMachine.flushed:
        this.#flushed++;
        return;
      default:
        this.#onEvent({ state: states[first] ?? "gone", text: new TextDecoder().decode(bytes) });
    }
  }
}
