/**
 * Asynchronous page faults: a task of the guest waits for a page that is far away, and the others run (Documentation/virt/kvm/x86/msr.rst,
 * MSR_KVM_ASYNC_PF_EN, _INT and _ACK).
 *
 * The guest gives each vCPU 64 bytes of its memory: u32 flags, u32 token. Where user code touches a page that does not come at once, flags
 * become 1, and it gets a page fault whose address is a token; its kernel clears flags and puts the task to sleep. When the page is here, the token
 * goes into the area, and an interrupt tells of it; the kernel wakes the task, clears the token and writes to ACK.
 *
 * Laws: a token whose fault was delivered is told of when its page is here, or all are by the one that means all; a page that somebody waits for
 * gets its frame as soon as it is here, so that nothing is asked for and never fetched. What the guest does to its area harms nobody else.
 */
import { type Gpa, gpa } from "#address";
import type { AddressSpace } from "#memory";

const enableBit = 1n;
const byInterruptBit = 8n;
const areaMask = 0xff_ffff_ffc0n;
const notPresent = 1;
const tokenOffset = 4;
/** In a token's place: all tasks that wait on this vCPU. */
const everyone = 0xffff_ffff;
/** Pages that are on their way for one vCPU; for more of them it waits. */
const mostWaiting = 32;

/** What it has of its vCPU. */
export interface AsyncFaultsHost {
  /** The runtime is to ask. */
  enable(on: boolean): void;
  interrupt(vector: number): void;
}

/** Of one vCPU. */
export class AsyncFaults {
  readonly #space: AddressSpace;
  readonly #host: AsyncFaultsHost;
  readonly #waiting = new Map<number, number>();
  /** Tokens whose pages are here. */
  #ready: number[] = [];
  #area: Gpa | undefined;
  #vector = 0;
  #lastToken = 0;
  #deferred = 0;

  constructor(space: AddressSpace, host: AsyncFaultsHost) {
    this.#space = space;
    this.#host = host;
  }

  /** Faults that did not have to wait. */
  get deferred(): number {
    return this.#deferred;
  }

  /** The guest has written EN or INT, whose values these are. */
  configure(control: bigint, vector: bigint): void {
    const area = gpa(Number(control & areaMask));
    const on = (control & (enableBit | byInterruptBit)) === (enableBit | byInterruptBit) && this.#space.isRam(area, 64);
    this.#area = on ? area : undefined;
    this.#vector = Number(vector & 0xffn);
    if (!on) {
      this.#waiting.clear();
      this.#ready = [];
    }
    this.#host.enable(on);
  }

  /** As `configure`, of a machine that goes on: what its tasks wait for nobody knows any more, and they look again. */
  resume(control: bigint, vector: bigint): void {
    this.configure(control, vector);
    if (this.#area !== undefined) this.#ready = [everyone];
  }

  /** For a fault that is to be delivered: its token; or 0, and the page is here. */
  defer(gfn: number): number {
    const area = this.#area;
    const full = this.#waiting.size >= mostWaiting;
    if (area === undefined || full || this.#space.load32(area) !== 0 || this.#space.swap.begin(gfn)) {
      this.#space.swap.bringIn(gfn);
      return 0;
    }
    // Neither 0 nor the one that means all, and below 2^31, as tokens of KVM are.
    this.#lastToken = (this.#lastToken % 0x7fff_fffe) + 1;
    this.#space.store32(area, notPresent);
    this.#waiting.set(this.#lastToken, gfn);
    this.#deferred++;
    return this.#lastToken;
  }

  /** Looks for pages that have come, and tells the guest. Called between two slices. */
  poll(): void {
    for (const [token, gfn] of this.#waiting) {
      if (!this.#space.swap.begin(gfn)) continue;
      this.#space.swap.bringIn(gfn);
      this.#waiting.delete(token);
      this.#ready.push(token);
    }
    if (this.#ready.length > 0) this.tell();
  }

  /** Tells of the next page that has come, where the guest has heard of the last one. */
  tell(): void {
    const area = this.#area;
    if (area === undefined || this.#ready.length === 0) return;
    const slot = gpa(area + tokenOffset);
    if (this.#space.load32(slot) !== 0) return;
    this.#space.store32(slot, this.#ready.shift() as number);
    this.#host.interrupt(this.#vector);
  }
}
