/**
 * The vCPU record: everything one virtual CPU is, as bytes with a layout (third law of the design).
 *
 * A vCPU owns one *area* of the arena: the record, then its TLBs, then its caches of code addresses, at fixed offsets, so that one
 * address (`vp`, the area's start) reaches all of them and translated code belongs to no vCPU in particular.
 * IR operands are byte offsets into the record; the accessors of the TypeScript side, the constants of the Wasm
 * runtime, digests and dumps are all derived from this one table.
 *
 * Laws:
 * - `ZERO` always holds 0. General registers hold their full 64 bits in every mode.
 * - `RIP` is the address of the next instruction whenever no translated code runs; inside a block it is the address of
 *   the block's first instruction, and positions in the block are constants relative to it.
 * - Arithmetic flags live in CC_KIND, CC_A, CC_B, CC_C (see ir/flags.ts); EFLAGS holds all the others, with zeros there.
 */

import { generateArenaLayout } from "#memory";
import { Event, Shadow } from "./leave.ts";

type FieldType = "u8" | "u16" | "u32" | "u64" | "v128";

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly count: number;
  /** Bytes from one element to the next. */
  readonly stride: number;
  /** Byte offset in the record. */
  readonly offset: number;
  readonly note: string;
}

const sizes: Record<FieldType, number> = { u8: 1, u16: 2, u32: 4, u64: 8, v128: 16 };

type Row = readonly [name: string, type: FieldType, count: number, note: string];

const forgetEntries = 16;

