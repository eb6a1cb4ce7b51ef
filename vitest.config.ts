import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    // Machines and judges share two cores in CI: what takes a second alone may take ten there.
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
