/**
 * A FUSE server for a tree of files about memory: what this host's kernel asks, one answer each, in whatever order they are done.
 *
 * Files are read and written past the kernel's cache, since what they say changes by itself.
 */
import { pageSize } from "#address";
import { VmError } from "#control";
import {
  type Attributes,
  allocateFlag,
  answerHeader,
  attributesReply,
  type Changes,
  dirEntry,
  dirEntrySize,
  entryReply,
  errno,
  fileType,
  type Header,
  inHeaderBytes,
  initFlag,
  initReply,
  maxWriteBytes,
  openFlag,
  openReply,
  parseRequest,
  type Request,
  ShareError,
  seekReply,
  seekTo,
  statfsReply,
  writeArgumentBytes,
  writeReply,
} from "#devices/fuse";
import {
  type FileFacts,
  type FolderEntry,
  type MemoryFile,
  MemoryFileError,
  type MemoryFolder,
  type OpenMemoryFile,
} from "#introspect/memory-files";
import { type Inode, Inodes } from "./inodes.ts";

const blockBytes = 512;
/** What programs read at a time that ask (st_blksize): each read goes a long way. */
const bestReadBytes = 128 << 10;
const nothing = new Uint8Array(0);
const wantedFlags = initFlag.asyncRead | initFlag.bigWrites | initFlag.parallelDirectories | initFlag.maxPages;
const punches = allocateFlag.punchHole | allocateFlag.zeroRange;

type Handle = { readonly file: OpenMemoryFile } | { readonly entries: readonly FolderEntry[] };

export class MemoryFuseServer {
  readonly #inodes: Inodes;
  readonly #owner: { readonly uid: number; readonly gid: number };
  readonly #handles = new Map<number, Handle>();
  readonly #born = BigInt(Date.now()) * 1_000_000n;
  #nextHandle = 1;

  constructor(root: MemoryFolder, owner: { readonly uid: number; readonly gid: number }) {
    this.#inodes = new Inodes(root);
    this.#owner = owner;
  }

  /** The answer's parts; undefined where none is due. `bytes`: the whole request. */
  async answer(header: Header, bytes: Uint8Array): Promise<readonly Uint8Array[] | undefined> {
    let error = 0;
    let reply: Uint8Array | undefined = nothing;
    try {
      reply = await this.#reply(header, bytes);
    } catch (thrown) {
      error = errnoOf(thrown);
    }
    return reply && [answerHeader(headerBytes + reply.length, error, header.unique), reply];
  }

  async #reply(header: Header, bytes: Uint8Array): Promise<Uint8Array | undefined> {
    const request = parseRequest(header, bytes);
    const { node } = header;
    switch (request.kind) {
      case "init":
        return initReply(request, wantedFlags);
      case "forget":
        for (const [each, count] of request.nodes) this.#inodes.forget(each, count);
        return undefined;
      case "interrupt":
        return undefined;
      case "lookup":
        return entryReply(await this.#find(node, request.name));
      case "getattr":
        return attributesReply(await this.#attributes(this.#inodes.at(node)));
      case "setattr":
        return attributesReply(await this.#change(this.#inodes.at(node), request.changes));
      case "opendir":
        return openReply(this.#hold({ entries: await this.#inodes.folder(node).entries() }), 0);
      case "readdir":
        return this.#list(request.handle, request.offset, request.size);
      case "open":
        return this.#open(this.#inodes.file(node), request.flags.write);
      case "create":
        return this.#create(node, request.name, request.flags.exclusive);
      case "read":
        return this.#file(request.handle).read(request.offset, Math.min(request.size, maxWriteBytes));
      case "write": {
        const from = inHeaderBytes + writeArgumentBytes;
        const { write } = this.#file(request.handle);
        if (!write) throw new ShareError("EPERM");
        return writeReply(await write(request.offset, bytes.subarray(from, from + request.size)));
      }
      case "allocate":
        await this.#allocate(request);
        return nothing;
      case "seek":
        return this.#seek(request);
      case "unlink":
        await this.#remove(node, request.name);
        return nothing;
      case "release":
      case "releasedir":
        this.#handles.delete(request.handle);
        return nothing;
      case "statfs":
        return statfsReply({ blockSize: pageSize, blocks: 0n, free: 0n, available: 0n, files: 0n, filesFree: 0n });
      case "access":
      case "destroy":
      case "fsync":
      case "fsyncdir":
        return nothing;
      case "unsupported":
        throw new ShareError(request.code);
      case "readdirplus":
        throw new ShareError("ENOSYS");
      case "readlink":
        throw new ShareError("EINVAL");
      case "symlink":
      case "mknod":
      case "mkdir":
      case "rmdir":
      case "rename":
      case "link":
        throw new ShareError("EPERM");
    }
  }

  async #find(parent: number, name: string): Promise<{ node: number; attributes: Attributes }> {
    const node = await this.#inodes.folder(parent).find(name);
    if (node === undefined) throw new ShareError("ENOENT");
    const facts = node.kind === "file" ? await node.facts() : undefined;
    const inode = this.#inodes.found(`${this.#inodes.at(parent).path}/${name}`, node);
    return { node: inode.number, attributes: this.#attributesOf(inode, facts) };
  }

  async #attributes(inode: Inode): Promise<Attributes> {
    const { node } = inode;
    return this.#attributesOf(inode, node.kind === "file" ? await node.facts() : undefined);
  }

  #attributesOf({ number, node }: Inode, facts: FileFacts | undefined): Attributes {
    const writable = node.kind === "folder" ? node.make !== undefined : facts?.writable;
    const mode = node.kind === "folder" ? fileType.directory | 0o500 : fileType.regular | 0o400;
    return {
      ino: BigInt(number),
      size: BigInt(facts?.size ?? 0),
      blocks: BigInt(Math.ceil((facts?.bytesHeld ?? 0) / blockBytes)),
      atimeNs: this.#born,
      mtimeNs: this.#born,
      ctimeNs: this.#born,
      mode: writable ? mode | 0o200 : mode,
      nlink: 1,
      ...this.#owner,
      rdev: 0,
      blksize: bestReadBytes,
    };
  }

  /** Taking away the right to write is a seal, and cannot be undone. Times and owners are what they are. */
  async #change(inode: Inode, { mode, size, uid, gid }: Changes): Promise<Attributes> {
    const { node } = inode;
    if (uid !== undefined || gid !== undefined) throw new ShareError("EPERM");
    if (node.kind === "file") {
      const facts = await node.facts();
      if (mode !== undefined) await setMode(node, facts, mode);
      if (size !== undefined && size !== facts.size) throw new ShareError("EPERM");
      if (size === 0) await node.truncate?.();
    } else if (mode !== undefined) throw new ShareError("EPERM");
    return this.#attributes(inode);
  }

