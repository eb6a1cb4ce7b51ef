/**
 * Linux's 64-bit boot protocol: what a boot loader leaves in guest memory and registers before the kernel's first
 * instruction. (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"; zero-page.rst.)
 *
 * The kernel is entered decompressed, at the ELF entry of its vmlinux: `startup_64` at its physical link address.
 * All tables lie below 640 KiB where Linux reserves memory for itself anyway, the kernel at its link address, the
 * initrd at the top of low RAM. Law: on a BootError nothing useful stands in memory and the VM is not run.
 *
 * Not here: ACPI tables (their RSDP's address comes in), and who runs the vCPU.
 */
import { type Gpa, gpa } from "#address";
import type { GuestMemory } from "#memory";
import { type BootBytes, bytesOf, eachPiece, isZero, sizeOf } from "./boot-bytes.ts";
import { BootError, sizeText } from "./boot-error.ts";
import { type ElfKernel, elfHeadBytes, parseElf } from "./elf.ts";
import { type Compression, type Decoder, setupHeaderStart, unpackKernel } from "./kernel-image.ts";

/** Where the loader's own tables go. Each is page-aligned and lies in RAM below the BIOS area. */
export const bootLayout = {
  gdt: gpa(0x6000),
  bootParams: gpa(0x7000),
  setupData: gpa(0x8000),
  /** PML4, PDPT and four page directories: 2 MiB pages over the first 4 GiB. */
  pageTables: gpa(0x9000),
  commandLine: gpa(0x20000),
  commandLineLimit: 0x10000,
  /** The BIOS area: no RAM for Linux, from where an EBDA would begin. */
  biosStart: gpa(0x9fc00),
  biosEnd: gpa(0x100000),
  /** RAM below this address; the rest of it is from `highStart` on. */
  lowLimit: gpa(0xc0000000),
  highStart: gpa(0x100000000),
} as const;

/** Selectors of the boot GDT that the protocol names. */
export const bootCs = 0x10;
export const bootDs = 0x18;

export const E820_RAM = 1;
export const E820_RESERVED = 2;

export interface E820Entry {
  readonly gpa: Gpa;
  readonly sizeBytes: number;
  readonly type: number;
}

/** Memory that a kernel is loaded into. */
export interface BootMemory extends GuestMemory {
  /** As `write` of so many zeros; pages that nothing is kept of stay so. */
  clear(gpa: Gpa, length: number): boolean;
}

export interface LinuxBootOptions {
  /** Requires: RAM of `ramBytes`, all below `lowLimit` and the rest from `highStart`. */
  readonly memory: BootMemory;
  /** A bzImage or an ELF vmlinux. */
  readonly kernel: BootBytes;
  /** The setup header kept from the bzImage when `kernel` is the vmlinux unpacked from it earlier. */
  readonly setupHeader?: Uint8Array | undefined;
  readonly initrd?: BootBytes | undefined;
  readonly commandLine: string;
  readonly ramBytes: number;
  /** Address of the ACPI root pointer; 0 where there is none. */
  readonly acpiRsdp: Gpa;
  /** Entropy for the guest's generator (SETUP_RNG_SEED); empty for none. Chosen by a seed, the boot can be repeated. */
  readonly rngSeed: Uint8Array;
  /** More of the address map: ACPI tables, the MCFG window. Over RAM, Linux lets them win. */
  readonly reserved?: readonly E820Entry[];
  readonly decoders?: Partial<Record<Compression, Decoder>>;
}

/** State of the boot vCPU: what differs from reset. Segment caches are flat; interrupts are off. */
export interface BootState {
  readonly entry: Gpa;
  /** RSI: address of boot_params. */
  readonly rsi: Gpa;
  readonly rsp: Gpa;
  readonly rflags: number;
  readonly cr0: number;
  readonly cr3: Gpa;
  readonly cr4: number;
  readonly efer: number;
  readonly gdtBase: Gpa;
  readonly gdtLimit: number;
  readonly cs: typeof bootCs;
  readonly ds: typeof bootDs;
  /** What was put where, for logs and debuggers. */
  readonly kernel: ElfKernel;
  readonly initrd: { readonly gpa: Gpa; readonly sizeBytes: number } | undefined;
  readonly e820: readonly E820Entry[];
}

