/**
 * The page on this computer, or as a folder for any static server.
 *
 *   npm run web                        builds it with the default image, serves it, prints its address
 *   npm run web:build -- --out site    builds it only
 *   npm run web:screenshot             makes docs/web.png
 */
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { prepareImage } from "#host/images";
import { defaultImage, imageReferences } from "#images";
import { takeScreenshot } from "./web/screenshot.ts";
import { buildSite } from "./web/site.ts";
import { serveSite } from "./web/site-server.ts";

const usage = `npm run web -- [options]            builds the page and serves it on this computer
npm run web:build -- [options]      builds the page as a folder for a static server
  --image NAME    an image to offer, once for each (default ${defaultImage}); "all" for all of them
  --out FOLDER    where the files go (default site/)
  --port N        where to serve (default 8086; 0 takes any that is free)`;

const { values, positionals } = parseArgs({
  options: {
    image: { type: "string", multiple: true, default: [defaultImage] },
    out: { type: "string", default: join(fileURLToPath(new URL("../", import.meta.url)), "site") },
    port: { type: "string", default: "8086" },
    help: { type: "boolean", short: "h" },
  },
  allowPositionals: true,
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const names = values.image.includes("all") ? imageReferences.map(({ name }) => name) : values.image;
for (const name of names) {
  let phase = "";
  await prepareImage(name, {
    onProgress: (progress) => {
      if (progress.phase !== phase) console.log(`${name}: ${(phase = progress.phase)}`);
    },
  });
}
const folder = resolve(values.out);
await buildSite(folder, names);
if (positionals[0] === "screenshot") {
  await using server = await serveSite(folder, 0);
  await takeScreenshot(server.url, fileURLToPath(new URL("../docs/web.png", import.meta.url)));
} else if (positionals[0] === "build")
  console.log(`the page is in ${folder}; docs/web.md says what its server has to send`);
else {
  const server = await serveSite(folder, Number(values.port)).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === "EADDRINUSE" ? `port ${values.port} is taken: pass --port` : error.message;
    console.error(why);
    process.exit(1);
  });
  console.log(`${server.url}   Ctrl-C ends it`);
}