// Order decides offsets; alignment is each element's own size.
const rows = [
  ["GPR", "u64", 16, "RAX RCX RDX RBX RSP RBP RSI RDI R8..R15"],
  ["TEMP", "u64", 16, "scratch of one instruction's IR; meaningless between instructions"],
  ["RIP", "u64", 1, "see the laws above"],
  ["CC_KIND", "u64", 1, "which operation last set the arithmetic flags (ir/flags.ts)"],
  ["CC_A", "u64", 1, "its first operand, or result, shifted to the top of 64 bits"],
  ["CC_B", "u64", 1, "its second operand, shifted to the top"],
  ["CC_C", "u64", 1, "carry in, or explicit CF/OF/AF bits"],
  ["EFLAGS", "u64", 1, "TF IF DF IOPL NT RF AC VIF VIP ID and the fixed bit 1; arithmetic bits are zero here"],
  ["ZERO", "u64", 1, "always 0: the base of absolute addresses"],
  ["DIRECTION", "u64", 1, "+1 or -1, from DF"],
  ["SEG_BASE", "u64", 6, "ES CS SS DS FS GS: base addresses"],
  ["XMM", "v128", 16, "XMM0..XMM15"],
  ["VTEMP", "v128", 8, "vector scratch of one instruction's IR"],
  [
    "FPR",
    "u64",
    16,
    "x87 physical registers R0..R7, 16 bytes each: u64 significand, u16 sign and exponent; MMX aliases the significand",
  ],
  ["FCW", "u16", 1, "x87 control word"],
  ["FSW", "u16", 1, "x87 status word, but for TOP: zeros in bits 11-13"],
  ["FTW", "u16", 1, "x87 full tag word, two bits a register"],
  ["FOP", "u16", 1, "x87 last opcode (11 bits)"],
  ["MXCSR", "u32", 1, "SSE control and status"],
  ["FP_TRAP", "u32", 1, "nonzero: the last FP operation met an unmasked exception; nothing was written"],
  ["FTOP", "u32", 1, "x87 TOP, times 16: where ST(0) is in FPR"],
  ["FIP", "u64", 1, "x87 last instruction pointer"],
  ["FDP", "u64", 1, "x87 last data pointer"],
  ["FP_SCRATCH", "u64", 4, "operands and results of FP helpers that do not fit a parameter"],
  ["BOUNCE", "v128", 4, "stands in for memory that is not contiguous or no RAM: page crossings, MMIO"],
  ["SEG_SELECTOR", "u32", 6, "visible part"],
  ["SEG_LIMIT", "u32", 6, "byte limit, expanded by G"],
  [
    "SEG_FLAGS",
    "u32",
    6,
    "descriptor bits 8-23 of the high half, as in a VMX access-rights field (type S DPL P AVL L D G), 0x10000 = unusable",
  ],
  ["GDTR_BASE", "u64", 1, ""],
  ["IDTR_BASE", "u64", 1, ""],
  ["LDTR_BASE", "u64", 1, ""],
  ["TR_BASE", "u64", 1, ""],
  ["GDTR_LIMIT", "u32", 1, ""],
  ["IDTR_LIMIT", "u32", 1, ""],
  ["LDTR_LIMIT", "u32", 1, ""],
  ["TR_LIMIT", "u32", 1, ""],
  ["LDTR_SELECTOR", "u32", 1, ""],
  ["TR_SELECTOR", "u32", 1, ""],
  ["LDTR_FLAGS", "u32", 1, "as SEG_FLAGS"],
  ["TR_FLAGS", "u32", 1, "as SEG_FLAGS"],
  ["CR0", "u64", 1, ""],
  ["CR2", "u64", 1, ""],
  ["CR3", "u64", 1, ""],
  ["CR4", "u64", 1, ""],
  ["CR8", "u64", 1, "task priority; mirrored to the LAPIC by the engine"],
  ["XCR0", "u64", 1, ""],
  ["EFER", "u64", 1, ""],
  ["DR", "u64", 8, "DR0..DR7"],
  ["STAR", "u64", 1, ""],
  ["LSTAR", "u64", 1, ""],
  ["CSTAR", "u64", 1, ""],
  ["SFMASK", "u64", 1, ""],
  ["KERNEL_GS_BASE", "u64", 1, ""],
  ["SYSENTER_CS", "u64", 1, ""],
  ["SYSENTER_ESP", "u64", 1, ""],
  ["SYSENTER_EIP", "u64", 1, ""],
  ["TSC_AUX", "u64", 1, ""],
  ["TSC_OFFSET", "u64", 1, "added to the machine's TSC (IA32_TSC and TSC_ADJUST writes)"],
  ["PAT", "u64", 1, ""],
  // What the engine and translated code tell each other.
  ["CPL", "u32", 1, "current privilege level"],
  ["MODE", "u32", 1, "mode bits that translations are keyed by (mode.ts); also selects the TLB"],
  ["TLB_BASE", "u32", 1, "offset from vp of the read TLB for MODE; the write TLB follows it"],
  ["EVENTS", "u32", 1, "nonzero: leave translated code at the next boundary (leave.ts)"],
  ["INHIBIT", "u32", 1, "what is held back for one instruction (leave.ts, Shadow)"],
  ["HALTED", "u32", 1, "1: in HLT; 2: waits for a startup IPI"],
  ["SIGNALS", "u32", 1, "INIT, NMI and startup IPI that wait for this vCPU (signals.ts)"],
  ["LEAVE", "u32", 1, "why the executor left (leave.ts); 0 = it did not"],
  ["LEAVE_ARG", "u32", 1, "block or size, by reason"],
  ["FAULT_VECTOR", "u32", 1, "exception raised by the last helper, with LEAVE = fault"],
  ["FAULT_ERROR", "u32", 1, "its error code"],
  ["FAULT_ADDRESS", "u64", 1, "CR2 of a page fault"],
  ["STEPPING", "u32", 1, "1: one instruction runs alone; MMIO and stores to code are carried out, not refused"],
  ["CURRENT_BLOCK", "u32", 1, "arena offset of the block the interpreter is in"],
  ["ICOUNT", "u64", 1, "instructions retired"],
  ["ICOUNT_LIMIT", "u64", 1, "leave exactly here; all ones when nothing is due"],
  ["RUN_END", "u64", 1, "of compiled code that runs: the count of instructions at which its budget is used up"],
  [
    "RUN_FLAGS",
    "u64",
    4,
    "and its flags between regions: kind, operands as they came, carry; CC_ fields are stale meanwhile",
  ],
  ["MMIO_DATA", "u64", 1, "value of the MMIO access in flight"],
  ["SPACE", "u32", 1, "arena offset of the VM's address-space header (memory/)"],
  ["ASID", "u32", 1, "generation of code addresses of the present context (runtime/memory/generations.ts)"],
  ["GLOBAL_ASID", "u32", 1, "generation of code addresses in global pages; even, where ASID is odd"],
  ["LAST_ASID", "u32", 1, "the latest generation given to a context"],
  ["WALK_GENERATION", "u32", 1, "of what is known of page walks (runtime/memory/walk.ts), besides the ASID"],
  ["CONTEXT_PCID", "u32", 8, "contexts left with their translations kept: their PCIDs,"],
  ["CONTEXT_ASID", "u32", 8, "and generations; 0 where there is none"],
  ["CONTEXT_NEXT", "u32", 1, "which of them is next to be overwritten"],
  ["TLB_MISSES", "u64", 1, "statistics"],
  ["TLB_FLUSHES", "u64", 1, "statistics"],
  ["WALKS", "u64", 1, "statistics: page walks through all levels"],
  ["COMPILED", "u64", 1, "statistics: instructions retired in compiled regions"],
  [
    "REGION_ENTRIES",
    "u64",
    1,
    "statistics: entries from the interpreter; regions that go on in each other are not counted",
  ],
  ["MISPLACED", "u32", 1, "since it was 0: accesses that a region took to be on one page with others, and were not"],
  ["REGION_EPOCH", "u32", 1, "incremented when regions that the jump cache may name are gone; never 0"],
  ["FILL_COUNT", "u32", 1, "non-global TLB fills since the last flush, indices in the fill log"],
  ["PENDING_DB", "u32", 1, "DR6 bits of a debug trap to deliver at the next boundary"],
  ["IRQ_WAITING", "u32", 1, "1: an interrupt waits for IF; who sets IF raises Event.interrupt"],
  ["NMI_BLOCKED", "u32", 1, "1: from the delivery of an NMI to the next IRET"],
  [
    "DEBUG_ARMED",
    "u32",
    1,
    "1: DR7 has a breakpoint on instructions, 2: on data; every instruction runs alone meanwhile",
  ],
  ["RESUME", "u32", 1, "1: IRET has set RF, so the next instruction meets no breakpoint"],
  ["STEP_TRAP", "u32", 1, "1: the instruction that runs alone ends in #DB, unless it goes through a gate or SYSCALL"],
  ["ASYNC_FAULTS", "u32", 1, "1: user code does not wait for pages that are far away (runtime/memory/away.ts)"],
  // What threads tell each other; each of these is written by atomic operations, or while its vCPU is parked.
  ["RUNNING", "u32", 1, "1: translated code may run on some thread now (runtime/memory/exclusive.ts)"],
  [
    "MIDWAY",
    "u32",
    1,
    "1: while it is parked now, it may be in the middle of an instruction (runtime/memory/evict.ts)",
  ],
  ["WAKE", "u32", 1, "incremented by whoever has something for this vCPU, which sleeps on it"],
  ["FORGET_COUNT", "u32", 1, "frames in FORGET; more than it holds: all blocks are to be forgotten"],
  ["FORGET", "u32", forgetEntries, "frames whose bytes others have changed"],
  ["POSTED_IRR", "u32", 8, "interrupts from other threads, a bit a vector"],
  ["POSTED_LEVEL", "u32", 8, "of these: which are level-triggered"],
  ["APIC_STATE", "u32", 4, "of the local APIC, for who addresses it: mode, enabled by software, LDR, DFR"],
  ["CALL_STATE", "u32", 1, "a call to the thread of the devices (vm/device-calls.ts)"],
  ["CALL_KIND", "u32", 1, ""],
  ["CALL_SIZE", "u32", 1, ""],
  ["CALL_VALUE", "u32", 1, ""],
  ["CALL_ADDRESS", "u64", 1, ""],
  ["REGIONS", "u32", 1, "statistics of another thread: compiled regions"],
  ["WASM_BYTES", "u32", 1, "and their size"],
  ["MSR_DATA", "u64", 1, "value of the MSR that the host has just read"],
  ["CPUID_RESULT", "u32", 4, "EAX EBX ECX EDX of the leaf that the host has just answered"],
] as const satisfies readonly Row[];

