/** A browser for tests and measurements: Debian's Chromium, or one that CHROMIUM names, without a window. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";

/** Where a Chromium is; undefined where there is none. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const paths = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return [process.env.CHROMIUM, ...paths].find((path) => path !== undefined && isExecutable(path));
}

export async function launchChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    // Chromium refuses to be root with a sandbox.
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
}

/** What the console shows. */
export async function consoleText(page: Page): Promise<string> {
  const rows = await page.locator(".xterm-rows > div").allTextContents();
  return rows.map((row) => row.trimEnd()).join("\n");
}

/** Waits until the console shows `wanted`, and gives all of it. */
export async function waitForConsole(page: Page, wanted: string | RegExp, timeoutMs: number): Promise<string> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const text = await consoleText(page);
    if (typeof wanted === "string" ? text.includes(wanted) : wanted.test(text)) return text;
    if (performance.now() > end) throw new Error(`the console does not show ${String(wanted)}:\n${text}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