const pageBytes = 4096;

/** Puts kernel, initrd and boot tables into memory and gives back how the boot vCPU starts. Throws BootError. */
export function prepareLinuxBoot(options: LinuxBootOptions): BootState {
  const { memory, ramBytes } = options;
  const lowEnd = Math.min(ramBytes, bootLayout.lowLimit);
  const { vmlinux, setupHeader } = unpackKernel(options.kernel, { limitBytes: ramBytes, decoders: options.decoders });
  const kernel = parseElf(headOf(vmlinux), sizeOf(vmlinux));
  checkPlacement(kernel, lowEnd, ramBytes);
  const header = bootHeader(options.setupHeader ?? setupHeader);
  const commandLine = encodeCommandLine(options.commandLine, header.getUint32(0x238, true));
  const initrd = placeInitrd(options.initrd, kernel, lowEnd, header.getUint32(0x22c, true));
  const e820 = e820Map(ramBytes, options.reserved ?? []);

  for (const { gpa: start, fileOffset, fileBytes, memoryBytes } of kernel.segments) {
    load(memory, start, vmlinux, fileOffset, fileOffset + fileBytes);
    clear(memory, start + fileBytes, start + memoryBytes);
  }
  // Nobody looks at the unpacked kernel again, and waiting for a collection would cost the host tens of megabytes.
  if (vmlinux !== options.kernel && vmlinux instanceof Uint8Array && vmlinux.buffer instanceof ArrayBuffer)
    vmlinux.buffer.transfer(0);
  if (initrd && options.initrd) load(memory, initrd.gpa, options.initrd, 0, initrd.sizeBytes);
  put(memory, bootLayout.commandLine, commandLine);
  put(memory, bootLayout.gdt, bootGdt());
  put(memory, bootLayout.pageTables, identityMap());
  const hasSeed = options.rngSeed.length > 0;
  if (hasSeed) put(memory, bootLayout.setupData, rngSeedRecord(options.rngSeed));
  put(memory, bootLayout.bootParams, bootParams(header, { initrd, e820, hasSeed, acpiRsdp: options.acpiRsdp }));

  return {
    entry: kernel.entry,
    rsi: bootLayout.bootParams,
    rsp: gpa(bootLayout.bootParams - 16),
    rflags: 0x2,
    cr0: 0x80000011, // PG, ET, PE
    cr3: bootLayout.pageTables,
    cr4: 0x20, // PAE
    efer: 0x500, // LMA, LME
    gdtBase: bootLayout.gdt,
    gdtLimit: bootGdt().length - 1,
    cs: bootCs,
    ds: bootDs,
    kernel,
    initrd,
    e820,
  };
}

/** The address map: RAM below the BIOS area, the area, RAM up to the hole, RAM above 4 GiB, then what was given. */
export function e820Map(ramBytes: number, reserved: readonly E820Entry[]): E820Entry[] {
  const range = (start: number, end: number, type: number): E820Entry => ({
    gpa: gpa(start),
    sizeBytes: end - start,
    type,
  });
  const { biosStart, biosEnd, lowLimit, highStart } = bootLayout;
  const map = [
    range(0, biosStart, E820_RAM),
    range(biosStart, biosEnd, E820_RESERVED),
    range(biosEnd, Math.min(ramBytes, lowLimit), E820_RAM),
  ];
  if (ramBytes > lowLimit) map.push(range(highStart, highStart + ramBytes - lowLimit, E820_RAM));
  map.push(...reserved);
  if (map.length > 128) throw new BootError(`the memory map has ${map.length} entries; boot_params has room for 128`);
  return map;
}

function checkPlacement(kernel: ElfKernel, lowEnd: number, ramBytes: number): void {
  for (const segment of kernel.segments) {
    if (segment.gpa < bootLayout.biosEnd) {
      throw new BootError("the kernel wants to lie below 1 MiB: not a Linux kernel for x86-64");
    }
  }
  if (kernel.end <= lowEnd) return;
  const needed = sizeText(kernel.end);
  if (kernel.end > bootLayout.lowLimit)
    throw new BootError(`the kernel wants to lie up to ${needed}; RAM below 4 GiB ends at 3 GiB`);
  throw new BootError(
    `the kernel needs at least ${needed} of memory and the VM has ${sizeText(ramBytes)}; give it more`,
  );
}

