export { BootError } from "./boot-error.ts";
export {
  E820_RESERVED,
  prepareLinuxBoot,
} from "./linux-boot.ts";
