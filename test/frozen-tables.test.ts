import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { frozenModules, frozenSource } from "../tools/frozen-tables.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

test.for(frozenModules)("%s exports in the bundle what it does by itself", async (name) => {
  const file = join(root, name);
  const source = Buffer.from(await frozenSource(file)).toString("base64");
  const frozen = await import(/* @vite-ignore */ `data:text/javascript;base64,${source}`);
  const own = await import(/* @vite-ignore */ pathToFileURL(file).href);
  expect({ ...frozen }).toStrictEqual({ ...own });
});
