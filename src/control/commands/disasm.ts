/** `disasm`: machine code as text. */
import { choice, command, text } from "../schema.ts";

export const disasmCommand = command({
  name: "disasm",
  summary: "disassemble an ELF file's code, or bytes given as hexadecimal digits",
  argument: { name: "CODE", help: 'a file, or digits as in "48 89 e5 c3"', required: true },
  options: {
    bits: choice(["64", "32"], "the mode that the code runs in"),
    address: text("ADDR", "the address of the first byte; for a file, where to start"),
    length: text("N", "how many bytes; for a file, all of the segment without it"),
  },
});