export type FieldName = (typeof rows)[number][0];

function place(): { fields: readonly Field[]; size: number } {
  let offset = 0;
  const fields = (rows as readonly Row[]).map(([name, type, count, note]) => {
    const stride = sizes[type];
    offset = Math.ceil(offset / stride) * stride;
    const field: Field = { name, type, count, stride, offset, note };
    offset += stride * count;
    return field;
  });
  return { fields, size: offset };
}

const placed = place();

export const vcpuFields: readonly Field[] = placed.fields;
/** Bytes of the record that hold state. */
export const vcpuRecordBytes = placed.size;

/** Byte offset of each field in the record. */
export const at = Object.fromEntries(placed.fields.map((f) => [f.name, f.offset])) as Record<FieldName, number>;

export const gpr = (n: number): number => at.GPR + 8 * n;
export const temp = (n: number): number => at.TEMP + 8 * n;
export const xmm = (n: number): number => at.XMM + 16 * n;
export const vtemp = (n: number): number => at.VTEMP + 16 * n;
/** Physical x87 register, which is also where MMX register n lives. */
export const fpr = (n: number): number => at.FPR + 16 * n;

// The rest of the area.
/** Entries of each TLB: direct-mapped by the low bits of the page number. A power of two. */
export const tlbEntries = 4096;
/** Entry: u64 tag (page's GVA; all ones = empty), u32 addend (GVA to HPA, in 32 bits), u32 flags (1 = global). */
export const tlbEntryBytes = 16;
export const tlbBytes = tlbEntries * tlbEntryBytes;
/**
 * Entries of the jump cache: GVA → block, and where compiled code goes on there. One line of the host's cache has all of it.
 */
