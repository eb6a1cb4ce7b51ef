/**
 * From the bytes of a FUSE request to what it asks for: the one place that parses them.
 *
 * Law: any bytes give a request or the name of an error. Nothing is read beyond the request, numbers are whole and exact, names
 * are not empty, have at most 255 bytes and hold no slash; "." and ".." are no names.
 */
import { accessMode, fsyncDataOnly, inHeaderBytes, opcode, openMode, setFlag, writeArgumentBytes } from "./protocol.ts";
import { type Changes, type NewTime, type OpenFlags, type Owner, ShareError } from "./share-host.ts";

export interface Header {
  /** Of the whole request, as it says itself. */
  readonly length: number;
  readonly opcode: number;
  readonly unique: bigint;
  readonly node: number;
  readonly owner: Owner;
}

export type Request =
  | {
      readonly kind: "init";
      readonly major: number;
      readonly minor: number;
      readonly readAhead: number;
      readonly flags: number;
    }
  | { readonly kind: "destroy" | "readlink" | "statfs" | "opendir" | "access" }
  /** Nobody waits any more for the answer to the request of that number. */
  | { readonly kind: "interrupt"; readonly unique: bigint }
  | { readonly kind: "lookup" | "unlink" | "rmdir"; readonly name: string }
  | { readonly kind: "forget"; readonly nodes: readonly (readonly [node: number, count: number])[] }
  | { readonly kind: "getattr"; readonly handle: number | undefined }
  | { readonly kind: "setattr"; readonly changes: Changes; readonly handle: number | undefined }
  | { readonly kind: "symlink"; readonly name: string; readonly target: string }
  | { readonly kind: "mknod" | "mkdir"; readonly name: string; readonly mode: number }
  | {
      readonly kind: "rename";
      readonly name: string;
      readonly newParent: number;
      readonly newName: string;
      readonly flags: number;
    }
  | { readonly kind: "link"; readonly oldNode: number; readonly name: string }
  | { readonly kind: "open"; readonly flags: OpenFlags }
  | { readonly kind: "create"; readonly flags: OpenFlags; readonly mode: number; readonly name: string }
  | {
      readonly kind: "read" | "readdir" | "readdirplus";
      readonly handle: number;
      readonly offset: number;
      readonly size: number;
    }
  | { readonly kind: "write"; readonly handle: number; readonly offset: number; readonly size: number }
  | { readonly kind: "release" | "releasedir"; readonly handle: number }
  | { readonly kind: "fsync" | "fsyncdir"; readonly handle: number; readonly dataOnly: boolean }
  /** fallocate(2), with its mode. */
  | {
      readonly kind: "allocate";
      readonly handle: number;
      readonly offset: number;
      readonly length: number;
      readonly mode: number;
    }
  /** lseek(2) to data or to a hole. */
  | { readonly kind: "seek"; readonly handle: number; readonly offset: number; readonly whence: number }
  | { readonly kind: "unsupported"; readonly code: "ENOSYS" | "EOPNOTSUPP" };

/** No request but a write is longer, data aside: two names or a name and a link's target. */
export const longestRequest = 16 * 1024;
const longestName = 255;
const longestTarget = 4095;
const maxForgets = 1024;

/** Requires: `inHeaderBytes` of them. */
export function parseHeader(bytes: Uint8Array): Header {
  const f = new Fields(bytes, 0);
  const length = f.u32();
  const op = f.u32();
  const unique = f.u64();
  return { length, opcode: op, unique, node: toNumber(f.u64()), owner: { uid: f.u32(), gid: f.u32() } };
}

