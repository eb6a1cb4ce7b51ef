/**
 * A FUSE server on a share: one request after the other, each answered at once.
 *
 * Requests and answers lie in the guest's memory, data is read and written there without a copy.
 *
 * Laws: those of `respond`. An entry that does not reach the guest is not counted as looked up.
 */
import { entryBytes, fileType, initFlag, maxWriteBytes, openFlag, outHeaderBytes } from "./protocol.ts";
import { attributesReply, dirEntry, dirEntrySize, entryReply, initReply, openReply, statfsReply } from "./reply.ts";
import type { Header, Request } from "./request.ts";
import { type Body, readBody, respond, writeBody } from "./respond.ts";
import { parseSession } from "./session.ts";
import { type DirectoryEntry, type Entry, type Opened, ShareError, type ShareHost } from "./share-host.ts";
import type { ByteVector } from "./vector.ts";
import type { LentHandle } from "./wire.ts";

/** What the answer to a request takes that leaves something behind: an entry that counts, or a handle. */
const roomFor: Partial<Record<Request["kind"], number>> = {
  lookup: entryBytes,
  symlink: entryBytes,
  mknod: entryBytes,
  mkdir: entryBytes,
  link: entryBytes,
  create: entryBytes + 16,
  open: 16,
  opendir: 16,
};
const nothing = new Uint8Array(0);

const wantedFlags =
  initFlag.asyncRead |
  initFlag.atomicTruncate |
  initFlag.bigWrites |
  initFlag.autoInvalidate |
  initFlag.readdirplus |
  initFlag.readdirplusAuto |
  initFlag.asyncDirectIo |
  initFlag.parallelDirectories |
  initFlag.maxPages |
  initFlag.cacheSymlinks;

interface Listing {
  readonly handle: number;
  readonly offset: number;
}

export class FuseServer {
  readonly #host: ShareHost;
  #ready = false;
  /** What the last request has opened, where it is lent. */
  lent: LentHandle | undefined;

  constructor(host: ShareHost) {
    this.#host = host;
  }

  /** What the guest relies on, for `restore`; nothing when it has not begun. */
  save(): Uint8Array {
    return this.#ready ? new TextEncoder().encode(JSON.stringify(this.#host.save())) : nothing;
  }

  /** Throws for bytes that `save` did not give. */
  restore(session: Uint8Array): void {
    this.reset();
    if (session.length === 0) return;
    this.#host.restore(parseSession(new TextDecoder().decode(session)));
    this.#ready = true;
  }

  /** The guest begins anew: nothing is open any more. */
  reset(): void {
    this.#ready = false;
    this.#host.reset();
  }

  /** Answers the request in `input` into `output`; the bytes that the answer has. */
  handle(input: ByteVector, output: ByteVector): number {
    this.lent = undefined;
    return respond(input, output, (header, request) => this.#answer(header, request, input, output));
  }

  #answer(header: Header, request: Request, input: ByteVector, output: ByteVector): Body {
    if (request.kind === "init") return this.#init(request);
    if (!this.#ready) throw new ShareError("EIO");
    if (output.length < outHeaderBytes && request.kind !== "forget" && request.kind !== "interrupt") return undefined;
    const host = this.#host;
    const { node } = header;
    switch (request.kind) {
      case "read":
        return readBody(request, output, (targets) => host.read(node, request.handle, request.offset, targets));
      case "write":
        return writeBody(header, request, input, (sources) =>
          host.write(node, request.handle, request.offset, sources),
        );
      case "readdir":
      case "readdirplus":
        return this.#list(
          header,
          request,
          request.kind === "readdirplus",
          Math.min(request.size, maxWriteBytes, output.length - outHeaderBytes),
        );
      default:
        return this.#small(header, request, output.length - outHeaderBytes);
    }
  }

