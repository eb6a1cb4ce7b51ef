/**
 * Which memory object is to keep what is evicted, as plain data and as people write it: `compressed`, `file:PATH`,
 * `encrypted:file:PATH`; the outer one first.
 */
export type MemoryBacking =
  | { readonly kind: "plain" }
  | { readonly kind: "file"; readonly path: string }
  | ({ readonly kind: "remote" } & RemoteBacking)
  | { readonly kind: "compressed" | "encrypted" | "shared"; readonly inner?: MemoryBacking };

/** What the service of page servers is called on the I/O thread. */
export const farService = "remote memory";

/** Page servers (docs/remote-memory.md). */
export interface RemoteBacking {
  /** Each has all pages. */
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  /** A file whose first line is the secret that they know. */
  readonly secretFile: string;
}

export const backingWords =
  "compressed, encrypted, shared, plain, file:PATH or remote:HOST:PORT,HOST:PORT,secret=FILE; or one in another, such as encrypted:file:PATH";

const mostServers = 4;

/** The file that is at the bottom of it. */
export function fileOf(backing: MemoryBacking | undefined): string | undefined {
  if (backing === undefined) return undefined;
  if (backing.kind === "file") return backing.path;
  return "inner" in backing ? fileOf(backing.inner) : undefined;
}

/** Whether no plaintext of the guest's memory is to be anywhere but in its frames. */
export function isEncrypted(backing: MemoryBacking | undefined): boolean {
  if (backing === undefined) return false;
  return backing.kind === "encrypted" || ("inner" in backing && isEncrypted(backing.inner));
}

/** Undefined for what is none. */
export function parseBacking(text: string): MemoryBacking | undefined {
  const colon = text.indexOf(":");
  const kind = colon < 0 ? text : text.slice(0, colon);
  const rest = colon < 0 ? undefined : text.slice(colon + 1);
  switch (kind) {
    case "plain":
      return rest === undefined ? { kind } : undefined;
    case "file":
      return rest ? { kind, path: rest } : undefined;
    case "remote":
      return parseRemote(rest ?? "");
    case "compressed":
    case "encrypted":
    case "shared": {
      if (rest === undefined) return { kind };
      const inner = parseBacking(rest);
      return inner && { kind, inner };
    }
    default:
      return undefined;
  }
}

/** `HOST:PORT,HOST:PORT,secret=FILE`. A host is a name or an address, IPv6 in brackets. */
function parseRemote(text: string): MemoryBacking | undefined {
  const [list, secretFile] = text.split(",secret=");
  if (!list || !secretFile) return undefined;
  const servers = list.split(",").map((each) => {
    const [, host, port] = /^([\w.-]+|\[[\da-fA-F:.]+\]):(\d{1,5})$/.exec(each) ?? [];
    return { host: host?.replace(/^\[|\]$/g, "") ?? "", port: Number(port) };
  });
  if (servers.length > mostServers || servers.some(({ host, port }) => host === "" || !(port > 0 && port < 65536)))
    return undefined;
  return { kind: "remote", servers, secretFile };
}

/** The page servers of a backing, or of one within. */
export function remoteOf(backing: MemoryBacking | undefined): RemoteBacking | undefined {
  if (backing === undefined || backing.kind === "remote") return backing;
  return "inner" in backing ? remoteOf(backing.inner) : undefined;
}
