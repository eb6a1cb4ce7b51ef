export { BootError } from "./boot-error.ts";
export { unpackKernel } from "./kernel-image.ts";
export {
  E820_RESERVED,
  prepareLinuxBoot,
} from "./linux-boot.ts";