export const jumpCacheEntries = 16384;
export const jumpCacheEntryLog2 = 5;
/** An entry; all zeros = empty. */
export const jumpCacheEntry = {
  /** u64: GVA. */
  J_RIP: 0,
  J_BLOCK: 8,
  /** ASID it was made under. */
  J_ASID: 12,
  /** The mode in bits 24-30, the region's place in bits 8-23, which of its entries below; as long as J_EPOCH is REGION_EPOCH. */
  J_REGION: 16,
  J_EPOCH: 20,
} as const;

/**
 * Known pages: for each TLB of data, the entries that accesses of compiled code found last (jit/emit/known-pages.ts).
 * Entry: u64 tag as in the TLB, u64 limit (0 = nothing known), u32 addend. As wide as what it is compared with, the limit needs no load
 * of its own.
 */
export const knownPageSlots = 32;
export const knownPageEntryBytes = 32;
const knownPageHeader = 64;

/**
 * Hints where pointers led last (jit/emit/followed-pointers.ts): u32 arena addresses, and behind all of them u32 spots of what lies there, so
 * that from hint to hint there is one load. A *spot* counts bytes of either table. The first hints are those of short rings: the spots alone
 * are half of a small first cache of the host. Those of long ones, behind them, are many, and still much nearer than what they are about.
 */
export const pointerHints = 4096;
export const farPointerHints = 131072;
const allPointerHints = pointerHints + farPointerHints;
/** Each so many hints the first one is nobody's: it leads nowhere, and from there nothing leads anywhere. */
export const pointerHintGroup = 512;
/**
 * How far loops trust them, by the loops' places: i32 how often hints were wrong of late, below 0 where none is used; i32 what was left of the
 * budget then, or where the loop began, or how many instructions had run when none was used any more; u32 whether it takes those of long rings.
 */
export const pointerTrusts = 1024;
export const pointerTrustBytes = 16;
const pointerHintBytes = 8 * allPointerHints;

/** Places that an indirect jump remembers (ir/ops.ts). */
export const targetSlots = 16;

const codeFilterLog2 = 15;
/** Regions of 2 MiB whose walks are known: enough for 512 MiB. */
const walkCacheEntries = 256;
const fillLogEntries = 8192;

/** Where each part of the area begins, one behind the other from the TLBs on; and where the last one ends. */
function starts<Name extends string>(sizes: Readonly<Record<Name, number>>): { at: Record<Name, number>; end: number } {
  let end = 0x2000;
  const at = {} as Record<Name, number>;
  for (const name of Object.keys(sizes) as Name[]) {
    at[name] = end;
    end += Math.ceil(sizes[name] / 4096) * 4096;
  }
  return { at, end };
}
const { at: start, end: areaBytes } = starts({
  tlb: 6 * tlbBytes,
  fetchTlb: 2 * tlbBytes,
  jumpCache: jumpCacheEntries << jumpCacheEntryLog2,
  fillLog: 4 * fillLogEntries,
  codeFilter: 2 ** codeFilterLog2 / 8,
  walkCache: walkCacheEntries * 32,
  knownPageMasks: knownPageHeader + 6 * knownPageSlots * knownPageEntryBytes,
  pointerHints: pointerHintBytes + pointerTrustBytes * pointerTrusts,
});

