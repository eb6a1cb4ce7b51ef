/** Archives for tests, written the way the readers expect them; no product code imports this. */
const encoder = new TextEncoder();

export const bytesOf = (text: string): Uint8Array => encoder.encode(text);

export interface Member {
  readonly path: string;
  /** As in the header: "0" a file, "2" a symbolic link, "5" a folder. */
  readonly type?: string;
  readonly data?: string | Uint8Array;
  readonly mode?: number;
  readonly target?: string;
}

export function tarOf(members: readonly Member[]): Uint8Array {
  const parts = members.flatMap((member) => {
    const data = typeof member.data === "string" ? bytesOf(member.data) : (member.data ?? new Uint8Array(0));
    const padded = new Uint8Array(Math.ceil(data.length / 512) * 512);
    padded.set(data);
    return [tarHeader(member, data.length), padded];
  });
  return join([...parts, new Uint8Array(1024)]);
}

function tarHeader(member: Member, size: number): Uint8Array {
  const header = new Uint8Array(512);
  const put = (at: number, text: string): void => header.set(bytesOf(text), at);
  put(0, member.path);
  put(100, (member.mode ?? 0o644).toString(8).padStart(7, "0"));
  put(124, size.toString(8).padStart(11, "0"));
  put(148, " ".repeat(8));
  put(156, member.type ?? "0");
  put(157, member.target ?? "");
  put(257, "ustar\x0000");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return header;
}

export function arOf(members: readonly (readonly [name: string, data: Uint8Array])[]): Uint8Array {
  const parts = members.flatMap(([name, data]) => [
    bytesOf(
      `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(data.length).padEnd(10)}\`\n`,
    ),
    data,
    new Uint8Array(data.length & 1),
  ]);
  return join([bytesOf("!<arch>\n"), ...parts]);
}

export function debOf(members: readonly Member[]): Uint8Array {
  return arOf([
    ["debian-binary", bytesOf("2.0\n")],
    ["control.tar", tarOf([])],
    ["data.tar", tarOf(members)],
  ]);
}

/** An ELF file with what a kernel module says in `.modinfo`. */
export function moduleOf(info: readonly string[]): Uint8Array {
  const modinfo = bytesOf(info.map((line) => `${line}\0`).join(""));
  const names = bytesOf("\0.modinfo\0.shstrtab\0");
  const sectionsAt = 64 + modinfo.length + names.length;
  const file = new Uint8Array(sectionsAt + 3 * 64);
  const view = elfHeader(file);
  view.setBigUint64(0x28, BigInt(sectionsAt), true);
  view.setUint16(0x3a, 64, true);
  view.setUint16(0x3c, 3, true);
  view.setUint16(0x3e, 2, true);
  file.set(modinfo, 64);
  file.set(names, 64 + modinfo.length);
  const section = (i: number, name: number, at: number, size: number): void => {
    view.setUint32(sectionsAt + i * 64, name, true);
    view.setBigUint64(sectionsAt + i * 64 + 0x18, BigInt(at), true);
    view.setBigUint64(sectionsAt + i * 64 + 0x20, BigInt(size), true);
  };
  section(1, 1, 64, modinfo.length);
  section(2, 10, 64 + modinfo.length, names.length);
  return file;
}

/** An ELF file that is linked against libraries. */
export function linkedAgainst(sonames: readonly string[], interpreter?: string): Uint8Array {
  const strings = bytesOf(`\0${sonames.map((name) => `${name}\0`).join("")}${interpreter ?? ""}\0`);
  const headersAt = 64;
  const dynamicAt = headersAt + 3 * 56;
  const stringsAt = dynamicAt + (sonames.length + 2) * 16;
  const file = new Uint8Array(stringsAt + strings.length);
  const view = elfHeader(file);
  view.setBigUint64(0x20, BigInt(headersAt), true);
  view.setUint16(0x36, 56, true);
  view.setUint16(0x38, interpreter ? 3 : 2, true);
  const loadedAt = 0x400000;
  const segment = (i: number, type: number, at: number, size: number): void => {
    view.setUint32(headersAt + i * 56, type, true);
    view.setBigUint64(headersAt + i * 56 + 8, BigInt(at), true);
    view.setBigUint64(headersAt + i * 56 + 16, BigInt(loadedAt + at), true);
    view.setBigUint64(headersAt + i * 56 + 32, BigInt(size), true);
  };
  segment(0, 1, 0, file.length);
  segment(1, 2, dynamicAt, stringsAt - dynamicAt);
  const interpreterAt = stringsAt + 1 + sonames.reduce((sum, name) => sum + name.length + 1, 0);
  if (interpreter) segment(2, 3, interpreterAt, interpreter.length + 1);
  let name = 1;
  const tags = sonames.map((soname) => {
    const at = name;
    name += soname.length + 1;
    return [1, at];
  });
  [...tags, [5, loadedAt + stringsAt], [0, 0]].forEach(([tag, value], i) => {
    view.setBigUint64(dynamicAt + i * 16, BigInt(tag), true);
    view.setBigUint64(dynamicAt + i * 16 + 8, BigInt(value), true);
  });
  file.set(strings, stringsAt);
  return file;
}

function elfHeader(file: Uint8Array): DataView {
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  return new DataView(file.buffer);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
