/**
 * A bare guest for tests of the engine: identity-mapped memory without paging, 64-bit supervisor code at `codeBase`, exceptions caught.
 */
import { readFileSync } from "node:fs";
import { gpa } from "#address";
import { type EngineHost, TranslatingEngine, type TranslatingOptions, type VmExit } from "#engine";
import type { Passes } from "#jit";
import { AddressSpace, Arena } from "#memory";
import type { Vcpu } from "#vcpu";

export const codeBase = 0x10_0000;
export const dataBase = 0x20_0000;
const stackTop = 0x30_0000;

/** Built by `npm run build:runtime`. */
export const runtimeWasm = (): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL("../dist/runtime.wasm", import.meta.url)));

/** Bytes from hex digits; blanks and `;` comments to the end of the line do not count. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/;.*$/gm, "").replace(/\s/g, "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, n) => Number.parseInt(digits.slice(2 * n, 2 * n + 2), 16));
}

export interface Guest {
  readonly arena: Arena;
  readonly engine: TranslatingEngine;
  readonly vcpu: Vcpu;
  readonly memory: AddressSpace;
  /** Runs until `icount` instructions in all have retired or something happens. */
  run(icount?: bigint): VmExit;
  readonly missing: string[];
}

export interface GuestOptions {
  readonly hotThreshold?: number;
  readonly exact?: boolean;
  /** Of memory; 16 MiB if not said. */
  readonly bytes?: number;
  readonly passes?: Passes;
  readonly startEmitter?: TranslatingOptions["startEmitter"];
  readonly host?: Partial<EngineHost>;
}

const silentHost: EngineHost = {
  readMmio: () => 0xffff_ffff,
  writeMmio: () => {},
  readPort: () => 0xffff_ffff,
  writePort: () => {},
  readMsr: () => undefined,
  writeMsr: () => false,
  cpuid: () => [0, 0, 0, 0],
  readTsc: () => 0n,
  random64: () => 4n,
  writeCr8: () => {},
  tscChanged: () => {},
  interruptPending: () => false,
  acknowledgeInterrupt: () => -1,
  initialized: () => {},
  missingInstruction: () => {},
  notCompiled: (why) => {
    throw new Error(why);
  },
};

export function guest(code: Uint8Array, options: GuestOptions = {}): Guest {
  const missing: string[] = [];
  const arena = new Arena();
  const host = { ...silentHost, missingInstruction: (mnemonic: string) => missing.push(mnemonic), ...options.host };
  const engine = new TranslatingEngine({
    arena,
    runtimeWasm: runtimeWasm(),
    host,
    exact: options.exact ?? true,
    catchFaults: true,
    hotThreshold: options.hotThreshold ?? Number.POSITIVE_INFINITY,
    ...(options.passes && { passes: options.passes }),
    ...(options.startEmitter && { startEmitter: options.startEmitter }),
  });
  const memory = new AddressSpace(arena, engine.runtime, [{ gpa: gpa(0), sizeBytes: options.bytes ?? 16 << 20 }]);
  const vcpu = engine.createVcpu(0, memory.header);
  // No paging; long mode's code segment all the same, which is all that the mode bits look at.
  vcpu.setU64("EFER", 0x500n);
  vcpu.setU64("EFLAGS", 2n);
  vcpu.setU64("DIRECTION", 1n);
  vcpu.setU32("SEG_FLAGS", 0xa09b, 1);
  vcpu.setU64("RIP", BigInt(codeBase));
  vcpu.setRegister(4, BigInt(stackTop));
  memory.write(gpa(codeBase), code);
  engine.runtime.update_mode(vcpu.vp);
  return { arena, engine, vcpu, memory, missing, run: (icount = 1n << 40n) => engine.run(vcpu, icount) };
}

/** Paging, long mode's: the first 4 MiB as they are, and after them what these page-table entries, which lie at 0x304000, map. */
export function mapPages({ memory, vcpu, engine }: Guest, ...pages: readonly bigint[]): void {
  const entries = (at: number, ...values: readonly bigint[]): void => {
    memory.write(gpa(at), new Uint8Array(new BigUint64Array(values).buffer));
  };
  entries(0x301000, 0x302003n);
  entries(0x302000, 0x303003n);
  entries(0x303000, 0x83n, 0x200083n, 0x304003n);
  entries(0x304000, ...pages);
  vcpu.setU64("CR4", 0x20n);
  vcpu.setU64("CR3", 0x301000n);
  vcpu.setU64("CR0", 0x80000001n);
  engine.runtime.update_mode(vcpu.vp);
}