  #small(
    { node, owner }: Header,
    request: Exclude<Request, { kind: "init" | "read" | "write" | "readdir" | "readdirplus" }>,
    room: number,
  ): Uint8Array | undefined {
    const host = this.#host;
    // What the driver gave no room for would be done, and could not be told.
    if (room < (roomFor[request.kind] ?? 0)) throw new ShareError("EINVAL");
    switch (request.kind) {
      case "forget":
        for (const [each, count] of request.nodes) host.forget(each, count);
        return undefined;
      case "interrupt":
        // Every request before this one has been answered.
        return undefined;
      case "destroy":
        this.reset();
        return nothing;
      case "access":
        // The guest's kernel checks permissions by what it knows, the host at each use.
        return nothing;
      case "lookup":
        return entryReply(host.lookup(node, request.name));
      case "getattr":
        return attributesReply(host.attributes(node, request.handle));
      case "setattr":
        return attributesReply(host.change(node, request.changes, request.handle));
      case "readlink":
        return latin1(host.readLink(node));
      case "symlink":
        return entryReply(host.symlink(node, request.name, request.target, owner));
      case "mknod":
        if ((request.mode & fileType.mask) !== fileType.regular) throw new ShareError("EPERM");
        return entryReply(host.makeFile(node, request.name, request.mode & 0o7777, owner));
      case "mkdir":
        return entryReply(host.makeDirectory(node, request.name, request.mode & 0o7777, owner));
      case "unlink":
        host.unlink(node, request.name);
        return nothing;
      case "rmdir":
        host.removeDirectory(node, request.name);
        return nothing;
      case "rename":
        // Exchange, no-replace and whiteout: a driver that hears ENOSYS makes EINVAL of it, which programs know.
        if (request.flags !== 0) throw new ShareError("ENOSYS");
        host.rename(node, request.name, request.newParent, request.newName);
        return nothing;
      case "link":
        return entryReply(host.link(request.oldNode, node, request.name));
      case "open": {
        const opened = host.open(node, request.flags);
        this.#lend(node, opened);
        return openReply(opened.handle, opened.keepCache ? openFlag.keepCache : 0);
      }
      case "create": {
        const made = host.create(node, request.name, request.flags, request.mode & 0o7777, owner);
        this.#lend(made.node, made);
        return entryReply(made, openReply(made.handle, 0));
      }
      case "release":
      case "releasedir":
        host.release(node, request.handle);
        return nothing;
      case "fsync":
        host.sync(node, request.handle, request.dataOnly);
        return nothing;
      case "fsyncdir":
        host.syncDirectory(node);
        return nothing;
      case "opendir":
        return openReply(host.openDirectory(node), 0);
      case "statfs":
        return statfsReply(host.statistics(node));
      case "unsupported":
        throw new ShareError(request.code);
      case "allocate":
        // An answer for this call alone: ENOSYS would be for all to come, which is the same here, but programs know EOPNOTSUPP.
        throw new ShareError("EOPNOTSUPP");
      case "seek":
        // A driver that hears it asks no more, and takes all of a file for data.
        throw new ShareError("ENOSYS");
    }
  }

  #lend(node: number, { handle, file }: Opened): void {
    if (file !== undefined) this.lent = { handle, node, file };
  }

  #init(request: Request & { kind: "init" }): Uint8Array {
    const reply = initReply(request, wantedFlags);
    this.reset();
    this.#ready = true;
    return reply;
  }

  /** As many entries as fit. */
  #list({ node }: Header, { handle, offset }: Listing, plus: boolean, room: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let length = 0;
    const put = (entry: DirectoryEntry, found?: Entry | "none"): boolean => {
      const bytes = dirEntry(entry, found);
      parts.push(bytes);
      length += bytes.length;
      return true;
    };
    const fits = ({ name }: DirectoryEntry): boolean => length + dirEntrySize(name, plus) <= room;
    for (let n = offset; n < dots.length; n++) {
      const entry = { name: dots[n], type: fileType.directory >> 12, next: n + 1 };
      if (!fits(entry)) return joined(parts, length);
      put(entry, plus ? "none" : undefined);
    }
    this.#host.readDirectory(node, handle, Math.max(offset - dots.length, 0), (each) => {
      const entry = { ...each, next: each.next + dots.length };
      return fits(entry) && put(entry, plus ? this.#find(node, each.name) : undefined);
    });
    return joined(parts, length);
  }

  /** What is listed may be gone by now. */
  #find(node: number, name: string): Entry | "none" {
    try {
      return this.#host.lookup(node, name);
    } catch {
      return "none";
    }
  }
}

const dots = [".", ".."];

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length }, (_, n) => text.charCodeAt(n));
}
