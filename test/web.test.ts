/**
 * The page in a browser: a machine boots to a shell, hears and answers, takes files and gives them back.
 *
 * Skipped where there is no Chromium or no prepared image (`.ci/run` installs and prepares them on Debian).
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openImage } from "#host/images";
import { startRelay } from "#host/relay";
import { parseAllow } from "#net/rules";
import { findChromium, launchChromium, waitForConsole } from "../tools/web/chromium.ts";
import { buildSite } from "../tools/web/site.ts";
import { type SiteServer, serveSite } from "../tools/web/site-server.ts";

const imageName = "debian-12-cloud";
const executable = findChromium();
const image = await openImage(imageName).catch(() => undefined);

const bootMs = 60_000;
const commandMs = 20_000;

describe.skipIf(executable === undefined || image === undefined)("the page in Chromium", () => {
  let folder = "";
  let server: SiteServer;
  let browser: Browser;
  let page: Page;
  const errors: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "memvisor-site-"));
    await buildSite(folder, [imageName]);
    server = await serveSite(folder, 0);
    browser = await launchChromium(executable ?? "");
    page = await (await browser.newContext()).newPage();
    // A page with a machine asks before it is left.
    page.on("dialog", (dialog) => void dialog.accept());
    page.on("pageerror", (error) => errors.push(error.message));
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs a line in the guest's shell, and waits until the console shows what matches. */
  async function type(line: string, wanted: RegExp): Promise<string> {
    await page.locator(".xterm-helper-textarea").focus();
    await page.keyboard.type(`${line}\n`);
    return waitForConsole(page, wanted, commandMs);
  }

  test("boots to a shell that answers", { timeout: bootMs + commandMs }, async () => {
    await page.goto(server.url);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await waitForConsole(page, /~ #$/m, bootMs);
    expect(await page.locator("#status-text").textContent()).toBe("Running");
    await type("uname -m; echo $((6 * 7))", /^x86_64\n42$/m);
  });

  test("shows what the machine does", { timeout: commandMs }, async () => {
    const mips = async (): Promise<number> => Number(await page.locator("#mips").textContent());
    await expect.poll(mips, { timeout: commandMs }).toBeGreaterThan(0);
    expect(await page.locator("#touched").textContent()).toMatch(/^\d+(\.\d)? MiB$/);
  });

  test("uploads and downloads a file, byte for byte", { timeout: 2 * commandMs }, async () => {
    const bytes = randomBytes(200_000);
    const sum = createHash("sha256").update(bytes).digest("hex");
    await page.locator("#upload-files").setInputFiles({ name: "it's here.bin", mimeType: "", buffer: bytes });
    const row = page.getByRole("button", { name: "Download it's here.bin", exact: true });
    await row.waitFor({ timeout: commandMs });
    await type("sha256sum it*.bin", new RegExp(`^${sum}`, "m"));
    const [download] = await Promise.all([page.waitForEvent("download", { timeout: commandMs }), row.click()]);
    expect(download.suggestedFilename()).toBe("it's here.bin");
    expect((await readFile(await download.path())).equals(bytes)).toBe(true);
  });

  test("says that the guest powered off, and starts again with two processors", { timeout: 2 * bootMs }, async () => {
    await page.getByRole("button", { name: "Power off" }).click();
    await page.getByText("The guest powered off.").waitFor({ timeout: commandMs });
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Processors").selectOption("2");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await waitForConsole(page, /~ #$/m, bootMs);
    await type("nproc", /^2$/m);
  });

  test("has a network by a relay", { timeout: 2 * bootMs }, async () => {
    const web = createServer((_, response) => void response.end("from the host\n"));
    await new Promise<void>((listening) => void web.listen(0, "127.0.0.1", listening));
    const { port } = web.address() as AddressInfo;
    const allow = [parseAllow(`localhost:${port}`)];
    const relay = await startRelay({ address: "127.0.0.1", port: 0, token: "secret", allow });
    try {
      await page.goto(`${server.url}?start&cpus=1&relay=${encodeURIComponent(`ws://127.0.0.1:${relay.port}/#secret`)}`);
      await waitForConsole(page, /~ #$/m, bootMs);
      await type(`wget -q -O - http://10.0.2.2:${port}/`, /^from the host$/m);
    } finally {
      await relay.close();
      web.close();
    }
  });

  test("keeps its disk when the page is loaded anew", { timeout: 2 * bootMs }, async () => {
    await page.getByRole("button", { name: "Stop" }).click();
    const mounted = "until grep -q ' /disk ' /proc/mounts; do sleep 0.1; done";
    for (const [line, answer] of [
      [`${mounted}; echo kept $((40 + 2)) >/disk/note; sync; cat /disk/note`, /^kept 42/m],
      [`${mounted}; cat /disk/note`, /^kept 42/m],
    ] as const) {
      await page.goto(`${server.url}?relay=`);
      await page.getByLabel("Disk, kept in this browser").check();
      await page.getByLabel("Processors").selectOption("1");
      await page.getByRole("button", { name: "Start", exact: true }).click();
      await waitForConsole(page, /~ #$/m, bootMs);
      await type(line, answer);
    }
  });

  test("does not share its disk with another tab, and says so", { timeout: bootMs }, async () => {
    const second = await page.context().newPage();
    await second.goto(`${server.url}?relay=`);
    await second.getByLabel("Disk, kept in this browser").check();
    await second.getByRole("button", { name: "Start", exact: true }).click();
    await second.getByText("another tab uses this disk").waitFor({ timeout: bootMs });
    await second.close();
  });

  test("tells a panic from an orderly end, and why", { timeout: bootMs }, async () => {
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Stopped.").waitFor();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByText("More", { exact: true }).click();
    await page.getByLabel("Kernel command line").fill("rdinit=/none");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByText("The guest's kernel panicked.").waitFor({ timeout: bootMs });
    expect(await page.locator("#ended-detail").textContent()).toContain("VFS: Unable to mount root fs");
  });

  test("runs without an error of the page", () => expect(errors).toEqual([]));

  test("says what is wrong where the server does not isolate the page", { timeout: bootMs }, async () => {
    await using bare = await serveSite(folder, 0, {});
    const plain = await browser.newPage();
    await plain.goto(bare.url);
    await plain.getByText("This page is not cross-origin isolated").waitFor();
    expect(await plain.getByRole("button", { name: "Start", exact: true }).isVisible()).toBe(false);
    await plain.close();
  });
});
