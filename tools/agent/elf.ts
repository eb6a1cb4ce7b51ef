/**
 * A static Linux program for x86-64 out of a WebAssembly module: code at 2 MiB, then the module's memory where its own
 * addresses are, from 4 MiB on (the module is compiled so that it uses none below), first a page for its globals.
 *
 * Nothing of the memory is in the file: the first instructions copy the module's data to where it belongs.
 */
import { MachineCode } from "./machine-code.ts";
import { translateModule } from "./translate.ts";
import { readModule } from "./wasm-module.ts";

const codeAddress = 0x20_0000;
const memoryAddress = 0x40_0000;
/** The module's own data begins here. */
export const firstDataAddress = memoryAddress + 0x1000;
const argumentAddress = memoryAddress + 0x800;
const longestArgument = 255;
const headerSize = 64 + 3 * 56;

export function makeProgram(wasm: Uint8Array): Uint8Array {
  const module = readModule(wasm);
  const code = new MachineCode();
  const globalAddress = (index: number): number => memoryAddress + 8 * index;
  const setUp = { at: undefined, uses: [] };
  code.jump([0xe9], setUp);
  const entries = translateModule(code, module, globalAddress);
  const sources = module.data.map(({ bytes }) => {
    const at = code.length;
    code.emit(...bytes);
    return codeAddress + headerSize + at;
  });

  code.place(setUp);
  module.globals.forEach((value, i) => {
    // mov qword [global], value
    code.emit(0x48, 0xc7, 0x04, 0x25);
    code.word(globalAddress(i));
    code.word(Number(BigInt.asIntN(32, value)));
    // An i32 has its upper half zero.
    code.emit(0xc7, 0x04, 0x25);
    code.word(globalAddress(i) + 4);
    code.word(0);
  });
  module.data.forEach(({ address, bytes }, i) => {
    // mov edi, address; mov esi, source; mov ecx, size; rep movsb
    code.emit(0xbf);
    code.word(address);
    code.emit(0xbe);
    code.word(sources[i]);
    code.emit(0xb9);
    code.word(bytes.length);
    code.emit(0xf3, 0xa4);
  });
  emitStart(code);
  const main = module.exports.get("main");
  if (main === undefined) throw new Error("the module has no function main");
  code.jump([0xe8], entries[main]);
  code.emit(0x0f, 0x0b);
  return wrap(code.bytes(), module.memoryBytes);
}

/** Leaves the argument of `main` on the stack: the address of a copy of argv[1], or 0. */
function emitStart(code: MachineCode): void {
  // xor eax, eax; mov rsi, [rsp + 16]; test rsi, rsi; jz over
  code.emit(0x31, 0xc0, 0x48, 0x8b, 0x74, 0x24, 16, 0x48, 0x85, 0xf6, 0x74, 19);
  // mov edi, buffer; mov eax, edi; mov ecx, limit
  code.emit(0xbf);
  code.word(argumentAddress);
  code.emit(0x89, 0xf8, 0xb9);
  code.word(longestArgument);
  // copy: movsb; cmp byte [rdi - 1], 0; loopne copy
  code.emit(0xa4, 0x80, 0x7f, 0xff, 0x00, 0xe0, 0xf9);
  // over: push rax
  code.emit(0x50);
}

/** The file: ELF header, a segment of code with it, one of memory, and the wish for a stack without code. */
function wrap(code: Uint8Array, memoryEnd: number): Uint8Array {
  const file = new Uint8Array(headerSize + code.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(codeAddress + headerSize), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 3, true);
  const segment = (
    index: number,
    type: number,
    flags: number,
    address: number,
    fileSize: number,
    size: number,
  ): void => {
    const at = 64 + 56 * index;
    view.setUint32(at, type, true);
    view.setUint32(at + 4, flags, true);
    view.setBigUint64(at + 16, BigInt(address), true);
    view.setBigUint64(at + 24, BigInt(address), true);
    view.setBigUint64(at + 32, BigInt(fileSize), true);
    view.setBigUint64(at + 40, BigInt(size), true);
    view.setBigUint64(at + 48, 4096n, true);
  };
  const [load, gnuStack] = [1, 0x6474e551];
  const [readable, writable, executable] = [4, 2, 1];
  segment(0, load, readable | executable, codeAddress, file.length, file.length);
  segment(1, load, readable | writable, memoryAddress, 0, memoryEnd - memoryAddress);
  segment(2, gnuStack, readable | writable, 0, 0, 0);
  file.set(code, headerSize);
  return file;
}
