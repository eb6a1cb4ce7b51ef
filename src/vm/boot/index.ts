export { bootMachine } from "./boot-machine.ts";
export { BootError } from "./boot-error.ts";
export { unpackKernel } from "./kernel-image.ts";
