/**
 * Guests that look for what is not theirs. Each fills pages with its canary and looks at pages, all at random, and notes whose canaries it
 * has seen: these may only be its own, and those that it had when it was forked or saved.
 *
 * Between any two slices frames go from one to the next, in every way there is.
 */
import { gpa, pageSize } from "#address";
import { plugBytes } from "#memory";
import { readSnapshot, writeSnapshot } from "#snapshot";
import { hex } from "./guest-code.ts";
import { memorySink } from "./memory-sink.ts";
import { type TinyMachine, tinyMachine } from "./tiny-machine.ts";

const mib = 2 ** 20;
/** What the guest looks at: 16 MiB. */
const regionBase = 32 * mib;
const pages = 4096;
/** A bit for each canary that the guest has seen. */
const seenAt = 24 * mib;
/** The low half of every canary, the number of which is the upper one. What is neither that nor zero is noted as number 0. */
const magic = 0x5eed_c0den;

/** R8: the canary. R9: pages looked at. R11: random numbers (a linear congruential generator). */
const looker = hex(`
  bc 0000f001              ; mov $0x1f00000,%esp
  4d69db 0d661900          ; 1: imul $0x19660d,%r11,%r11
  4981c3 5ff36e3c          ; add $0x3c6ef35f,%r11
  4c89df                   ; mov %r11,%rdi
  48c1ef 14                ; shr $20,%rdi
  81e7 ff0f0000            ; and $0xfff,%edi
  c1e7 0c                  ; shl $12,%edi
  81c7 00000002            ; add $0x2000000,%edi
  49ffc1                   ; inc %r9
  488b07                   ; mov (%rdi),%rax
  e8 22000000              ; call 2
  488b87 f80f0000          ; mov 0xff8(%rdi),%rax
  e8 16000000              ; call 2
  41f7c3 00008007          ; test $0x7800000,%r11d    one in 16 is written
  75bc                     ; jne 1
  4c89c0                   ; mov %r8,%rax
  b9 00020000              ; mov $512,%ecx
  f348ab                   ; rep stos %rax,(%rdi)
  ebaf                     ; jmp 1
  4885c0                   ; 2: test %rax,%rax
  7418                     ; je 4
  4889c3                   ; mov %rax,%rbx
  48c1eb 20                ; shr $32,%rbx
  3d dec0ed5e              ; cmp $0x5eedc0de,%eax
  7402                     ; je 3
  31db                     ; xor %ebx,%ebx
  0fab1c25 00008001        ; 3: bts %ebx,0x1800000
  c3                       ; 4: ret
`);

/** How frames go from one machine to another. */
export const recyclings = [
  "a fork begins",
  "a machine begins in the room",
  "a machine ends",
  "pages are evicted",
  "free pages are reported, or ballooned",
  "memory is plugged out",
  "the host takes free frames",
  "a machine is restored",
] as const;
type Recycling = (typeof recyclings)[number];

interface Member {
  readonly tiny: TinyMachine;
  /** Canaries that it may see. */
  readonly own: Set<number>;
  icount: bigint;
}

const mostMembers = 6;
const canaryOf = (number: number): bigint => (BigInt(number) << 32n) | magic;

export class CanaryFamily {
  readonly counts = Object.fromEntries(recyclings.map((each) => [each, 0])) as Record<Recycling, number>;
  /** Canaries of others, as text. */
  readonly foreign: string[] = [];
  readonly #next: () => number;
  /** Never runs: what is forked from it begins anew. */
  readonly #clean: TinyMachine;
  #members: Member[] = [];
  #canaries = 0;
  #looked = 0n;

  /** `next`: numbers from 0 to 1. */
  constructor(next: () => number) {
    this.#next = next;
    this.#clean = this.#machine();
    this.#join({ tiny: this.#clean.fork(), own: new Set(), icount: 0n });
    this.#join({ tiny: this.#clean.fork(), own: new Set(), icount: 0n });
  }

  /** Pages that guests have looked at. */
  get looked(): bigint {
    return this.#members.reduce((sum, { tiny }) => sum + tiny.machine.parts.vcpu.register(9), this.#looked);
  }

