import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "bench/**/*.test.ts", "tools/**/*.test.ts", "test/**/*.test.ts"],
    // All cores: vitest would leave one of two idle.
    maxWorkers: availableParallelism(),
    // Machines and judges share them: what takes a second alone may take a minute here.
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
});