/** A page with the kernel's own setup header in place, or with one like it. Offsets are those of boot_params. */
function bootHeader(setupHeader: Uint8Array | undefined): DataView {
  const page = new Uint8Array(pageBytes);
  const view = new DataView(page.buffer);
  if (setupHeader && setupHeader.length >= 0x264 - setupHeaderStart) {
    page.set(setupHeader.subarray(0, 0x290 - setupHeaderStart), setupHeaderStart);
    return view;
  }
  view.setUint16(0x1f2, 1, true); // root_flags: mount read-only
  view.setUint16(0x1fa, 0xffff, true); // vid_mode: normal
  view.setUint16(0x1fe, 0xaa55, true); // boot_flag
  view.setUint32(0x202, 0x53726448, true); // header, "HdrS"
  view.setUint16(0x206, 0x020f, true); // version
  view.setUint8(0x211, 0x01); // loadflags: LOADED_HIGH
  view.setUint32(0x22c, 0x7fffffff, true); // initrd_addr_max
  view.setUint32(0x230, 0x200000, true); // kernel_alignment
  view.setUint8(0x234, 1); // relocatable_kernel
  view.setUint16(0x236, 0x0003, true); // xloadflags: 64-bit entry, may lie above 4 GiB
  view.setUint32(0x238, 2047, true); // cmdline_size
  return view;
}

/** The command line in UTF-8 with its final zero. */
function encodeCommandLine(text: string, headerLimit: number): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (point === 0) throw new BootError("the kernel command line contains a zero character");
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63));
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    else bytes.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
  }
  const limit = Math.min(headerLimit, bootLayout.commandLineLimit - 1);
  if (bytes.length > limit) {
    throw new BootError(
      `the kernel command line has ${bytes.length} bytes; this kernel takes at most ${limit}: shorten it`,
    );
  }
  return new Uint8Array([...bytes, 0]);
}

/** As high as the kernel allows, on a page: Linux frees it page by page. */
function placeInitrd(
  initrd: BootBytes | undefined,
  kernel: ElfKernel,
  lowEnd: number,
  addressMax: number,
): BootState["initrd"] {
  if (initrd === undefined || sizeOf(initrd) === 0) return undefined;
  const sizeBytes = sizeOf(initrd);
  const end = Math.min(lowEnd, addressMax + 1);
  const start = Math.floor((end - sizeBytes) / pageBytes) * pageBytes;
  if (start < kernel.end) {
    const needed = kernel.end + Math.ceil(sizeBytes / pageBytes) * pageBytes;
    const advice =
      needed > Math.min(addressMax + 1, bootLayout.lowLimit)
        ? "use a smaller one"
        : `the VM needs at least ${sizeText(needed)}`;
    throw new BootError(`the initrd of ${sizeText(sizeBytes)} does not fit in memory above the kernel; ${advice}`);
  }
  return { gpa: gpa(start), sizeBytes };
}

interface BootParamsContent {
  readonly initrd: BootState["initrd"];
  readonly e820: readonly E820Entry[];
  readonly hasSeed: boolean;
  readonly acpiRsdp: Gpa;
}

/** The zero page. The sentinel at 0x1ef stays zero: it tells Linux that all fields here are meant. */
function bootParams(view: DataView, content: BootParamsContent): Uint8Array {
  const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  u64(0x070, content.acpiRsdp);
  view.setUint8(0x210, 0xff); // type_of_loader: no assigned id
  view.setUint8(0x211, view.getUint8(0x211) & ~0x80); // CAN_USE_HEAP is for real mode
  view.setUint32(0x218, content.initrd?.gpa ?? 0, true);
  view.setUint32(0x21c, content.initrd?.sizeBytes ?? 0, true);
  view.setUint32(0x0c0, 0, true); // ext_ramdisk_image and _size, ext_cmd_line_ptr: all lie below 4 GiB
  view.setUint32(0x0c4, 0, true);
  view.setUint32(0x228, bootLayout.commandLine, true);
  view.setUint32(0x0c8, 0, true);
  u64(0x250, content.hasSeed ? bootLayout.setupData : 0);
  view.setUint8(0x1ef, 0);
  view.setUint8(0x1e8, content.e820.length);
  content.e820.forEach((entry, i) => {
    const at = 0x2d0 + i * 20;
    u64(at, entry.gpa);
    u64(at + 8, entry.sizeBytes);
    view.setUint32(at + 16, entry.type, true);
  });
  return new Uint8Array(view.buffer);
}