  /** One recycling, and a slice of each machine. */
  step(): void {
    const kind = recyclings[this.#below(recyclings.length)];
    if (this.#recycle(kind, this.#members[this.#below(this.#members.length)])) this.counts[kind]++;
    for (const member of this.#members) {
      member.icount += BigInt(1 + this.#below(40_000));
      member.tiny.machine.runUntil(member.icount);
      this.#check(member);
    }
  }

  /** Whether it was possible. */
  #recycle(kind: Recycling, member: Member): boolean {
    const { memory } = member.tiny.machine.parts;
    const room = this.#members.length < mostMembers;
    switch (kind) {
      case "a fork begins": {
        if (!room) return false;
        this.#join({ ...member, tiny: member.tiny.fork(), own: new Set(member.own) });
        this.#rename(member);
        return true;
      }
      case "a machine begins in the room":
        if (room) this.#join({ tiny: this.#clean.fork(), own: new Set(), icount: 0n });
        return room;
      case "a machine ends":
        if (this.#members.length < 2) return false;
        this.#looked += member.tiny.machine.parts.vcpu.register(9);
        this.#members = this.#members.filter((each) => each !== member);
        member.tiny.machine[Symbol.dispose]();
        return true;
      case "pages are evicted":
        return memory.swap.evict(this.#somePages()) > 0;
      case "free pages are reported, or ballooned":
        return memory.release(this.#somePages()) > 0;
      case "memory is plugged out":
        return this.#plug(member);
      case "the host takes free frames":
        // Twice: what has been free for some time goes.
        for (let n = 0; n < 2; n++) member.tiny.machine.memory.look((this.#now += 1e9), true);
        return true;
      case "a machine is restored":
        if (room) this.#join({ ...member, tiny: this.#restored(member), own: new Set(member.own) });
        return room;
    }
  }

  #now = 1e12;

  /** Some of them next to each other, some not. */
  #somePages(): number[] {
    const first = this.#below(pages);
    const stride = this.#below(2) === 0 ? 1 : 7;
    return Array.from({ length: this.#below(512) }, (_, n) => regionBase / pageSize + ((first + n * stride) % pages));
  }

  /** Devices write there, and find zeros when it is plugged in again. */
  #plug({ tiny, own }: Member): boolean {
    const { memory } = tiny.machine.parts;
    const slot = memory.memslots.find(({ pluggable }) => pluggable);
    if (slot === undefined) return false;
    memory.plug(slot.gpa, plugBytes);
    const bytes = new Uint8Array(plugBytes);
    memory.read(slot.gpa, bytes);
    if (bytes.some((byte) => byte !== 0)) this.foreign.push("what was plugged in is not zeros");
    const canary = new BigUint64Array(bytes.buffer).fill(canaryOf(Math.max(...own)));
    memory.write(slot.gpa, new Uint8Array(canary.buffer));
    return memory.unplug(slot.gpa, plugBytes);
  }

  #restored({ tiny }: Member): TinyMachine {
    const { sink, bytes } = memorySink();
    writeSnapshot(tiny.machine, {}, sink);
    const file = bytes();
    const snapshot = readSnapshot({
      name: "canaries",
      sizeBytes: file.length,
      read: (offset, target) => {
        const part = file.subarray(offset, offset + target.length);
        target.set(part);
        return part.length;
      },
    });
    return this.#machine(snapshot.resume);
  }

  #machine(resume?: Parameters<typeof tinyMachine>[2]): TinyMachine {
    const discard = (memory: WebAssembly.Memory, at: number, bytes: number): boolean => {
      new Uint8Array(memory.buffer, at, bytes).fill(0);
      return true;
    };
    const config = { memoryBytes: 64 * mib, memoryMaxBytes: 80 * mib, memoryBacking: { kind: "plain" } } as const;
    return tinyMachine(looker, { ...config, engine: { hotThreshold: 50 } }, resume, { discard });
  }

  #join(member: Member): void {
    member.tiny.machine.parts.vcpu.setRegister(9, 0n);
    member.tiny.machine.parts.vcpu.setRegister(11, BigInt(this.#below(2 ** 30)));
    this.#rename(member);
    this.#members.push(member);
  }

  /** It has a canary that nobody else ever had. */
  #rename({ tiny, own }: Member): void {
    own.add(++this.#canaries);
    tiny.machine.parts.vcpu.setRegister(8, canaryOf(this.#canaries));
  }

  #check({ tiny, own }: Member): void {
    const seen = new Uint8Array((this.#canaries >> 3) + 1);
    tiny.machine.parts.memory.read(gpa(seenAt), seen);
    for (let number = 0; number <= this.#canaries; number++)
      if ((seen[number >> 3] & (1 << (number & 7))) !== 0 && !own.has(number))
        this.foreign.push(`canary ${number} in a machine of ${[...own].join(", ")}`);
  }

  #below(bound: number): number {
    return Math.floor(this.#next() * bound);
  }
}
