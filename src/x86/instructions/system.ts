/** System instructions: descriptor tables, control registers, MSRs, fast system calls, I/O, time, caches (SDM 3). */
import { AC, ALL_FLAGS, DF, IF, IOPL, RF, STATUS_FLAGS, VIF, VM, ZF } from "../flags.ts";
import { aligned, lift, only32, only64, privileged, type RowSource, reads, row, size, writes } from "./define.ts";

const descriptorTables = [
  row("0F 00 /0", "sldt RvMw"),
  row("0F 00 /1", "str RvMw"),
  row("0F 00 /2", "lldt Ew", privileged),
  row("0F 00 /3", "ltr Ew", privileged),
  row("0F 00 /4", "verr Ew", writes(ZF)),
  row("0F 00 /5", "verw Ew", writes(ZF)),
  row("0F 01 /0", "sgdt Ms", size("a")),
  row("0F 01 /1", "sidt Ms", size("a")),
  row("0F 01 /2", "lgdt Ms", size("a"), privileged),
  row("0F 01 /3", "lidt Ms", size("a"), privileged),
  row("0F 01 /4", "smsw RvMw"),
  row("0F 01 /6", "lmsw Ew", privileged),
  row("0F 02", "lar Gv Ew", writes(ZF)),
  row("0F 03", "lsl Gv Ew", writes(ZF)),
  row("63", "arpl Ew Gw", only32, writes(ZF)),
  row("8C", "mov RvMw Sw", lift("mov-from-sreg")),
  row("8E", "mov Sw Ew", lift("mov-to-sreg"), size("v")),
  row("C4", "les Gv Mp", only32, lift("load-far-pointer")),
  row("C5", "lds Gv Mp", only32, lift("load-far-pointer")),
  row("0F B2", "lss Gv Mp", lift("load-far-pointer")),
  row("0F B4", "lfs Gv Mp", lift("load-far-pointer")),
  row("0F B5", "lgs Gv Mp", lift("load-far-pointer")),
  row("F3 0F AE /0", "rdfsbase Ry", only64, { feature: "fsgsbase" }),
  row("F3 0F AE /1", "rdgsbase Ry", only64, { feature: "fsgsbase" }),
  row("F3 0F AE /2", "wrfsbase Ry", only64, { feature: "fsgsbase" }),
  row("F3 0F AE /3", "wrgsbase Ry", only64, { feature: "fsgsbase" }),
  row("0F 01 F8", "swapgs", only64, privileged),
];

const controlRegisters = [
  // ModRM.mod is ignored: the operand is always a register of the natural width.
  row("0F 20", "mov Ra Ca", privileged, lift("mov-from-cr"), writes(0, STATUS_FLAGS)),
  row("0F 21", "mov Ra Da", privileged, lift("mov-from-dr"), writes(0, STATUS_FLAGS)),
  row("0F 22", "mov Ca Ra", privileged, lift("mov-to-cr"), writes(0, STATUS_FLAGS)),
  row("0F 23", "mov Da Ra", privileged, lift("mov-to-dr"), writes(0, STATUS_FLAGS)),
  row("0F 06", "clts", privileged),
  row("0F 01 D0", "xgetbv", { feature: "xsave" }),
  row("0F 01 D1", "xsetbv", privileged, { feature: "xsave" }),
];

const fastCalls = [
  // AMD has SYSCALL and SYSRET in compatibility mode as well.
  row("0F 05", "syscall", writes(ALL_FLAGS)),
  row("0F 07", "sysret", privileged, writes(ALL_FLAGS), size("y")),
  row("0F 34", "sysenter", writes(IF | VM | RF), { feature: "sep" }),
  row("0F 35", "sysexit", privileged, size("y"), { feature: "sep" }),
];

const msrs = [
  row("0F 30", "wrmsr", privileged),
  row("0F 31", "rdtsc", { feature: "tsc" }),
  row("0F 32", "rdmsr", privileged),
  // CPL 0, or CR4.PCE.
  row("0F 33", "rdpmc"),
  row("0F 01 F9", "rdtscp", { feature: "rdtscp" }),
  row("0F A2", "cpuid"),
];

const caches = [
  row("0F 01 /7", "invlpg Mb", privileged),
  row("66 0F 38 82", "invpcid Ga Mo", privileged, aligned(1), { feature: "invpcid" }),
  row("0F 08", "invd", privileged),
  row("0F 09", "wbinvd", privileged),
  row("F3 0F 09", "wbnoinvd", privileged, lift("wbinvd")),
  row("NP 0F AE /7", "clflush Mb", { feature: "clflush" }),
  row("NP 0F AE /5 reg", "lfence", { feature: "sse2" }),
  row("NP 0F AE /6 reg", "mfence", { feature: "sse2" }),
  row("NP 0F AE /7 reg", "sfence", { feature: "sse" }),
];

const flags = [
  row("9C", "pushf", size("d64"), reads(ALL_FLAGS)),
  row("9D", "popf", size("d64"), writes(ALL_FLAGS & ~(VM | RF))),
  row("FA", "cli", reads(IOPL), writes(IF | VIF)),
  row("FB", "sti", reads(IOPL), writes(IF | VIF)),
  row("FC", "cld", writes(DF)),
  row("FD", "std", writes(DF)),
  row("NP 0F 01 CA", "clac", privileged, writes(AC), { feature: "smap" }),
  row("NP 0F 01 CB", "stac", privileged, writes(AC), { feature: "smap" }),
];

const io = [
  row("E4", "in AL Ib", reads(IOPL)),
  row("E5", "in eAX Ib", reads(IOPL)),
  row("E6", "out Ib AL", reads(IOPL)),
  row("E7", "out Ib eAX", reads(IOPL)),
  row("EC", "in AL DX", reads(IOPL)),
  row("ED", "in eAX DX", reads(IOPL)),
  row("EE", "out DX AL", reads(IOPL)),
  row("EF", "out DX eAX", reads(IOPL)),
];

const processor = [
  row("F4", "hlt", privileged),
  row("0F AA", "rsm", writes(ALL_FLAGS), { absent: true }),
  row("NP 0F 01 C8", "monitor", privileged, { feature: "monitor" }),
  row("NP 0F 01 C9", "mwait", privileged, { feature: "monitor" }),
  row("NP 0F 01 C1", "vmcall", lift("hypercall")),
  row("NP 0F 01 D9", "vmmcall", lift("hypercall")),
];

/** State saving; the layouts are in SDM 1, "Managing State Using the XSAVE Feature Set". */
const states = [
  row("NP 0F AE /0", "fxsave M", aligned(16), size("y"), { feature: "fxsr" }),
  row("NP 0F AE /1", "fxrstor M", aligned(16), size("y"), { feature: "fxsr" }),
  row("NP 0F AE /2", "ldmxcsr Md", { feature: "sse" }),
  row("NP 0F AE /3", "stmxcsr Md", { feature: "sse" }),
  row("NP 0F AE /4", "xsave M", aligned(64), size("y"), { feature: "xsave" }),
  row("NP 0F AE /5", "xrstor M", aligned(64), size("y"), { feature: "xsave" }),
];

export const system: RowSource[] = [
  ...descriptorTables,
  ...controlRegisters,
  ...fastCalls,
  ...msrs,
  ...caches,
  ...flags,
  ...io,
  ...processor,
  ...states,
];