export const area = {
  /** Scratch of runtime helpers: images of the floating-point state on their way from or to guest memory. */
  scratch: 0x1400,
  scratchBytes: 0x400,
  /** One bit for each hash of a 2 MiB range that some entry was filled from as part of a large page: for data, for code. */
  largeFilter: 0x1800,
  largeCodeFilter: 0x1900,
  /** Three TLB modes (user, supervisor, supervisor with AC), each a read and a write TLB. */
  tlb: start.tlb,
  /** Two fetch TLBs: user, supervisor. */
  fetchTlb: start.fetchTlb,
  jumpCache: start.jumpCache,
  /** u32 each: offset in the area of a non-global TLB entry that was filled. */
  fillLog: start.fillLog,
  fillLogEntries,
  /** One bit for each hash of a page that something noted the code of. */
  codeFilter: start.codeFilter,
  codeFilterLog2,
  /** See runtime/memory/walk.ts. */
  walkCache: start.walkCache,
  /** A u32 for each TLB of data: a bit for each entry that may know something. */
  knownPageMasks: start.knownPageMasks,
  knownPages: start.knownPageMasks + knownPageHeader,
  pointerHints: start.pointerHints,
  pointerSpots: start.pointerHints + 4 * allPointerHints,
  pointerTrusts: start.pointerHints + pointerHintBytes,
  bytes: areaBytes,
} as const;

if (placed.size > area.scratch) throw new Error("the vCPU record outgrew its place in the area");
/** AssemblyScript constants of the record, for the Wasm runtime. */
export function generateRuntimeLayout(): string {
  const lines = placed.fields.map((f) => `export const ${f.name}: u32 = ${f.offset};${f.note ? ` // ${f.note}` : ""}`);
  const constants = {
    TARGET_SLOTS: targetSlots,
    SCRATCH: area.scratch,
    FORGET_ENTRIES: forgetEntries,
    TLB: area.tlb,
    FETCH_TLB: area.fetchTlb,
    TLB_ENTRIES: tlbEntries,
    TLB_ENTRY_BYTES: tlbEntryBytes,
    TLB_BYTES: tlbBytes,
    JUMP_CACHE: area.jumpCache,
    JUMP_CACHE_ENTRIES: jumpCacheEntries,
    JUMP_CACHE_ENTRY_LOG2: jumpCacheEntryLog2,
    JUMP_CACHE_BYTES: jumpCacheEntries << jumpCacheEntryLog2,
    ...jumpCacheEntry,
    WALK_CACHE: area.walkCache,
    WALK_CACHE_ENTRIES: walkCacheEntries,
    FILL_LOG: area.fillLog,
    FILL_LOG_ENTRIES: area.fillLogEntries,
    LARGE_FILTER: area.largeFilter,
    LARGE_CODE_FILTER: area.largeCodeFilter,
    CODE_FILTER: area.codeFilter,
    CODE_FILTER_LOG2: area.codeFilterLog2,
    CODE_FILTER_BITS: 2 ** area.codeFilterLog2,
    KNOWN_PAGE_MASKS: area.knownPageMasks,
    KNOWN_PAGE_SLOTS: knownPageSlots,
    KNOWN_PAGES: area.knownPages,
    KNOWN_PAGE_BYTES: knownPageEntryBytes,
    POINTER_HINTS: area.pointerHints,
    POINTER_SPOTS: area.pointerSpots,
    NEAR_POINTER_HINTS: pointerHints,
    FAR_POINTER_HINTS: farPointerHints,
    POINTER_HINT_GROUP: pointerHintGroup,
    POINTER_TRUSTS: area.pointerTrusts,
    POINTER_TRUST_BYTES: pointerTrustBytes,
    VCPU_AREA_BYTES: area.bytes,
    ...Object.fromEntries(Object.entries(Event).map(([name, bit]) => [`EVENT_${name.toUpperCase()}`, bit])),
    ...Object.fromEntries(Object.entries(Shadow).map(([name, value]) => [`SHADOW_${name.toUpperCase()}`, value])),
  };
  for (const [name, value] of Object.entries(constants)) lines.push(`export const ${name}: u32 = ${value};`);
  return `// Generated from src/vcpu/layout.ts by tools/build-runtime.ts. Do not edit.\n${lines.join("\n")}\n${generateArenaLayout()}\n`;
}