/** Throws `ShareError` for bytes that are no request. `bytes`: header and arguments, without a write's data. */
export function parseRequest({ opcode: op, node }: Header, bytes: Uint8Array): Request {
  const f = new Fields(bytes, inHeaderBytes);
  switch (op) {
    case opcode.init: {
      const [major, minor] = [f.u32(), f.u32()];
      // Another major version sends nothing more than its number.
      return f.left < 8
        ? { kind: "init", major, minor, readAhead: 0, flags: 0 }
        : { kind: "init", major, minor, readAhead: f.u32(), flags: f.u32() };
    }
    case opcode.destroy:
      return { kind: "destroy" };
    case opcode.interrupt:
      return { kind: "interrupt", unique: f.left < 8 ? 0n : f.u64() };
    case opcode.lookup:
      return { kind: "lookup", name: f.name() };
    case opcode.forget:
      return { kind: "forget", nodes: [[node, toNumber(f.u64())]] };
    case opcode.batchForget:
      return { kind: "forget", nodes: forgets(f) };
    case opcode.getattr: {
      const flags = f.u32();
      f.u32();
      return { kind: "getattr", handle: (flags & 1) === 0 ? undefined : toNumber(f.u64()) };
    }
    case opcode.setattr:
      return setattr(f);
    case opcode.readlink:
      return { kind: "readlink" };
    case opcode.symlink:
      return { kind: "symlink", name: f.name(), target: f.text(longestTarget) };
    case opcode.mknod: {
      const mode = f.u32();
      f.skip(12);
      return { kind: "mknod", mode, name: f.name() };
    }
    case opcode.mkdir: {
      const mode = f.u32();
      f.skip(4);
      return { kind: "mkdir", mode, name: f.name() };
    }
    case opcode.unlink:
      return { kind: "unlink", name: f.name() };
    case opcode.rmdir:
      return { kind: "rmdir", name: f.name() };
    case opcode.rename:
      return { kind: "rename", newParent: toNumber(f.u64()), flags: 0, name: f.name(), newName: f.name() };
    case opcode.rename2: {
      const newParent = toNumber(f.u64());
      const flags = f.u32();
      f.skip(4);
      return { kind: "rename", newParent, flags, name: f.name(), newName: f.name() };
    }
    case opcode.link:
      return { kind: "link", oldNode: toNumber(f.u64()), name: f.name() };
    case opcode.open:
      return { kind: "open", flags: openFlags(f.u32()) };
    case opcode.create: {
      const [flags, mode] = [openFlags(f.u32()), f.u32()];
      f.skip(8);
      return { kind: "create", flags, mode, name: f.name() };
    }
    case opcode.read:
      return { kind: "read", ...extent(f) };
    case opcode.write: {
      const write = { kind: "write", ...extent(f) } as const;
      if (bytes.length < inHeaderBytes + writeArgumentBytes) throw new ShareError("EINVAL");
      return write;
    }
    case opcode.readdir:
      return { kind: "readdir", ...extent(f) };
    case opcode.readdirplus:
      return { kind: "readdirplus", ...extent(f) };
    case opcode.statfs:
      return { kind: "statfs" };
    case opcode.release:
      return { kind: "release", handle: toNumber(f.u64()) };
    case opcode.releasedir:
      return { kind: "releasedir", handle: toNumber(f.u64()) };
    case opcode.fsync:
      return { kind: "fsync", handle: toNumber(f.u64()), dataOnly: (f.u32() & fsyncDataOnly) !== 0 };
    case opcode.fsyncdir:
      return { kind: "fsyncdir", handle: toNumber(f.u64()), dataOnly: (f.u32() & fsyncDataOnly) !== 0 };
    case opcode.opendir:
      return { kind: "opendir" };
    case opcode.access:
      return { kind: "access" };
    case opcode.fallocate:
      return {
        kind: "allocate",
        handle: toNumber(f.u64()),
        offset: toNumber(f.u64()),
        length: toNumber(f.u64()),
        mode: f.u32(),
      };
    case opcode.lseek:
      return { kind: "seek", handle: toNumber(f.u64()), offset: toNumber(f.u64()), whence: f.u32() };
    default:
      // A driver that hears ENOSYS does not ask again: extended attributes, locks, copies, ioctl, poll. So with FLUSH, which
      // a driver else sends, and waits for, at each close: what was written is with the host already.
      return { kind: "unsupported", code: "ENOSYS" };
  }
}

