/** `memvisor page-server`. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { exitStatus, type pageServerCommand, type ValuesOf } from "#control";
import { FilePageStore, PageStoreError, readSecret, SecretError, startPageServer } from "#host/page-server";
import { idBytes, MemoryPageStore, type PageStore } from "#memory/remote";
import { Failure } from "./failure.ts";
import { listenPlace } from "./listen-place.ts";

const defaultPort = 8766;
const defaultLimitBytes = 2 ** 30;
const defaultKeepMs = 600_000;
const pageBytes = 4096;

export async function pageServer(values: ValuesOf<typeof pageServerCommand>): Promise<number> {
  const { address, port } = listenPlace(values.listen, defaultPort);
  const secret = values.secret === undefined ? randomBytes(16).toString("hex") : secretOf(values.secret);
  const mostPages = Math.floor((values.limit ?? defaultLimitBytes) / pageBytes);
  const store = storeFor(values.store, mostPages);
  const log = (line: string): void => console.error(`memvisor: ${line}`);
  const running = await startPageServer({
    address,
    port,
    secret,
    store,
    keepMs: values.keep ?? defaultKeepMs,
    log,
  }).catch((error: unknown) => {
    throw new Failure((error as Error).message, exitStatus.usage);
  });
  console.log(`a page server is at ${address}:${running.port}`);
  if (values.secret === undefined) console.log(`its secret is ${secret}`);
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  await running.close();
  return exitStatus.success;
}

function storeFor(folder: string | undefined, mostPages: number): PageStore {
  if (folder === undefined) return new MemoryPageStore(randomBytes(idBytes), mostPages);
  try {
    return new FilePageStore(folder, mostPages);
  } catch (error) {
    if (error instanceof PageStoreError) throw new Failure(`--store ${error.message}`, exitStatus.usage);
    throw error;
  }
}

function secretOf(path: string): string {
  try {
    return readSecret(path);
  } catch (error) {
    if (error instanceof SecretError) throw new Failure(`--secret ${error.message}`, exitStatus.usage);
    throw error;
  }
}
