/** `memvisor cp`: files and folders between this host and a machine that runs. */
import { access } from "node:fs/promises";
import { basename, posix, resolve } from "node:path";
import { exitStatus } from "#control";
import { packPath, RemoteMachine, unpackTo } from "#host";
import { Failure } from "./failure.ts";
import { withMachineFailures } from "./machine-failures.ts";

interface Place {
  /** Undefined for this host. */
  readonly machine?: string;
  readonly path: string;
}

export async function copy(from: string, to: string): Promise<number> {
  const [source, target] = [placeOf(from), placeOf(to)];
  await withMachineFailures(async () => {
    if (source.machine !== undefined && target.machine !== undefined) {
      const [here, there] = [new RemoteMachine(source.machine), new RemoteMachine(target.machine)];
      return putInto(there, target.path, posix.basename(source.path), (name) => renamed(here, source.path, name));
    }
    if (source.machine !== undefined) {
      return unpackTo(new RemoteMachine(source.machine).packTar(source.path), target.path);
    }
    if (target.machine === undefined) throw new Failure("one side is in a machine: NAME:/path", exitStatus.usage);
    await access(source.path).catch((error: Error) => {
      throw new Failure(`${source.path} cannot be read: ${error.message}`, exitStatus.failure);
    });
    return putInto(new RemoteMachine(target.machine), target.path, basename(resolve(source.path)), (name) =>
      packPath(source.path, name),
    );
  });
  return exitStatus.success;
}

/** Under its own name into a folder that is there, else to the name that was given. */
async function putInto(
  machine: RemoteMachine,
  path: string,
  ownName: string,
  pack: (name: string) => AsyncIterable<Uint8Array>,
): Promise<void> {
  const into = path.endsWith("/") || (await machine.isFolder(path));
  const clean = path.replace(/\/+$/, "") || "/";
  const name = into ? ownName : posix.basename(clean);
  await machine.unpackTar(pack(name), into ? clean : posix.dirname(clean));
}

function renamed(machine: RemoteMachine, path: string, name: string): AsyncIterable<Uint8Array> {
  if (posix.basename(path) !== name) {
    throw new Failure("from machine to machine the name stays: copy into a folder that is there", exitStatus.usage);
  }
  return machine.packTar(path);
}

/** `NAME:/path`; a single letter before the colon is a drive of Windows. */
function placeOf(text: string): Place {
  const match =
    /^([A-Za-z0-9][A-Za-z0-9_.-]+):(.+)$/.exec(text) ??
    (process.platform === "win32" ? null : /^([A-Za-z0-9]):(.+)$/.exec(text));
  return match ? { machine: match[1], path: match[2] } : { path: text };
}