function extent(f: Fields): { handle: number; offset: number; size: number } {
  return { handle: toNumber(f.u64()), offset: toNumber(f.u64()), size: f.u32() };
}

function forgets(f: Fields): [number, number][] {
  const count = Math.min(f.u32(), maxForgets);
  f.skip(4);
  return Array.from({ length: Math.min(count, f.left >> 4) }, () => [toNumber(f.u64()), toNumber(f.u64())]);
}

function setattr(f: Fields): Request {
  const valid = f.u32();
  f.skip(4);
  const has = (flag: number): boolean => (valid & flag) !== 0;
  const handle = toNumber(f.u64());
  const size = f.u64();
  f.skip(8);
  const [atime, mtime] = [f.u64(), f.u64()];
  f.skip(8);
  const [atimeNs, mtimeNs] = [f.u32(), f.u32()];
  f.skip(4);
  const mode = f.u32();
  f.skip(4);
  const [uid, gid] = [f.u32(), f.u32()];
  const time = (seconds: bigint, ns: number, now: number): NewTime =>
    has(now) ? "now" : BigInt.asIntN(64, seconds) * 1_000_000_000n + BigInt(ns);
  if (has(setFlag.size) && size > BigInt(Number.MAX_SAFE_INTEGER)) throw new ShareError("EFBIG");
  return {
    kind: "setattr",
    handle: has(setFlag.handle) ? handle : undefined,
    changes: {
      ...(has(setFlag.mode) && { mode: mode & 0o7777 }),
      ...(has(setFlag.uid) && { uid }),
      ...(has(setFlag.gid) && { gid }),
      ...(has(setFlag.size) && { size: Number(size) }),
      ...(has(setFlag.atime) && { atimeNs: time(atime, atimeNs, setFlag.atimeNow) }),
      ...(has(setFlag.mtime) && { mtimeNs: time(mtime, mtimeNs, setFlag.mtimeNow) }),
    },
  };
}

function openFlags(flags: number): OpenFlags {
  const mode = flags & accessMode;
  return {
    read: mode !== openMode.write,
    write: mode === openMode.write || mode === openMode.readWrite,
    append: (flags & openMode.append) !== 0,
    truncate: (flags & openMode.truncate) !== 0,
    exclusive: (flags & openMode.exclusive) !== 0,
    sync: (flags & openMode.sync) !== 0,
  };
}

/** One component of a path that leads down. */
export function isName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && name.length <= longestName && !/[/\0]/.test(name);
}

/** Numbers beyond what is exact name nothing: -1 is never in use. */
const toNumber = (value: bigint): number => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : -1);

/** Reads one field after the other; throws when the bytes are at their end. */
class Fields {
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get left(): number {
    return this.#view.byteLength - this.#at;
  }

  skip(bytes: number): void {
    if (bytes > this.left) throw new ShareError("EINVAL");
    this.#at += bytes;
  }

  u32(): number {
    this.skip(4);
    return this.#view.getUint32(this.#at - 4, true);
  }

  u64(): bigint {
    this.skip(8);
    return this.#view.getBigUint64(this.#at - 8, true);
  }

  /** Bytes up to a zero. */
  text(longest: number): string {
    let text = "";
    for (;;) {
      this.skip(1);
      const byte = this.#view.getUint8(this.#at - 1);
      if (byte === 0) break;
      text += String.fromCharCode(byte);
      if (text.length > longest) throw new ShareError("ENAMETOOLONG");
    }
    if (text === "") throw new ShareError("ENOENT");
    return text;
  }

  name(): string {
    const name = this.text(longestName);
    if (!isName(name)) throw new ShareError("EINVAL");
    return name;
  }
}
