/**
 * As much of ELF as an initramfs is made by: what a kernel module says of itself (`.modinfo`) and which libraries
 * a program names (`DT_NEEDED`, `PT_INTERP`). 64-bit little endian; anything else has nothing to say.
 */
export interface LinkNeeds {
  /** Names as in `libc.so.6`. */
  readonly needed: readonly string[];
  readonly interpreter?: string;
}

/** The `key=value` strings of a kernel module, in order. */
export function readModinfo(file: Uint8Array): [key: string, value: string][] {
  const elf = openElf(file);
  if (!elf) return [];
  const { view } = elf;
  const [at, size, count] = [elf.sectionsAt, view.getUint16(0x3a, true), view.getUint16(0x3c, true)];
  const namesAt = Number(word(view, at + size * view.getUint16(0x3e, true) + 0x18));
  for (let i = 0; i < count; i++) {
    const section = at + i * size;
    if (section + 0x40 > file.length) break;
    if (stringAt(file, namesAt + view.getUint32(section, true)) !== ".modinfo") continue;
    const start = word(view, section + 0x18);
    return stringsOf(file.subarray(start, start + word(view, section + 0x20))).map((text) => {
      const equals = text.indexOf("=");
      return [text.slice(0, equals), text.slice(equals + 1)];
    });
  }
  return [];
}

export function readLinkNeeds(file: Uint8Array): LinkNeeds {
  const elf = openElf(file);
  if (!elf) return { needed: [] };
  const { segments } = elf;
  const interp = segments.find((segment) => segment.type === 3);
  const dynamic = segments.find((segment) => segment.type === 2);
  const tags = dynamic ? readDynamic(elf.view, dynamic) : [];
  // DT_STRTAB is an address: the segment that loads it says where in the file it is.
  const names = tags.find(([tag]) => tag === 5)?.[1] ?? 0;
  const loader = segments.find((each) => each.type === 1 && names >= each.address && names < each.address + each.size);
  const namesAt = loader ? names - loader.address + loader.offset : file.length;
  return {
    needed: tags.filter(([tag]) => tag === 1).map(([, value]) => stringAt(file, namesAt + value)),
    ...(interp && { interpreter: stringAt(file, interp.offset) }),
  };
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

function openElf(file: Uint8Array): { view: DataView; sectionsAt: number; segments: Segment[] } | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) return undefined;
  const [at, size, count] = [word(view, 0x20), view.getUint16(0x36, true), view.getUint16(0x38, true)];
  const segments: Segment[] = [];
  for (let i = 0; i < count && at + i * size + 56 <= file.length; i++) {
    const from = at + i * size;
    segments.push({
      type: view.getUint32(from, true),
      offset: word(view, from + 8),
      address: word(view, from + 16),
      size: word(view, from + 32),
    });
  }
  return { view, sectionsAt: word(view, 0x28), segments };
}

function readDynamic(view: DataView, segment: Segment): [tag: number, value: number][] {
  const tags: [number, number][] = [];
  for (let at = segment.offset; at < segment.offset + segment.size && at + 16 <= view.byteLength; at += 16) {
    const tag = word(view, at);
    if (tag === 0) break;
    tags.push([tag, word(view, at + 8)]);
  }
  return tags;
}

/** A 64-bit field as a number; beyond the file, or beyond 2^53, it points nowhere and reads as 0 of a broken file. */
const word = (view: DataView, at: number): number =>
  at + 8 <= view.byteLength ? Number(view.getBigUint64(at, true)) : 0;

function stringAt(file: Uint8Array, at: number): string {
  const end = file.indexOf(0, at);
  return decoder.decode(file.subarray(at, end < 0 ? at : end));
}

const decoder = new TextDecoder();

function stringsOf(bytes: Uint8Array): string[] {
  return decoder
    .decode(bytes)
    .split("\0")
    .filter((each) => each.includes("="));
}
