/** A driver of the FUSE server for tests: builds requests, takes answers apart; what fails is thrown by its errno's name. */

import { errno, inHeaderBytes, opcode } from "../../devices/virtio/fs/protocol.ts";
import { FuseServer } from "../../devices/virtio/fs/server.ts";
import type { ShareHost } from "../../devices/virtio/fs/share-host.ts";
import { ByteVector } from "../../devices/virtio/fs/vector.ts";

type Field = readonly ["u32" | "u64", number | bigint] | string | Uint8Array;

export const u32 = (value: number): Field => ["u32", value];
export const u64 = (value: number | bigint): Field => ["u64", value];

export interface Stat {
  readonly ino: bigint;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
}

export interface Found extends Stat {
  readonly node: number;
}

/** A failure that the server told. */
export class FuseFailure extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

const owner = { uid: 0, gid: 0 };
const root = 1;

export class FuseClient {
  readonly server: FuseServer;
  #unique = 1n;

  constructor(share: ShareHost) {
    this.server = new FuseServer(share);
    this.request(opcode.init, 0, [u32(7), u32(38), u32(1 << 20), u32(0xffff_ffff)]);
  }

  /** One request and the body of its answer. Names are followed by a zero. */
  request(op: number, node: number, fields: readonly Field[], room = 4096): Uint8Array {
    const body = Buffer.concat(fields.map(encode));
    const head = new DataView(new ArrayBuffer(inHeaderBytes));
    head.setUint32(0, inHeaderBytes + body.length, true);
    head.setUint32(4, op, true);
    head.setBigUint64(8, this.#unique++, true);
    head.setBigUint64(16, BigInt(node), true);
    head.setUint32(24, owner.uid, true);
    head.setUint32(28, owner.gid, true);
    const output = new Uint8Array(16 + room);
    // In two pieces, as a driver's are.
    const cut = 16 + Math.floor(room / 2);
    const length = this.server.handle(
      new ByteVector([new Uint8Array(head.buffer), body]),
      new ByteVector([output.subarray(0, cut), output.subarray(cut)]),
    );
    if (length === 0) return new Uint8Array(0);
    const answer = new DataView(output.buffer);
    const error = -answer.getInt32(4, true);
    if (error !== 0) throw new FuseFailure(Object.entries(errno).find(([, each]) => each === error)?.[0] ?? `${error}`);
    return output.slice(16, answer.getUint32(0, true));
  }

  lookup(parent: number, name: string): Found {
    return entryOf(this.request(opcode.lookup, parent, [name]));
  }

  /** The file at a path from the root; looked up component by component. */
  walk(path: string): Found {
    let found = { node: root } as Found;
    for (const name of path.split("/").filter(Boolean)) found = this.lookup(found.node, name);
    return found;
  }

  forget(node: number, count: number): void {
    this.request(opcode.forget, node, [u64(count)]);
  }

  getattr(node: number): Stat {
    return attributesOf(this.request(opcode.getattr, node, [u32(0), u32(0), u64(0)]), 16);
  }

  /** `valid`: FATTR_* bits. */
  setattr(
    node: number,
    valid: number,
    values: { size?: number; mode?: number; uid?: number; gid?: number; mtime?: number } = {},
  ): Stat {
    const { size = 0, mode = 0, uid = 0, gid = 0, mtime = 0 } = values;
    const fields = [
      ...[u32(valid), u32(0), u64(0), u64(size), u64(0), u64(mtime), u64(mtime), u64(0)],
      ...[u32(0), u32(0), u32(0), u32(mode), u32(0), u32(uid), u32(gid), u32(0)],
    ];
    return attributesOf(this.request(opcode.setattr, node, fields), 16);
  }

  mkdir(parent: number, name: string, mode = 0o755): Found {
    return entryOf(this.request(opcode.mkdir, parent, [u32(mode), u32(0), name]));
  }

  symlink(parent: number, name: string, target: string): Found {
    return entryOf(this.request(opcode.symlink, parent, [name, target]));
  }

  readlink(node: number): string {
    return Buffer.from(this.request(opcode.readlink, node, [])).toString("latin1");
  }

  link(node: number, parent: number, name: string): Found {
    return entryOf(this.request(opcode.link, parent, [u64(node), name]));
  }

  unlink(parent: number, name: string): void {
    this.request(opcode.unlink, parent, [name]);
  }

  rmdir(parent: number, name: string): void {
    this.request(opcode.rmdir, parent, [name]);
  }

  rename(parent: number, name: string, newParent: number, newName: string, flags = 0): void {
    this.request(opcode.rename2, parent, [u64(newParent), u32(flags), u32(0), name, newName]);
  }

  create(parent: number, name: string, flags = 2, mode = 0o644): Found & { handle: number } {
    const body = this.request(opcode.create, parent, [u32(flags | 0o100), u32(mode), u32(0), u32(0), name]);
    return { ...entryOf(body), handle: Number(view(body).getBigUint64(128, true)) };
  }

  open(node: number, flags = 0): { handle: number; keepCache: boolean } {
    const body = view(this.request(opcode.open, node, [u32(flags), u32(0)]));
    return { handle: Number(body.getBigUint64(0, true)), keepCache: (body.getUint32(8, true) & 2) !== 0 };
  }

  read(node: number, handle: number, offset: number, size: number): Uint8Array {
    const fields = [u64(handle), u64(offset), u32(size), u32(0), u64(0), u32(0), u32(0)];
    return this.request(opcode.read, node, fields, size);
  }

  write(node: number, handle: number, offset: number, data: Uint8Array): number {
    const fields = [u64(handle), u64(offset), u32(data.length), u32(0), u64(0), u32(0), u32(0), data];
    return view(this.request(opcode.write, node, fields)).getUint32(0, true);
  }

  release(node: number, handle: number): void {
    this.request(opcode.release, node, [u64(handle), u32(0), u32(0), u64(0)]);
  }

  opendir(node: number): number {
    return Number(view(this.request(opcode.opendir, node, [u32(0), u32(0)])).getBigUint64(0, true));
  }

  /** Names and where the next one begins, from one answer. */
  readdir(node: number, handle: number, offset: number, size = 4096, plus = false): { name: string; next: number }[] {
    const fields = [u64(handle), u64(offset), u32(size), u32(0), u64(0), u32(0), u32(0)];
    const body = this.request(plus ? opcode.readdirplus : opcode.readdir, node, fields, size);
    const entries: { name: string; next: number }[] = [];
    for (let at = 0; at < body.length; ) {
      const entry = at + (plus ? 128 : 0);
      const length = view(body).getUint32(entry + 16, true);
      const name = Buffer.from(body.subarray(entry + 24, entry + 24 + length)).toString("latin1");
      entries.push({ name, next: Number(view(body).getBigUint64(entry + 8, true)) });
      at = entry + ((24 + length + 7) & ~7);
    }
    return entries;
  }

  /** All names of a directory, sorted, by as many answers as it takes. */
  list(node: number, size = 4096, plus = false): string[] {
    const handle = this.opendir(node);
    const names: string[] = [];
    for (let offset = 0; ; ) {
      const part = this.readdir(node, handle, offset, size, plus);
      if (part.length === 0) break;
      names.push(...part.map(({ name }) => name));
      offset = part.at(-1)?.next ?? 0;
    }
    this.request(opcode.releasedir, node, [u64(handle), u32(0), u32(0), u64(0)]);
    return names.filter((name) => name !== "." && name !== "..").sort();
  }
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function encode(field: Field): Uint8Array {
  if (typeof field === "string") return Buffer.from(`${field}\0`, "latin1");
  if (field instanceof Uint8Array) return field;
  const [type, value] = field;
  const bytes = Buffer.alloc(type === "u32" ? 4 : 8);
  if (type === "u32") bytes.writeUInt32LE(Number(value) >>> 0);
  else bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return bytes;
}

function entryOf(body: Uint8Array): Found {
  return { node: Number(view(body).getBigUint64(0, true)), ...attributesOf(body, 40) };
}

function attributesOf(body: Uint8Array, at: number): Stat {
  const v = view(body);
  return {
    ino: v.getBigUint64(at, true),
    size: Number(v.getBigUint64(at + 8, true)),
    mtimeNs: v.getBigInt64(at + 32, true) * 1_000_000_000n + BigInt(v.getUint32(at + 52, true)),
    mode: v.getUint32(at + 60, true),
    nlink: v.getUint32(at + 64, true),
    uid: v.getUint32(at + 68, true),
    gid: v.getUint32(at + 72, true),
  };
}
