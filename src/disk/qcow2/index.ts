export { createQcow2 } from "./create.ts";
export { openQcow2, type Qcow2Options } from "./disk.ts";
export { isQcow2, parseHeader } from "./header.ts";
