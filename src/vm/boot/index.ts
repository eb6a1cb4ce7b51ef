export { bootBytes, bootMachine } from "./boot-machine.ts";
export { BootError } from "./boot-error.ts";
export type { BootBytes, BootFile } from "./boot-bytes.ts";
export { withoutZeros } from "./elf.ts";
export { unpackKernel } from "./kernel-image.ts";
