/** `disasm`: machine code as text. */
import { address, choice, command, count } from "../schema.ts";

export const disasmCommand = command({
  name: "disasm",
  summary: "disassemble bytes: hexadecimal digits, or a file without structure",
  argument: { name: "CODE", help: 'digits as in "48 89 e5 c3", or a file', required: true },
  options: {
    bits: choice(["64", "32"], "the mode that the code runs in"),
    address: address("of the first byte"),
    offset: count("N", 0, "bytes to leave out at the start"),
    length: count("N", 1, "how many bytes"),
  },
});
