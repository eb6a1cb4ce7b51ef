/**
 * Writes the kernel's initramfs format: cpio "newc", uncompressed (kernel documentation, "initramfs buffer format").
 *
 * Law: the same entries in the same order give the same bytes: times are zero, owner is root, inode numbers count up.
 */
export interface CpioEntry {
  readonly path: string;
  /** Type and permissions as in stat(2). */
  readonly mode: number;
  readonly data: Uint8Array;
  /** Of a device node. */
  readonly device?: readonly [major: number, minor: number];
}

export const fileType = { directory: 0o040000, character: 0o020000, file: 0o100000, symlink: 0o120000 } as const;

const headerSize = 110;
const encoder = new TextEncoder();

export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const all = [...entries, { path: "TRAILER!!!", mode: 0, data: new Uint8Array(0) }];
  const names = all.map((entry) => encoder.encode(`${entry.path}\0`));
  const size = all.reduce((sum, entry, i) => sum + align(headerSize + names[i].length) + align(entry.data.length), 0);
  const bytes = new Uint8Array(size);
  let at = 0;
  all.forEach((entry, i) => {
    bytes.set(encoder.encode(header(entry, i + 1, names[i].length)), at);
    bytes.set(names[i], at + headerSize);
    at += align(headerSize + names[i].length);
    bytes.set(entry.data, at);
    at += align(entry.data.length);
  });
  return bytes;
}

function header(entry: CpioEntry, inode: number, nameSize: number): string {
  const links = (entry.mode & 0o170000) === fileType.directory ? 2 : 1;
  const [major, minor] = entry.device ?? [0, 0];
  // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
  const fields = [inode, entry.mode, 0, 0, links, 0, entry.data.length, 0, 0, major, minor, nameSize, 0];
  return `070701${fields.map((value) => value.toString(16).padStart(8, "0")).join("")}`;
}

const align = (size: number): number => (size + 3) & ~3;
