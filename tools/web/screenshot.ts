/** A picture of the page at work, for the documents. */
import { findChromium, launchChromium, waitForConsole } from "./chromium.ts";

const size = { width: 1280, height: 760 };
/** Typed one after the other; each ends when the prompt is back. */
const lines = [
  "until grep -q ' /disk ' /proc/mounts; do sleep 1; done",
  "uname -srm; nproc; grep -m1 'model name' /proc/cpuinfo",
  "df -h /disk",
  "dd if=/dev/zero bs=1M count=64 2>/dev/null | sha256sum",
  "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; echo $i",
];

export async function takeScreenshot(url: string, path: string): Promise<void> {
  const executable = findChromium();
  if (executable === undefined)
    throw new Error("there is no Chromium: apt-get install chromium, or name one in CHROMIUM");
  const browser = await launchChromium(executable);
  try {
    const page = await browser.newPage({ viewport: size, deviceScaleFactor: 1.5, colorScheme: "dark" });
    await page.goto(`${url}?start&disk&memory=512&cpus=2&append=quiet`);
    await waitForConsole(page, /~ #$/m, 120_000);
    for (const line of lines) {
      await page.keyboard.type(`${line}\n`);
      await waitForConsole(page, line.slice(0, 60), 60_000);
      await waitForConsole(page, /~ #\s*$/, 120_000);
    }
    await page.waitForTimeout(1500);
    await page.screenshot({ path });
  } finally {
    await browser.close();
  }
}
