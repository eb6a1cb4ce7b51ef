/**
 * Mounting a FUSE file system on Linux: /dev/fuse and mount(2) for root, for others fusermount3, which is root's by its mode and
 * passes an open /dev/fuse over a socket (fuse(4), fusermount3(1), unix(7)). Through node:ffi, which Node has from 26.1 on.
 */
import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { VmError } from "#control";
import { nodeFfi } from "../node-ffi.ts";

const flags = { MS_NOSUID: 2, MS_NODEV: 4, MS_NOEXEC: 8 } as const;
const MNT_FORCE = 1;
const MNT_DETACH = 2;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const EBUSY = 16;

/** What fusermount3 is told of the number of its end of the socket. */
const socketVariable = "_FUSE_COMMFD";
const helpers = ["fusermount3", "fusermount"] as const;

export interface FuseMount {
  /** Of /dev/fuse: requests are read from it, answers written to it. */
  readonly descriptor: number;
  /** False: somebody uses the file system still; it is out of sight and goes with its last user. */
  unmount(): boolean;
}

/** Throws `VmError` that says what is missing. */
export function mountFuse(folder: string, subtype: string): FuseMount {
  const libc = bind();
  return process.getuid?.() === 0 ? mountAsRoot(libc, folder, subtype) : mountByHelper(libc, folder, subtype);
}

type Libc = NonNullable<ReturnType<typeof load>>;

function bind(): Libc {
  const libc = process.platform === "linux" ? load() : undefined;
  if (libc) return libc;
  throw cannot("that takes Linux and Node 26 with node:ffi");
}

function cannot(why: string): VmError {
  const without = "`memvisor mem NAME FILE` reads them without";
  return new VmError("machine", `files about memory cannot be mounted here: ${why}; ${without}`);
}

function load() {
  try {
    const ffi = nodeFfi();
    if (ffi === undefined) return undefined;
    const { functions } = ffi.dlopen(null, {
      mount: { arguments: ["string", "string", "string", "u64", "string"], return: "i32" },
      umount2: { arguments: ["string", "i32"], return: "i32" },
      socketpair: { arguments: ["i32", "i32", "i32", "u64"], return: "i32" },
      recvmsg: { arguments: ["i32", "u64", "i32"], return: "i64" },
      __errno_location: { arguments: [], return: "pointer" },
    });
    return {
      ...functions,
      errno: (): number => ffi.getInt32(functions.__errno_location(), 0),
      addressOf: (bytes: ArrayBuffer): bigint => ffi.getRawPointer(bytes),
    };
  } catch {
    // A libc without these.
    return undefined;
  }
}

function mountAsRoot(libc: Libc, folder: string, subtype: string): FuseMount {
  const descriptor = openDevice();
  const options = `fd=${descriptor},rootmode=40000,user_id=0,group_id=0,default_permissions`;
  const { MS_NOSUID, MS_NODEV, MS_NOEXEC } = flags;
  const how = BigInt(MS_NOSUID | MS_NODEV | MS_NOEXEC);
  if (libc.mount(subtype, folder, `fuse.${subtype}`, how, options) !== 0) {
    const error = libc.errno();
    closeSync(descriptor);
    throw new VmError("machine", `${folder} cannot be mounted on: mount(2) fails with error ${error}`);
  }
  return {
    descriptor,
    unmount: () => {
      // Ends the connection whoever uses it, so that nobody waits for answers.
      if (libc.umount2(folder, MNT_FORCE) === 0) return true;
      if (libc.errno() !== EBUSY) return true;
      libc.umount2(folder, MNT_DETACH);
      return true;
    },
  };
}

function openDevice(): number {
  try {
    return openSync("/dev/fuse", "r+");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw cannot(
      code === "ENOENT" ? "there is no /dev/fuse (the kernel's module fuse)" : `/dev/fuse cannot be opened (${code})`,
    );
  }
}

function mountByHelper(libc: Libc, folder: string, subtype: string): FuseMount {
  const pair = new ArrayBuffer(8);
  if (libc.socketpair(AF_UNIX, SOCK_STREAM, 0, libc.addressOf(pair)) !== 0)
    throw cannot(`there is no socket for fusermount3, error ${libc.errno()}`);
  const [ours = -1, theirs = -1] = new Int32Array(pair);
  const options = `fsname=${subtype},subtype=${subtype},nosuid,nodev,noexec,default_permissions`;
  try {
    const helper = runHelper(["-o", options, "--", folder], theirs);
    const descriptor = receiveDescriptor(libc, ours);
    return {
      descriptor,
      unmount: () => {
        if (spawnSync(helper, ["-u", "--", folder], { stdio: "ignore" }).status === 0) return true;
        spawnSync(helper, ["-u", "-z", "--", folder], { stdio: "ignore" });
        return false;
      },
    };
  } finally {
    closeSync(ours);
  }
}

/** Which one did it. Closes the socket: nobody has this end any more. */
function runHelper(words: readonly string[], socket: number): string {
  const said: string[] = [];
  try {
    for (const helper of helpers) {
      // The socket is the child's descriptor 3.
      const { error, status, stderr } = spawnSync(helper, words, {
        stdio: ["ignore", "ignore", "pipe", socket],
        env: { ...process.env, [socketVariable]: "3" },
      });
      if (status === 0) return helper;
      if (!error) said.push(stderr.toString().trim());
    }
  } finally {
    closeSync(socket);
  }
  throw cannot(said[0] ?? "there is no fusermount3: install the package fuse3, or be root");
}

/**
 * The descriptor that comes with one byte. On 64-bit Linux a msghdr is: name, its length, iovec, how many, control, its length, flags; and
 * a cmsghdr: u64 length, i32 level, i32 type, then the descriptor.
 */
function receiveDescriptor(libc: Libc, socket: number): number {
  const [byte, vector, control, message] = [8, 16, 24, 56].map((bytes) => new ArrayBuffer(bytes)) as [
    ArrayBuffer,
    ArrayBuffer,
    ArrayBuffer,
    ArrayBuffer,
  ];
  new BigUint64Array(vector).set([libc.addressOf(byte), 1n]);
  new BigUint64Array(message).set([0n, 0n, libc.addressOf(vector), 1n, libc.addressOf(control), 24n, 0n]);
  const got = libc.recvmsg(socket, libc.addressOf(message), 0);
  const controlBytes = new BigUint64Array(message)[5] ?? 0n;
  if (got <= 0n || controlBytes < 20n) throw cannot("fusermount3 passed no descriptor of /dev/fuse");
  return new Int32Array(control)[4] ?? -1;
}
