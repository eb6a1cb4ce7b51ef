import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type SiteServer, serveSite } from "./site-server.ts";

let folder = "";
let server: SiteServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "memvisor-server-"));
  await mkdir(join(folder, "site"));
  await writeFile(join(folder, "site", "index.html"), "<p>");
  await writeFile(join(folder, "site", "code-0123abcd.js"), "1");
  await writeFile(join(folder, "secret"), "secret");
  server = await serveSite(join(folder, "site"), 0);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** A request whose path no client has made straight. */
function status(path: string, method = "GET"): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(server.url, { path, method }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}

test("a page is isolated and asked for anew each time, code is kept", async () => {
  const page = await fetch(server.url);
  expect(Object.fromEntries(page.headers)).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cache-control": "no-cache",
  });
  const code = await fetch(`${server.url}code-0123abcd.js`);
  expect(code.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
  expect(code.headers.get("cache-control")).toContain("immutable");
});

test("no path leads out of the folder", async () => {
  for (const path of ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "//etc/passwd", "/%00", "/%"]) {
    expect([path, await status(path)]).toEqual([path, 404]);
  }
});

test("nothing but GET and HEAD is answered", async () => {
  expect([await status("/", "HEAD"), await status("/", "POST")]).toEqual([200, 405]);
});
