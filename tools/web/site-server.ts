/** A static server for the page: on this computer only, with the two headers by which a page gets shared memory. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize, sep } from "node:path";

/** What any server of the page has to send (docs/web.md). */
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
} as const;

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Names with a checksum in them. */
const unchanging = /-[0-9A-Za-z_-]{8,}(\.[a-z]+)?$/;

export interface SiteServer extends AsyncDisposable {
  readonly url: string;
}

/** Port 0 takes any that is free. `headers` come with every answer: others than these are for tests. */
export async function serveSite(
  folder: string,
  port: number,
  headers: Readonly<Record<string, string>> = isolation,
): Promise<SiteServer> {
  const server = createServer((request, response) => void answer(folder, headers, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  folder: string,
  common: Readonly<Record<string, string>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refuse = (status: number): void => {
    response.writeHead(status, { ...common, "Content-Type": "text/plain" }).end(`${status}\n`);
  };
  if (request.method !== "GET" && request.method !== "HEAD") return refuse(405);
  const path = pathOf(folder, request.url ?? "/");
  const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (path === undefined || !found?.isFile()) return refuse(404);
  const etag = `"${found.size.toString(36)}-${found.mtimeMs.toString(36)}"`;
  const headers = {
    ...common,
    "Content-Type": types[extname(path)] ?? "application/octet-stream",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": unchanging.test(path) ? "public, max-age=31536000, immutable" : "no-cache",
    ETag: etag,
  };
  if (request.headers["if-none-match"] === etag) return void response.writeHead(304, headers).end();
  response.writeHead(200, { ...headers, "Content-Length": found.size });
  if (request.method === "HEAD") return void response.end();
  createReadStream(path)
    .on("error", () => response.destroy())
    .pipe(response);
}

/** Where a request's file would lie; undefined for what is no path, or leads out of the folder. */
function pathOf(folder: string, url: string): string | undefined {
  try {
    const asked = decodeURIComponent(new URL(url, "http://site").pathname);
    const path = normalize(join(folder, asked.endsWith("/") ? `${asked}index.html` : asked));
    return path.startsWith(normalize(folder + sep)) && !path.includes("\0") ? path : undefined;
  } catch {
    return undefined;
  }
}
