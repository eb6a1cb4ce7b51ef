/** `page-server`: keeps pages of machines on other hosts. */
import { command, seconds, size, text } from "../schema.ts";

const mib = 2 ** 20;

export const pageServerCommand = command({
  name: "page-server",
  summary: "keep memory of machines that run elsewhere",
  options: {
    listen: { ...text("[ADDRESS:]PORT", "where machines find it"), byDefault: "127.0.0.1:8766" },
    secret: text("FILE", "a file with the secret that machines have to know; else one is made up and printed"),
    limit: size("1G", mib, 64 * 1024 * mib, "keep no more than this"),
    store: text("FOLDER", "keep pages in this folder: they outlive the server"),
    keep: { ...seconds("so long pages wait for a machine whose connection is gone"), byDefault: "600" },
  },
  notes: `It runs until it is interrupted. What goes over the wire is not encrypted, unless the machine's memory is (docs/remote-memory.md).`,
});