  async #open(file: MemoryFile, write: boolean): Promise<Uint8Array> {
    if (write && !(await file.facts()).writable) throw new ShareError("EPERM");
    return openReply(this.#hold({ file: await file.open() }), openFlag.directIo);
  }

  async #create(parent: number, name: string, exclusive: boolean): Promise<Uint8Array> {
    const folder = this.#inodes.folder(parent);
    const known = await folder.find(name);
    if (known !== undefined && exclusive) throw new ShareError("EEXIST");
    if (known === undefined) {
      if (!folder.make) throw new ShareError("EPERM");
      await folder.make(name);
    }
    const entry = await this.#find(parent, name);
    return entryReply(entry, await this.#open(this.#inodes.file(entry.node), true));
  }

  async #remove(parent: number, name: string): Promise<void> {
    const { remove } = this.#inodes.folder(parent);
    if (!remove) throw new ShareError("EPERM");
    await remove(name);
    this.#inodes.removed(`${this.#inodes.at(parent).path}/${name}`);
  }

  async #allocate({ handle, offset, length, mode }: Request & { kind: "allocate" }): Promise<void> {
    const { punch } = this.#file(handle);
    if (!punch || (mode & punches) === 0 || (mode & ~(punches | allocateFlag.keepSize)) !== 0)
      throw new ShareError("EOPNOTSUPP");
    await punch(offset, length);
  }

  async #seek({ handle, offset, whence }: Request & { kind: "seek" }): Promise<Uint8Array> {
    const { seek } = this.#file(handle);
    if (!seek || (whence !== seekTo.data && whence !== seekTo.hole)) throw new ShareError("EINVAL");
    const found = await seek(offset, whence === seekTo.data ? "data" : "hole");
    if (found < 0) throw new ShareError("ENXIO");
    return seekReply(found);
  }

  #list(handle: number, offset: number, room: number): Uint8Array {
    const held = this.#handles.get(handle);
    if (held === undefined || !("entries" in held)) throw new ShareError("EBADF");
    const dots = [".", ".."].map((name) => ({ name, kind: "folder" as const }));
    const parts: Uint8Array[] = [];
    let length = 0;
    const all = [...dots, ...held.entries];
    for (let n = offset; n < all.length; n++) {
      const { name, kind } = all[n];
      length += dirEntrySize(name, false);
      if (length > room) break;
      const type = (kind === "folder" ? fileType.directory : fileType.regular) >> 12;
      parts.push(dirEntry({ name, type, next: n + 1 }));
    }
    return Buffer.concat(parts);
  }

  #hold(handle: Handle): number {
    this.#handles.set(this.#nextHandle, handle);
    return this.#nextHandle++;
  }

  #file(handle: number): OpenMemoryFile {
    const held = this.#handles.get(handle);
    if (held === undefined || !("file" in held)) throw new ShareError("EBADF");
    return held.file;
  }
}

const headerBytes = answerHeader(0, 0, 0n).length;
const writeBits = 0o222;

async function setMode(file: MemoryFile, { writable }: FileFacts, mode: number): Promise<void> {
  const wanted = (mode & writeBits) !== 0;
  if (wanted === writable) return;
  if (wanted || !file.seal) throw new ShareError("EPERM");
  await file.seal();
}

/** A machine that is gone is a device that is gone. */
function errnoOf(thrown: unknown): number {
  if (thrown instanceof ShareError || thrown instanceof MemoryFileError) return errno[thrown.code] ?? errno.EIO;
  const isGone = thrown instanceof VmError && (thrown.code === "machine" || thrown.code === "ended");
  return isGone ? errno.ENODEV : errno.EIO;
}
