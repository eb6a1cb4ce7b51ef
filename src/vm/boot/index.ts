export { BootError } from "./boot-error.ts";
export type { ElfKernel, ElfSegment } from "./elf.ts";
export { parseElf } from "./elf.ts";
export type { Compression, Decoder, KernelImage, UnpackOptions } from "./kernel-image.ts";
export { unpackKernel } from "./kernel-image.ts";
export type { BootState, E820Entry, LinuxBootOptions } from "./linux-boot.ts";
export {
  bootCs,
  bootDs,
  bootLayout,
  E820_ACPI,
  E820_RAM,
  E820_RESERVED,
  e820Map,
  prepareLinuxBoot,
} from "./linux-boot.ts";