/** A `struct setup_data` of type SETUP_RNG_SEED. Linux wipes it after use. */
function rngSeedRecord(seed: Uint8Array): Uint8Array {
  if (seed.length > pageBytes - 16)
    throw new BootError(`the seed has ${seed.length} bytes; at most ${pageBytes - 16} fit`);
  const record = new Uint8Array(16 + seed.length);
  const view = new DataView(record.buffer);
  view.setUint32(8, 9, true);
  view.setUint32(12, seed.length, true);
  record.set(seed, 16);
  return record;
}

/** Null, unused, 64-bit code (0x10), data (0x18): flat, ring 0, accessed. */
function bootGdt(): Uint8Array {
  return new Uint8Array(new BigUint64Array([0n, 0n, 0x00af9b000000ffffn, 0x00cf93000000ffffn]).buffer);
}

/** Page tables that map the first 4 GiB to themselves. Accessed and dirty are set, so no walk has to write. */
function identityMap(): Uint8Array {
  const entries = new BigUint64Array(6 * 512);
  const table = 0x23n; // present, writable, accessed
  const largePage = 0xe3n; // and dirty, 2 MiB
  const base = BigInt(bootLayout.pageTables);
  entries[0] = (base + 0x1000n) | table;
  for (let i = 0; i < 4; i++) entries[512 + i] = (base + 0x2000n + BigInt(i) * 0x1000n) | table;
  for (let i = 0; i < 2048; i++) entries[1024 + i] = (BigInt(i) << 21n) | largePage;
  return new Uint8Array(entries.buffer);
}

function put(memory: BootMemory, at: number, bytes: Uint8Array): void {
  if (!memory.write(gpa(at), bytes)) throw noRam(at);
}

/** The beginning of a vmlinux, with its headers; all of it where that costs nothing. */
function headOf(vmlinux: BootBytes): Uint8Array {
  if (vmlinux instanceof Uint8Array) return vmlinux;
  const start = bytesOf(vmlinux, 0, Math.min(vmlinux.sizeBytes, 64));
  return bytesOf(vmlinux, 0, Math.min(vmlinux.sizeBytes, elfHeadBytes(start)));
}

/** Puts bytes [from, to) of what is loaded into memory. */
function load(memory: BootMemory, gpa: number, source: BootBytes, from: number, to: number): void {
  eachPiece(source, from, to, (at, piece) => store(memory, gpa + at, piece));
}

/**
 * Writes `bytes` page by page and leaves pages alone that are zero on both sides: an untouched frame costs nothing,
 * and a kernel's file holds its .bss and paddings as zeros.
 */
function store(memory: BootMemory, at: number, bytes: Uint8Array): void {
  const runLimit = 1 << 20;
  for (let from = 0; from < bytes.length; ) {
    const pageEnd = (position: number): number =>
      Math.min(bytes.length, position + pageBytes - ((at + position) % pageBytes));
    let to = pageEnd(from);
    if (isZero(bytes, from, to)) {
      clear(memory, at + from, at + to);
    } else {
      while (to < bytes.length && to - from < runLimit && !isZero(bytes, to, pageEnd(to))) to = pageEnd(to);
      put(memory, at + from, bytes.subarray(from, to));
    }
    from = to;
  }
}

/** Makes memory [start, end) read as zero. */
function clear(memory: BootMemory, start: number, end: number): void {
  if (end > start && !memory.clear(gpa(start), end - start)) throw noRam(start);
}

const noRam = (at: number): BootError =>
  new BootError(`the VM has no RAM at ${at.toString(16)}; at least 1 MiB is needed`);
