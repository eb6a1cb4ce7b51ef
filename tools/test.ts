/**
 * `npm test`: everything that vitest finds, on a current runtime; arguments go to vitest.
 *
 * Law: the last line is the count, `N passed, N failed, N skipped`, and the status is 0 only when all that ran passed and
 * something ran.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureRuntime } from "./build-runtime.ts";

/** What we read of vitest's JSON report. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { status: string }[];
  }[];
}

await ensureRuntime();
const folder = mkdtempSync(join(tmpdir(), "memvisor-test-"));
try {
  const file = join(folder, "report.json");
  const status = await vitest([
    ...["run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`],
    ...process.argv.slice(2),
  ]);
  const { passed, failed, skipped } = count(file);
  const good = status === 0 && failed === 0 && passed > 0;
  if (status !== 0 && failed === 0) console.log(`vitest ended with status ${status}: see above`);
  console.log(`${passed} passed, ${good ? 0 : Math.max(failed, 1)} failed, ${skipped} skipped`);
  process.exitCode = good ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function vitest(args: readonly string[]): Promise<number> {
  const script = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: "inherit" });
  const [status] = (await once(child, "exit")) as [number | null];
  return status ?? 1;
}

function count(file: string): { passed: number; failed: number; skipped: number } {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, "utf8")) as Report;
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  // A file that cannot be loaded has no tests, and failed.
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && !assertionResults.some((each) => each.status === "failed"),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloaded.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
